# SPDX-License-Identifier: GPL-2.0-or-later
"""The drawing tools in the dock's toolbar: which one draws, in which colour, and what its shapes become."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from qgis.core import QgsGeometry
from qgis.gui import QgsMapCanvas, QgsMapTool
from qgis.PyQt.QtCore import QObject, pyqtSignal
from qgis.PyQt.QtGui import QColor, QIcon
from qgis.PyQt.QtWidgets import QAction

from .dock import LabelDock
from .editor import LabelEditor
from .texts import tr

if TYPE_CHECKING:
    from .tools.base import LabelTool
    from .tools.transform import MoveRotateTool

BRUSH = "brush"  # paints on the label that it touches; the others draw a label each
SEGMENT, MOVE = "segment", "move"
ACCEPT_COLOR = QColor(255, 255, 255)


class ToolSwitch(QObject):
    """Chooses among the tools.

    Args:
        dock: Its toolbar gets a button for each tool.
        canvas: Where they draw.
        editor: Gets what they draw.
        tools: By name.
        mover: Moves and rotates labels.

    Attributes:
        accepts: Whether what is drawn says which area of the preview is accepted, instead of being a label.

    Signals:
        accepted: Such an area, in the canvas's coordinates.
    """

    accepted = pyqtSignal(QgsGeometry)

    def __init__(
        self,
        dock: LabelDock,
        canvas: QgsMapCanvas,
        editor: LabelEditor,
        tools: Mapping[str, LabelTool],
        mover: MoveRotateTool | None = None,
    ) -> None:
        super().__init__(dock)
        self._dock, self._canvas, self._editor, self.tools, self._mover = dock, canvas, editor, dict(tools), mover
        self.actions: dict[str, QAction] = {}
        self.last = next(iter(self.tools), "")
        self.accepts = False
        for name, tool in self.tools.items():
            action = self._make_action(dock, name)
            action.triggered.connect(lambda _checked=False, name=name: self.use(name))
            tool.setAction(action)
            self._connect(name, tool)
        if SEGMENT in self.tools:
            dock.segments.layerChanged.connect(self.tools[SEGMENT].set_segments)
            self.tools[SEGMENT].missing.connect(lambda: editor.refused.emit(tr("Choose a layer of segments first.")))
        if mover is not None:
            action = self._make_action(dock, MOVE)
            action.triggered.connect(self._move)
            mover.setAction(action)
            mover.transformed.connect(self._replace)

    def add(self, name: str, tool: LabelTool) -> None:
        """Takes in a tool that has its button elsewhere."""
        self.tools[name] = tool
        self._connect(name, tool)

    def use(self, name: str) -> None:
        """Draws with a tool from now on."""
        self.last = name
        self._dock.segment_row.setVisible(name == SEGMENT)
        if name == SEGMENT and self._dock.segments.currentLayer() is None:
            self._suggest_segments()
        self.show_color()
        self._canvas.setMapTool(self.tools[name])
        self._canvas.setFocus()

    def repeat(self) -> None:
        """Takes up the tool that drew last, unless it is drawing already."""
        if self.last and self._canvas.mapTool() is not self.tools[self.last]:
            self.use(self.last)

    def show_color(self) -> None:
        """Draws in the colour of the current class; an area of the preview, which has many, in white."""
        entry = self._editor.schema.get(self._editor.current) if self._editor.current is not None else None
        if entry is not None or self.accepts:
            color = ACCEPT_COLOR if self.accepts else QColor(*entry.color)
            for tool in self.tools.values():
                tool.set_colour(color)

    def stop(self) -> None:
        """Takes our tools off the canvas."""
        tool = self._canvas.mapTool()
        if isinstance(tool, QgsMapTool) and tool in (*self.tools.values(), self._mover):
            self._canvas.unsetMapTool(tool)

    def remove(self) -> None:
        """Throws the tools away."""
        self.stop()
        for tool in filter(None, (*self.tools.values(), self._mover)):
            tool.remove()

    def show_layer(self) -> None:
        """Moves labels of the current layer."""
        if self._mover is not None:
            self._mover.set_layer(self._editor.layer)

    def _suggest_segments(self) -> None:
        """Chooses a layer that “Segment image” has made, if there is one."""
        box = self._dock.segments
        layers = filter(None, map(box.layer, range(box.count())))
        made = (layer for layer in layers if {SEGMENT, "pixels"} <= set(layer.fields().names()))
        box.setLayer(next(made, None))

    def _connect(self, name: str, tool: LabelTool) -> None:
        tool.drawn.connect(lambda geometry: self._draw(name, geometry))
        tool.removed.connect(self._cut)

    def _make_action(self, dock: LabelDock, name: str) -> QAction:
        from ...algorithms.base import icon_path

        texts = {
            "rectangle": tr("Rectangle: drag"),
            "polygon": tr("Polygon: click corners, right-click finishes"),
            "circle": tr("Circle: drag from the centre"),
            "freehand": tr("Freehand: drag along the outline"),
            "segment": tr("Segments: click, or drag over several"),
            "brush": tr("Brush: paint; with Shift it cuts; [ and ] change its size"),
            "move": tr("Move: drag a label; with Shift it turns"),
        }
        action = QAction(QIcon(icon_path(f"label_{name}.svg")), texts.get(name, name), dock.tools)
        action.setCheckable(True)
        dock.tool_group.addAction(action)
        dock.tools.addAction(action)
        self.actions[name] = action
        return action

    def _move(self, _checked: bool = False) -> None:
        self._canvas.setMapTool(self._mover)
        self._canvas.setFocus()

    def _replace(self, fid: int, geometry: QgsGeometry) -> None:
        self._editor.replace(fid, geometry, self._canvas.mapSettings().destinationCrs())

    def _draw(self, name: str, geometry: QgsGeometry) -> None:
        crs = self._canvas.mapSettings().destinationCrs()
        if self.accepts:
            self.accepted.emit(geometry)
        elif name == BRUSH:
            self._editor.extend(geometry, crs)
        else:
            self._editor.add(geometry, crs)

    def _cut(self, geometry: QgsGeometry) -> None:
        self._editor.cut(geometry, self._canvas.mapSettings().destinationCrs())
