# SPDX-License-Identifier: GPL-2.0-or-later
"""The parameters of “Export training data”, in the order of the dialog."""

from __future__ import annotations

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterBand,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDistance,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterRasterLayer,
)

from .base import ToolboxAlgorithm

TILE_RANGE = (16, 8192)
STRIDE_RANGE = (1, 8192)
LARGEST_ANGLE = 180.0
CHIP_FORMATS = ("tiff", "png", "jpeg", "mrf")
METADATA_FORMATS = (
    "classified_tiles",
    "pascal_voc",
    "kitti",
    "rcnn_masks",
    "labeled_tiles",
    "multilabeled_tiles",
    "export_tiles",
    "cyclegan",
    "imagenet",
    "panoptic",
)
REFERENCE_SYSTEMS = ("map_space", "pixel_space")
CROP_MODES = ("fixed_size", "bounding_box")
ANY_FIELD = QgsProcessingParameterField.DataType.Any


def add_inputs(tool: ToolboxAlgorithm) -> None:
    """Rasters and labels."""
    tr, source_type = tool.tr, QgsProcessing.SourceType
    tool.add(
        QgsProcessingParameterRasterLayer("INPUT", tr("Raster")),
        tr("The image to learn from. It must be a file that GDAL reads and must not be rotated (but see the reference system)."),
    )
    tool.add(
        QgsProcessingParameterFeatureSource("LABELS", tr("Labels"), [source_type.TypeVectorAnyGeometry], None, True),
        tr(
            "Polygons, lines or points in any coordinate system. A polygon labels the pixels whose centre it covers, a line or "
            "point those that it touches; where features overlap, the later one wins. Give either this or a label raster; "
            "export_tiles and cyclegan need neither."
        ),
    )
    tool.add(
        QgsProcessingParameterField("CLASS_VALUE_FIELD", tr("Class value field"), None, "LABELS", ANY_FIELD, False, True),
        tr(
            "Field with whole numbers from 1 to 65,534, or with texts, which are numbered in alphabetical order. If empty: the "
            "field Classvalue, else Value, else all features are of one class."
        ),
    )
    tool.add(
        QgsProcessingParameterField("CLASS_NAME_FIELD", tr("Class name field"), None, "LABELS", ANY_FIELD, False, True),
        tr("Field with the names of the classes. If empty: the field Classname, else the values serve as names."),
    )
    tool.add(
        QgsProcessingParameterRasterLayer("LABEL_RASTER", tr("Label raster"), None, True),
        tr(
            "A class raster instead of a vector layer, on any grid and in any coordinate system; 0 and nodata mean unlabelled. "
            "Names and colours come from the layer's style, else from its attribute or colour table."
        ),
    )
    tool.add(
        QgsProcessingParameterMultipleLayers("MORE_INPUTS", tr("Further rasters"), source_type.TypeFile, None, True),
        tr("Raster files, or a folder of them, with the same bands; they are cut into the same folder with the same labels."),
        advanced=True,
    )


