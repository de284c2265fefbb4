# SPDX-License-Identifier: GPL-2.0-or-later
"""What a model is, apart from its weights, and its form as an Esri model definition (.emd).

The JSON carries Esri's keys, so that people and tools that know ArcGIS find what they look for, and an object `Toolbox` from
which alone the description is read back.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from .. import __version__
from ..errors import ToolboxError
from ..imagery.band_statistics import BandStatistics
from ..labels.schema import ClassSchema
from .catalogue import ARCHITECTURES, check_choice
from .foreign import describe_foreign

TOOLBOX_SCHEMA = 1
MAX_CHIP_SIZE = 16_384
BACKGROUND = 0
BACKGROUND_NAME = "Background"


@dataclass(frozen=True)
class ModelDescription:
    """A trained network without its weights.

    The network's output channels are, in this order, the background if there is one, then the classes by ascending value.

    Attributes:
        name: Stem of the files, shown to people.
        architecture: Key of `catalogue.ARCHITECTURES`.
        backbone: Key of `catalogue.ENCODERS`.
        bands: Name, order and statistics of the bands, the first is channel 0.
        classes: The classes with values, names and colours.
        has_background: Channel 0 is value 0, "Background".
        chip_size: Side of the training chips in pixels.
        gsd_m: Ground sample distance of the training imagery in metres; None when it had no CRS.
        cell_size: (x, y) cell size of the training imagery in units of its CRS.
        crs_wkt: CRS of the training imagery; None when it had none.
        training: Settings and figures of the training, plain JSON.
        version: Version of the toolbox that wrote the model.
    """

    name: str
    architecture: str
    backbone: str
    bands: tuple[BandStatistics, ...]
    classes: ClassSchema
    has_background: bool
    chip_size: int
    gsd_m: float | None = None
    cell_size: tuple[float, float] | None = None
    crs_wkt: str | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    version: str = __version__

    @property
    def class_values(self) -> tuple[int, ...]:
        """Class value of each output channel; 0 is the background."""
        values = tuple(entry.value for entry in self.classes.classes)
        return (BACKGROUND, *values) if self.has_background else values

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each output channel."""
        names = tuple(entry.name for entry in self.classes.classes)
        return (BACKGROUND_NAME, *names) if self.has_background else names


def to_definition(description: ModelDescription, tensor_count: int) -> dict[str, Any]:
    """The content of the .emd: Esri's keys and `Toolbox`."""
    bands, training = description.bands, description.training
    architecture = ARCHITECTURES[description.architecture]
    cell = None if description.cell_size is None else dict(zip("xy", description.cell_size, strict=True))
    return {
        "Framework": "PyTorch",
        "ModelConfiguration": f"_{description.architecture}",
        "ModelType": "ImageClassification",
        "ModelName": architecture.esri_name or architecture.smp_class,
        "ModelFile": f"{description.name}.safetensors",
        "ModelFormat": "NCHW",
        "ModelParameters": {"backbone": description.backbone, "backend": "pytorch"},
        "backend": "pytorch",
        "ExtractBands": list(range(len(bands))),
        "Bands": [band.name for band in bands],
        "IsMultispectral": True,
        "DoNormalize": True,
        "NormalizationStats": {
            "band_min_values": [band.minimum for band in bands],
            "band_max_values": [band.maximum for band in bands],
            "band_mean_values": [band.mean for band in bands],
            "band_std_values": [band.std for band in bands],
        },
        "ImageHeight": description.chip_size,
        "ImageWidth": description.chip_size,
        "ImageSpaceUsed": "MAP_SPACE",
        "SupportsVariableTileSize": True,
        "MinCellSize": cell,
        "MaxCellSize": cell,
        "Classes": [{"Value": entry.value, "Name": entry.name, "Color": list(entry.color)} for entry in description.classes.classes],
        "ignore_mapped_class": [],
        "LearningRate": str(training.get("learning_rate", "")),
        "accuracy": str(training.get("accuracy", "")),
        "per_class_metrics": json.dumps(training.get("per_class", {}), ensure_ascii=False),
        "Toolbox": _to_toolbox(description, tensor_count),
    }


def _to_toolbox(description: ModelDescription, tensor_count: int) -> dict[str, Any]:
    """Our own object in the .emd."""
    return {
        "schema": TOOLBOX_SCHEMA,
        "version": description.version,
        "name": description.name,
        "architecture": description.architecture,
        "backbone": description.backbone,
        "bands": [asdict(band) for band in description.bands],
        "classes": description.classes.to_dicts(),
        "has_background": description.has_background,
        "chip_size": description.chip_size,
        "gsd_m": description.gsd_m,
        "cell_size": None if description.cell_size is None else list(description.cell_size),
        "crs_wkt": description.crs_wkt,
        "tensors": tensor_count,
        "training": dict(description.training),
    }


def parse_definition(definition: Mapping[str, Any], source: str) -> ModelDescription:
    """The description in the JSON of an .emd.

    Args:
        definition: The JSON object.
        source: File name for messages.

    Raises:
        ToolboxError: A model of another program, of a newer toolbox, or with missing or impossible entries.
    """
    toolbox = definition.get("Toolbox")
    if not isinstance(toolbox, dict):
        raise ToolboxError(describe_foreign(definition, source))
    if toolbox.get("schema") != TOOLBOX_SCHEMA:
        raise ToolboxError(f"{source} was written by Deep Learning Toolbox {toolbox.get('version')}, which this one "
                           f"({__version__}) cannot read; update the plugin.")  # fmt: skip
    try:
        cell = toolbox.get("cell_size")
        gsd_m = toolbox.get("gsd_m")
        description = ModelDescription(
            name=str(toolbox["name"]),
            architecture=str(toolbox["architecture"]),
            backbone=str(toolbox["backbone"]),
            bands=tuple(map(_parse_band, toolbox["bands"])),
            classes=ClassSchema.from_dicts(toolbox["classes"]),
            has_background=bool(toolbox["has_background"]),
            chip_size=int(toolbox["chip_size"]),
            gsd_m=None if gsd_m is None else float(gsd_m),
            cell_size=None if cell is None else (float(cell[0]), float(cell[1])),
            crs_wkt=None if toolbox.get("crs_wkt") is None else str(toolbox["crs_wkt"]),
            training=dict(toolbox.get("training", {})),
            version=str(toolbox["version"]),
        )
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as failure:
        raise ToolboxError(f"The definition in {source} is incomplete ({failure}); use the original model.") from failure
    if faults := check_choice(description.architecture, description.backbone):
        raise ToolboxError(f"{source} needs another version of the toolbox. {' '.join(faults)}")
    if description.gsd_m is not None and not 0 < description.gsd_m < math.inf:
        raise ToolboxError(f"The definition in {source} gives the impossible cell size of {gsd_m} m; use the original model.")
    if not description.bands or not description.classes.classes or not 1 <= description.chip_size <= MAX_CHIP_SIZE:
        raise ToolboxError(
            f"The definition in {source} names no bands, no classes or an impossible chip size; use the original model."
        )
    return description


def _parse_band(entry: Mapping[str, Any]) -> BandStatistics:
    """The statistics of one band.

    Raises:
        TypeError: An unknown or missing key.
        ValueError: A figure that is no finite number.
    """
    band = BandStatistics(**entry)
    figures = {name: value for name, value in asdict(band).items() if name != "name" and not (name == "wavelength" and value is None)}
    for name, value in figures.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ValueError(f"{name} of band {band.name} is {value!r}")
    return replace(band, name=str(band.name))
