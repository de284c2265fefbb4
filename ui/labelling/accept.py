# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes labels of areas of the preview: what is clicked or drawn while “Accept areas” is pressed."""

from __future__ import annotations

from collections.abc import Callable

from qgis.core import QgsCoordinateTransform, QgsCsException, QgsGeometry, QgsPointXY, QgsProject, QgsRectangle
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QObject

from ...backend.errors import ToolboxError
from .accept_bar import AcceptBar
from .editor import LabelEditor
from .preview import Preview
from .preview_regions import PreviewRegions, Region
from .texts import tr
from .tool_switch import ToolSwitch
from .tools.region import RegionTool

TOOL = "region"
DENSIFIED = 16  # points added to each edge of an area before it is reprojected


class AcceptAreas(QObject):
    """The work of the row `AcceptBar`.

    Args:
        bar: Switches it on; shown while there is a preview.
        preview: What is accepted.
        switch: Gets the tool for regions; its other tools draw areas, too.
        editor: Gets the labels.
        canvas: Whose coordinates the tools speak.
    """

    def __init__(self, bar: AcceptBar, preview: Preview, switch: ToolSwitch, editor: LabelEditor, canvas: QgsMapCanvas) -> None:
        super().__init__(bar)
        self._bar, self._preview, self._switch, self._editor, self._canvas = bar, preview, switch, editor, canvas
        self._before = ""
        tool = RegionTool(canvas)
        switch.add(TOOL, tool)
        tool.picked.connect(self._take_region)
        switch.accepted.connect(self._take_area)
        bar.accept.toggled.connect(self._switch_mode)
        preview.shown.connect(bar.show)
        preview.dropped.connect(self.end)

    def end(self) -> None:
        """There is no preview any more: the tools draw labels again."""
        self._bar.accept.setChecked(False)
        self._bar.hide()

    def _switch_mode(self, is_on: bool) -> None:
        self._switch.accepts = is_on
        if is_on:
            self._before = self._switch.last
            self._switch.use(TOOL)
        elif self._switch.last == TOOL:
            self._switch.last = self._before
            if self._canvas.mapTool() is self._switch.tools[TOOL]:
                self._switch.repeat()
        self._switch.show_color()

    def _take_area(self, area: QgsGeometry) -> None:
        def find(regions: PreviewRegions, to_preview: QgsCoordinateTransform) -> list[Region]:
            shape = area if to_preview.isShortCircuited() else area.densifyByCount(DENSIFIED)
            shape.transform(to_preview)
            return regions.within(shape, self._bar.limits)

        self._take(find)

    def _take_region(self, point: QgsPointXY) -> None:
        def find(regions: PreviewRegions, to_preview: QgsCoordinateTransform) -> list[Region]:
            view: QgsRectangle = to_preview.transformBoundingBox(self._canvas.mapSettings().visibleExtent())
            return regions.at(to_preview.transform(point), view, self._bar.limits)

        self._take(find)

    def _take(self, find: Callable[[PreviewRegions, QgsCoordinateTransform], list[Region]]) -> None:
        """Adds the regions that a function finds in the preview."""
        try:
            layers = self._preview.layers
            if not layers:
                raise ToolboxError(tr("There is no preview any more; press “Preview classes” first."))
            classes, unsure = layers
            crs = self._canvas.mapSettings().destinationCrs()
            to_preview = QgsCoordinateTransform(crs, classes.crs(), QgsProject.instance().transformContext())
            regions = find(PreviewRegions(classes.source(), unsure.source()), to_preview)
        except QgsCsException:
            self._editor.refused.emit(tr("This place lies outside of what the preview's coordinate system can hold."))
        except ToolboxError as failure:
            self._editor.refused.emit(str(failure))
        else:
            self._editor.add_regions(regions, classes.crs())