def add_chips(tool: ToolboxAlgorithm) -> None:
    """Bands, size and place of the chips."""
    tr = tool.tr
    tool.add(
        QgsProcessingParameterBand("BANDS", tr("Bands"), None, "INPUT", True, True),
        tr("Numbers of the bands to use, in this order. If empty: all."),
    )
    stride = tr(
        "Distance in pixels from one chip to the next; half of the tile size gives an overlap of 50 %. Without meaning where there is "
        "a chip per feature."
    )
    for name, label, default, limits, text in (
        ("TILE_SIZE_X", tr("Tile size X"), 256, TILE_RANGE, tr("Width of a chip in pixels.")),
        ("TILE_SIZE_Y", tr("Tile size Y"), 256, TILE_RANGE, tr("Height of a chip in pixels.")),
        ("STRIDE_X", tr("Stride X"), 128, STRIDE_RANGE, stride),
        ("STRIDE_Y", tr("Stride Y"), 128, STRIDE_RANGE, stride),
    ):
        tool.add(tool.integer(name, label, default, *limits), text)
    tool.add(
        tool.choice("METADATA_FORMAT", tr("Metadata format"), METADATA_FORMATS, "classified_tiles"),
        tr(
            "What is written beside each image: classified_tiles = a raster of classes, for pixel classification; pascal_voc and "
            "kitti = boxes; rcnn_masks = a raster of instances per class; labeled_tiles and imagenet = a chip per feature with one "
            "class; multilabeled_tiles = all classes of a chip; export_tiles = images only; cyclegan = images of two kinds; "
            "panoptic = classes and instances."
        ),
    )
    tool.add(
        QgsProcessingParameterExtent("EXTENT", tr("Extent"), None, True),
        tr("The part of the raster to use; what lies outside counts as nodata. If empty: all of it."),
    )
    tool.add(
        QgsProcessingParameterFeatureSource("MASK", tr("Mask polygons"), [QgsProcessing.SourceType.TypeVectorPolygon], None, True),
        tr("Only chips that lie completely inside these polygons are written."),
        advanced=True,
    )
    tool.add(
        QgsProcessingParameterDistance("CELL_SIZE", tr("Cell size"), 0.0, "INPUT", False, 0.0),
        tr(
            "Cell size of the chips in the units of the raster's coordinate system; 0 = the raster's. Larger cells are averaged, "
            "smaller ones interpolated; classes never."
        ),
        advanced=True,
    )
    tool.add(
        tool.real("ROTATION_ANGLE", tr("Rotation angle"), 0.0, 0.0, LARGEST_ANGLE),
        tr(
            "Repeats each chip turned by every multiple of this angle in degrees up to a full turn: 90 gives 4 chips. 0 = no rotation."
        ),
        advanced=True,
    )
    tool.add(
        tool.choice("REFERENCE_SYSTEM", tr("Reference system"), REFERENCE_SYSTEMS, "map_space"),
        tr("map_space: chips lie on the map. pixel_space: chips lie in columns and rows of the image, which may be rotated."),
        advanced=True,
    )
    tool.add(
        tool.choice("CHIP_FORMAT", tr("Image format"), CHIP_FORMATS, "tiff"),
        tr("tiff and mrf keep all bands and the type of the values; png and jpeg hold one or three bands of 8 bits."),
        advanced=True,
    )


def add_labelling(tool: ToolboxAlgorithm) -> None:
    """What counts as a label, and which chips are kept."""
    tr = tool.tr
    tool.add(
        QgsProcessingParameterBoolean("EMPTY_TILES", tr("Also write chips without labels"), False),
        tr("Chips without any labelled pixel are of use only where unlabelled means background."),
        advanced=True,
    )
    tool.add(
        QgsProcessingParameterDistance("BUFFER_RADIUS", tr("Buffer radius"), 0.0, "LABELS", False, 0.0),
        tr("Widens each label by this distance, in the units of the labels' coordinate system; turns points into circles."),
        advanced=True,
    )
    tool.add(
        tool.real("MIN_OVERLAP_RATIO", tr("Minimum share of a feature in a chip"), 0.0, 0.0, 1.0),
        tr("A feature of which a smaller share (0 to 1) lies inside a chip does not count there."),
        advanced=True,
    )
    tool.add(
        tool.real("MIN_LABELED_RATIO", tr("Minimum labelled share of a chip"), 0.0, 0.0, 1.0),
        tr("Chips of which a smaller share (0 to 1) is labelled are left out."),
        advanced=True,
    )


def add_special(tool: ToolboxAlgorithm) -> None:
    """What only some metadata formats take."""
    tr, source_type = tool.tr, QgsProcessing.SourceType
    tool.add(
        QgsProcessingParameterRasterLayer("INPUT2", tr("Additional raster"), None, True),
        tr(
            "A second image: of another date (classified_tiles), the image to be made (export_tiles), or of the other kind "
            "(cyclegan). But for cyclegan it is brought onto the grid of the raster."
        ),
        advanced=True,
    )
    tool.add(
        QgsProcessingParameterFeatureSource("INSTANCES", tr("Instance features"), [source_type.TypeVectorAnyGeometry], None, True),
        tr("The features that are told apart one by one, for panoptic; the labels then say the class of everything."),
        advanced=True,
    )
    tool.add(
        QgsProcessingParameterField("INSTANCE_FIELD", tr("Instance class field"), None, "INSTANCES", ANY_FIELD, False, True),
        tr("Field with the class values of the instance features; if empty as for the labels."),
        advanced=True,
    )
    tool.add(
        QgsProcessingParameterBoolean("BLACKEN", tr("Blacken around feature"), False),
        tr("Sets the pixels outside the feature to 0, in labeled_tiles and imagenet."),
        advanced=True,
    )
    tool.add(
        tool.choice("CROP_MODE", tr("Crop mode"), CROP_MODES, "fixed_size"),
        tr("In labeled_tiles and imagenet: fixed_size = a chip around the centre of the feature; bounding_box = just the feature."),
        advanced=True,
    )
    tool.add(
        QgsProcessingParameterBoolean("APPEND", tr("Add to the folder"), False),
        tr("Adds to the chips that the folder holds, instead of replacing them. Classes given as texts are matched by name."),
        advanced=True,
    )
