# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes the demo's QGIS project and a PNG map with legend, both rendered by QGIS.

Runs in the Python of QGIS. Enters: the folder of the demo with ``classes.tif``, ``scene.vrt``, the two GeoPackages.
"""

from __future__ import annotations

from pathlib import Path

from qgis.core import (
    QgsApplication,
    QgsContrastEnhancement,
    QgsFillSymbol,
    QgsLayoutExporter,
    QgsLayoutItemLabel,
    QgsLayoutItemLegend,
    QgsLayoutItemMap,
    QgsLayoutItemScaleBar,
    QgsLayoutPoint,
    QgsLayoutSize,
    QgsMapLayerLegendUtils,
    QgsMultiBandColorRenderer,
    QgsPrintLayout,
    QgsProject,
    QgsRasterLayer,
    QgsRasterMinMaxOrigin,
    QgsRectangle,
    QgsReferencedRectangle,
    QgsSingleSymbolRenderer,
    QgsUnitTypes,
    QgsVectorLayer,
)
from qgis.PyQt.QtGui import QFont

MILLIMETRES = QgsUnitTypes.LayoutUnit.LayoutMillimeters
PAGE = (262, 128)


def outline(path: Path, name: str, color: str) -> QgsVectorLayer:
    """A polygon layer drawn as outline."""
    layer = QgsVectorLayer(str(path), name, "ogr")
    symbol = QgsFillSymbol.createSimple({"style": "no", "outline_color": color, "outline_width": "0.5"})
    layer.setRenderer(QgsSingleSymbolRenderer(symbol))
    return layer


def false_colour(path: Path) -> QgsRasterLayer:
    """The scene with near infrared, red and green as red, green and blue."""
    layer = QgsRasterLayer(str(path), "Landsat 7 (nir, red, green)", "gdal")
    renderer = QgsMultiBandColorRenderer(layer.dataProvider(), 4, 3, 2)
    layer.setRenderer(renderer)
    layer.setContrastEnhancement(
        QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum,
        QgsRasterMinMaxOrigin.Limits.CumulativeCut,
    )
    return layer


def place(item: object, x: float, y: float, width: float, height: float) -> None:
    """Puts a layout item at a place, all in millimetres."""
    item.attemptMove(QgsLayoutPoint(x, y, MILLIMETRES))
    item.attemptResize(QgsLayoutSize(width, height, MILLIMETRES))


def add_map(layout: QgsPrintLayout, layers: list, extent: QgsRectangle, x: float, title: str) -> QgsLayoutItemMap:
    """Adds a map frame with a caption."""
    frame = QgsLayoutItemMap(layout)
    layout.addLayoutItem(frame)
    frame.setLayers(layers)
    frame.setKeepLayerSet(True)
    place(frame, x, 14, 105, 100)
    frame.setExtent(extent)  # only a frame with an extent can be zoomed; this changes its height
    place(frame, x, 14, 105, 100)
    frame.zoomToExtent(extent)
    caption = QgsLayoutItemLabel(layout)
    caption.setText(title)
    caption.setFont(QFont("DejaVu Sans", 11))
    layout.addLayoutItem(caption)
    place(caption, x, 6, 105, 7)
    return frame


def add_legend(layout: QgsPrintLayout, classes: QgsRasterLayer, frame: QgsLayoutItemMap) -> None:
    """Adds the legend of the class raster and a scale bar."""
    legend = QgsLayoutItemLegend(layout)
    layout.addLayoutItem(legend)
    legend.setAutoUpdateModel(False)
    root = legend.model().rootGroup()
    for node in list(root.children()):
        if node.layer() is not classes:
            root.removeChildNode(node)
    node = root.findLayer(classes.id())
    entries = legend.model().layerLegendNodes(node)
    # The first entry names the band, which says nothing here.
    QgsMapLayerLegendUtils.setLegendNodeOrder(node, list(range(1, len(entries))))
    legend.model().refreshLayerLegend(node)
    legend.setLinkedMap(frame)
    place(legend, 218, 14, 30, 80)
    bar = QgsLayoutItemScaleBar(layout)
    bar.setStyle("Single Box")
    bar.setLinkedMap(frame)
    bar.applyDefaultSize()
    bar.setUnitsPerSegment(2500)
    layout.addLayoutItem(bar)
    place(bar, 112, 112, 60, 10)


def write_project(folder: Path) -> Path:
    """Writes ``demo.qgz`` and ``map.png`` and returns the picture's path; raises RuntimeError when QGIS cannot."""
    application = QgsApplication.instance() or QgsApplication([], False)
    application.initQgis()
    project = QgsProject.instance()
    project.clear()
    scene = false_colour(folder / "scene.vrt")
    classes = QgsRasterLayer(str(folder / "classes.tif"), "Land cover", "gdal")
    classes.loadDefaultStyle()
    training = outline(folder / "training.gpkg", "Training polygons", "#ffffff")
    held_out = outline(folder / "held_out.gpkg", "Held-out polygons", "#ffff00")
    project.setCrs(classes.crs())
    project.addMapLayers([scene, classes, held_out, training])
    root = project.layerTreeRoot()
    for layer in (scene, classes, held_out, training):
        node = root.findLayer(layer.id())
        root.insertChildNode(0, node.clone())
        root.removeChildNode(node)
    project.viewSettings().setDefaultViewExtent(QgsReferencedRectangle(classes.extent(), classes.crs()))
    layout = QgsPrintLayout(project)
    layout.initializeDefaults()
    layout.setName("Map")
    layout.pageCollection().page(0).setPageSize(QgsLayoutSize(*PAGE, MILLIMETRES))
    add_map(layout, [held_out, training, scene], classes.extent(), 4, "Landsat 7 and the labels (yellow: held out)")
    frame = add_map(layout, [classes], classes.extent(), 112, "Classified (where all six bands have data)")
    add_legend(layout, classes, frame)
    project.layoutManager().addLayout(layout)
    if not project.write(str(folder / "demo.qgz")):
        raise RuntimeError(f"QGIS could not write {folder / 'demo.qgz'}: {project.error()}")
    picture = folder / "map.png"
    # Not `exportToImage`, which also writes georeference into the file; newer GDAL answers with an error in the log for PNG.
    if not QgsLayoutExporter(layout).renderPageToImage(0, dpi=150).save(str(picture)):
        raise RuntimeError(f"QGIS could not render {picture}")
    project.clear()
    return picture

