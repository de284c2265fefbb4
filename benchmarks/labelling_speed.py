# SPDX-License-Identifier: GPL-2.0-or-later
"""Milliseconds that a labeller waits with ten thousand labels: one more, select, change class, recolour a class, undo.

Each figure is the time until the dock has settled (events handled, canvas not redrawn); the limit is 100 ms. Runs in the Python of
QGIS, called by ``make bench``.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from qgis.core import QgsApplication, QgsGeometry, QgsProject, QgsRectangle, QgsVectorLayer
from qgis.gui import QgsMapCanvas, QgsMessageBar
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QMainWindow

LABELS, CLASSES, RUNS, LIMIT = 10_000, 3, 15, 100  # limit in milliseconds
LEFT, BOTTOM, STEP, SIDE = 600_000, 4_000_000, 30, 20  # metres


class Desk:
    """What the dock asks of QGIS's windows; here nothing."""

    def open_tool(self, name: str, parameters: dict[str, Any]) -> None:
        """Opens no tool."""

    def set_active_layer(self, layer: QgsVectorLayer) -> None:
        """There is no layer panel."""


def box(place: int) -> QgsGeometry:
    """The label of a place in a grid of a hundred columns."""
    x, y = LEFT + place % 100 * STEP, BOTTOM + place // 100 * STEP
    return QgsGeometry.fromRect(QgsRectangle(x, y, x + SIDE, y + SIDE))


def make_store(path: str) -> None:
    """A label layer with ten thousand labels of three classes."""
    from deep_learning_toolbox.algorithms.label_layer import LabelLayerFile
    from deep_learning_toolbox.backend.labels.schema import PALETTE, ClassDefinition
    from qgis.core import QgsCoordinateReferenceSystem, QgsCoordinateTransformContext

    classes = [ClassDefinition(value, f"Class {value}", PALETTE[value]) for value in range(1, CLASSES + 1)]
    crs = QgsCoordinateReferenceSystem("EPSG:32617")
    with LabelLayerFile(path, crs, QgsCoordinateTransformContext(), "bench") as file:
        for place in range(LABELS):
            file.add(box(place), classes[place % CLASSES], imagery="image")
        file.publish(classes)


def measure(application: QgsApplication, what: str, action: Callable[[int], None]) -> bool:
    """Prints median and extremes of an action; returns whether the median is below the limit."""
    times = []
    for run in range(RUNS):
        start = time.perf_counter()
        action(run)
        for _ in range(3):
            application.processEvents()
        times.append(1000 * (time.perf_counter() - start))
    median = statistics.median(times)
    sys.stdout.write(f"labelling, {LABELS:,} labels, {what}: median {median:.0f} ms, {min(times):.0f} to {max(times):.0f} ms\n")
    return median < LIMIT


def main() -> int:
    """Prints the figures; 1 when one is above the limit."""
    application = QgsApplication([], True)
    application.initQgis()
    from deep_learning_toolbox.ui.labelling.dock import LabelDock
    from deep_learning_toolbox.ui.labelling.labelling import Labelling

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "labels.gpkg")
        make_store(path)
        window = QMainWindow()
        window.resize(1200, 800)
        canvas, dock = QgsMapCanvas(window), LabelDock(window)
        window.setCentralWidget(canvas)
        window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
        project = QgsProject.instance()
        labelling = Labelling(dock, canvas, QgsMessageBar(window), project, Desk(), {})
        window.show()
        start = time.perf_counter()
        labelling.files.open(path)
        application.processEvents()
        sys.stdout.write(f"labelling, {LABELS:,} labels, open: {1000 * (time.perf_counter() - start):.0f} ms\n")
        layer, editor = labelling.editor.layer, labelling.editor
        fids = list(layer.allFeatureIds())
        random.Random(7).shuffle(fids)
        dock.objects.view.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        colors = [(place * 15, 90, 200) for place in range(RUNS)]

        def recolour(run: int) -> None:
            entry = editor.schema.classes[0]
            labelling.schema_edits.change(entry.value, replace(entry, color=colors[run]))

        fits = [
            measure(application, "draw one more", lambda run: editor.add(box(LABELS + run), layer.crs())),
            measure(application, "select one", lambda run: layer.selectByIds([fids[run]])),
            measure(application, "select a hundred", lambda run: layer.selectByIds(fids[run : run + 100])),
            measure(application, "change the class of one", lambda run: editor.set_class([fids[run]], 2)),
            measure(application, "recolour a class", recolour),
            measure(application, "undo", lambda _run: layer.undoStack().undo()),
        ]
        layer.rollBack()
        start = time.perf_counter()
        labelling.check.start(labelling.state.index)
        shown = time.perf_counter() - start
        while labelling.check.is_running:
            application.processEvents()
        total = time.perf_counter() - start
        text = f"labelling, {LABELS:,} labels, check all: {total:.1f} s in the background, after {1000 * shown:.0f} ms\n"
        sys.stdout.write(text)
        labelling.stop()
        project.clear()
        window.close()
    if not all(fits):
        sys.stdout.write(f"labelling is slower than the limit of {LIMIT} ms\n")
        return 1
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    import os

    os._exit(status)  # QGIS's objects outlive it otherwise, which crashes some versions at the end
