# SPDX-License-Identifier: GPL-2.0-or-later
"""The parameters that classifying one raster and classifying many have in common."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFile,
    QgsProcessingParameterString,
)

from .base import MODEL_FILTER, BackendAlgorithm, Parameters
from .values import read_band_map

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
WHOLE_NUMBERS = ("TILE_SIZE", "OVERLAP", "BATCH_SIZE", "MIN_REGION")
SWITCHES = ("TEST_TIME_AUGMENTATION", "PREDICT_BACKGROUND")
LARGEST_CELL = 1e6


def add_model(tool: BackendAlgorithm) -> None:
    """The model, and what of the raster it sees."""
    tr, file = tool.tr, QgsProcessingParameterFile.Behavior.File
    tool.add(
        QgsProcessingParameterFile("MODEL", tr("Model"), file, "", None, False, MODEL_FILTER),
        tr("Written by “Train deep learning model”: a .dlpk, or an .emd with its weights beside."),
    )
    tool.add(
        QgsProcessingParameterExtent("EXTENT", tr("Extent"), None, True),
        tr("The part of the raster to classify. If empty: all of it."),
    )
    tool.add(
        QgsProcessingParameterFeatureSource("MASK", tr("Mask polygons"), [QgsProcessing.SourceType.TypeVectorPolygon], None, True),
        tr("Only pixels whose centre lies in one of these polygons are classified; the others become nodata and cost no time."),
    )


def add_result(tool: BackendAlgorithm) -> None:
    """What becomes of the answers."""
    tr = tool.tr
    tool.add(
        tool.integer("MIN_REGION", tr("Smallest region (pixels)"), 0, 0, 10_000),
        tr(
            "Connected regions with fewer pixels are given to their largest neighbour; 0 = all stay, 10,000 is the most. Regions meet "
            "along edges, not corners. Large values on wide rasters need memory: where the limit does not suffice, the tool says so "
            "before it begins. A region of nodata neither grows nor shrinks."
        ),
    )
    tool.add(
        QgsProcessingParameterBoolean("PREDICT_BACKGROUND", tr("Predict background"), True),
        tr("If switched off, background (value 0) never wins. It has no effect on models without background."),
        advanced=True,
    )
    tool.add(
        QgsProcessingParameterBoolean("TEST_TIME_AUGMENTATION", tr("Test-time augmentation"), False),
        tr("Averages the answers for turned and flipped tiles: a little more accurate, several times slower."),
        advanced=True,
    )


def add_raster(tool: BackendAlgorithm) -> None:
    """How the raster is read."""
    tr = tool.tr
    tool.add(
        tool.real("CELL_SIZE", tr("Cell size"), 0.0, 0.0, LARGEST_CELL),
        tr(
            "Cell size of the result in units of the raster's coordinate system; the raster is resampled to it as it is read. 0 = the "
            "raster's. Use it when the raster's cells are larger or smaller than those that the model was trained on."
        ),
        advanced=True,
    )
    tool.add(
        QgsProcessingParameterString("BAND_MAP", tr("Bands by hand"), "", False, True),
        tr(
            "Which band of the raster is which of the model's, when names do not tell: red=3 nir=5, or separated by semicolons. All "
            "bands of the model must be given. If empty: by name, then by meaning, then by order."
        ),
        advanced=True,
    )


def add_running(tool: BackendAlgorithm) -> None:
    """How the network is run."""
    tr = tool.tr
    for parameter, text in (
        (
            tool.integer("TILE_SIZE", tr("Tile size"), 0, 0, 4096),
            tr("Size in pixels of what the network sees at once; 0 = automatic, at least the model's chip size."),
        ),
        (
            tool.integer("OVERLAP", tr("Overlap"), -1, -1, 2048),
            tr("Pixels that neighbouring tiles share (twice ArcGIS's padding); −1 = automatic."),
        ),
        (
            tool.integer("BATCH_SIZE", tr("Batch size"), 0, 0, 1024),
            tr("Tiles per step; 0 = what fits into the memory."),
        ),
        (
            tool.integer("MEMORY", tr("Memory limit (MB)"), 1024, 64, 1_048_576),
            tr("Ceiling for the image data held in memory at once; it does not depend on the raster's height."),
        ),
        (tool.device_parameter(), tool.device_help()),
        (
            tool.choice("PRECISION", tr("Precision"), PRECISIONS, "auto"),
            tr(
                "Number format in which the network computes. auto: 16 bits on graphics cards; on a processor bf16 if a try on one "
                "tile is faster and gives the same classes, else fp32. fp16 needs a graphics card."
            ),
        ),
    ):
        tool.add(parameter, text, advanced=True)


def find_fault(tool: BackendAlgorithm, parameters: Parameters, context: QgsProcessingContext) -> str:
    """What is wrong with the values, in one sentence; empty when nothing is."""
    try:
        read_band_map(tool.parameterAsString(parameters, "BAND_MAP", context))
    except ValueError as fault:
        return str(fault)
    return ""


def read_options(tool: BackendAlgorithm, parameters: Parameters, context: QgsProcessingContext) -> dict[str, Any]:
    """The settings of the worker that do not depend on the raster."""
    options: dict[str, Any] = {
        "memory_mb": tool.parameterAsInt(parameters, "MEMORY", context),
        "device": tool.parameterAsString(parameters, "DEVICE", context).strip(),
        "precision": tool.parameterAsEnumString(parameters, "PRECISION", context),
        "cell_size": tool.parameterAsDouble(parameters, "CELL_SIZE", context),
        "band_map": read_band_map(tool.parameterAsString(parameters, "BAND_MAP", context)),
    }
    for name in WHOLE_NUMBERS:
        options[name.lower()] = tool.parameterAsInt(parameters, name, context)
    for name in SWITCHES:
        options[name.lower()] = tool.parameterAsBoolean(parameters, name, context)
    return options
