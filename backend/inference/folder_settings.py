# SPDX-License-Identifier: GPL-2.0-or-later
"""What a classification of many rasters is asked to do. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ..errors import ToolboxError
from .settings import ClassifySettings

OF_AN_ITEM = ("raster", "output", "extent", "mask", "has_georeference")
WITHOUT = ("model", "confidence", "uncertainty", "probabilities", "polygons", "polygons_per")


@dataclass(frozen=True)
class FolderSettings:
    """Settings of one run over many rasters.

    Attributes:
        items: For each raster the fields of `ClassifySettings` that are its own: ``raster``, ``output``, ``extent``, ``mask``,
            ``has_georeference``.
        model: A .dlpk, or an .emd with its weights beside it.
        output: Folder that the outputs lie in.
        options: All other fields of `ClassifySettings`, the same for every raster.

    Raises:
        ToolboxError: On creation: no raster, an option that does not exist, or two outputs of one name.
    """

    items: list[dict[str, Any]]
    model: str
    output: str
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = {entry.name for entry in fields(ClassifySettings)} - {*OF_AN_ITEM, *WITHOUT}
        faults = [f"the option {name} does not exist" for name in self.options if name not in known]
        if not self.items:
            faults.append("there is no raster; choose a folder with rasters, or rasters")
        outputs = [str(item.get("output")) for item in self.items]
        faults += [f"two rasters would be written to {path}" for path in sorted(set(outputs)) if outputs.count(path) > 1]
        inside = {Path(item["raster"]).absolute().parent for item in self.items if Path(item["raster"]).is_file()}
        if Path(self.output).absolute() in inside:
            faults.append("OUTPUT is a folder of the rasters themselves; choose another one")
        if faults:
            raise ToolboxError(f"The classification cannot start: {'; '.join(faults)}.")

    @property
    def device(self) -> str:
        """As in `ClassifySettings`; of several, each takes whole rasters."""
        return str(self.options.get("device", ClassifySettings.device))

    def request_for(self, item: dict[str, Any]) -> ClassifySettings:
        """The request of one raster; raises ToolboxError for what is wrong with it."""
        return ClassifySettings(model=self.model, **item, **self.options)
