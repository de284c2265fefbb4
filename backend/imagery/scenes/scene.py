# SPDX-License-Identifier: GPL-2.0-or-later
"""What a scene is, whatever product it came as: bands with their scaling, quality bands, sensor, date and level."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...errors import ToolboxError
from ..sensors import load_sensors
from .quality import QualityBand

REFLECTANCE, TEMPERATURE, OTHER = "reflectance", "temperature", "other"
SURFACE, TOP_OF_ATMOSPHERE = "surface", "toa"


@dataclass(frozen=True)
class Scaling:
    """From stored to physical values: value × scale + offset, and for radiance on to brightness temperature.

    Attributes:
        scale: Factor.
        offset: Added after the factor.
        planck: (K1, K2) of a thermal band: its temperature in kelvin is K2 / ln(K1 / radiance + 1); None for other bands.
    """

    scale: float = 1.0
    offset: float = 0.0
    planck: tuple[float, float] | None = None

    def apply(self, stored: NDArray[np.generic]) -> NDArray[np.float64]:
        """Physical values of an array of any shape; NaN where the radiance is not positive."""
        values = stored.astype(np.float64) * self.scale + self.offset
        if self.planck is None:
            return values
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(values > 0, self.planck[1] / np.log(self.planck[0] / values + 1), np.nan)


@dataclass(frozen=True)
class SceneBand:
    """One band of a scene.

    Attributes:
        name: Our name of the band, such as red.
        code: Its code at the sensor, such as B4; empty for rasters of no known sensor.
        source: GDAL source.
        number: One-based band of the source.
        cell_size: Of the source, in units of its CRS; 0 if not known before it is opened.
        wavelength_um: Centre in micrometres, or None.
        scaling: To reflectance or kelvin.
        kind: ``reflectance``, ``temperature`` or ``other``.
        nodata: Stored value without data, besides what the source itself says; None if there is none.
        saturated: Stored value of a saturated detector; None if there is none.
        driver: The only GDAL driver that may open the source; empty = any.
        unscalable: Why the band has stored numbers only, in a sentence for who asks for more; empty for most bands.
    """

    name: str
    code: str
    source: str
    number: int = 1
    cell_size: float = 0.0
    wavelength_um: float | None = None
    scaling: Scaling = Scaling()
    kind: str = REFLECTANCE
    nodata: float | None = None
    saturated: float | None = None
    driver: str = ""
    unscalable: str = ""


@dataclass(frozen=True)
class Scene:
    """A scene that is ready to be stacked.

    Attributes:
        title: For messages: name of the product, or of the list.
        sensor: Id in resources/tables/sensors.json; empty if not known.
        bands: All bands found; several of one code when the product has it at several cell sizes.
        usual: Codes of the bands that are taken when none are asked for; empty = all bands.
        quality: Quality bands; empty if the product has none.
        level: ``surface`` or ``toa``; empty for rasters of no known product.
        date: Of the acquisition, ISO; empty if not known.
        remarks: Sentences for the user.
        missing_quality: By class to mask, the quality file that tells it in such products but is not there.
    """

    title: str
    sensor: str
    bands: tuple[SceneBand, ...]
    usual: tuple[str, ...] = ()
    quality: tuple[QualityBand, ...] = ()
    level: str = ""
    date: str = ""
    remarks: tuple[str, ...] = ()
    missing_quality: dict[str, str] = field(default_factory=dict)

    @property
    def sources(self) -> list[str]:
        """GDAL sources of all bands and quality bands."""
        return [*(band.source for band in self.bands), *(quality.source for quality in self.quality)]

    def choose(self, wanted: list[str], resolution: float) -> list[SceneBand]:
        """The bands asked for, in their order, each at the cell size that fits best.

        Args:
            wanted: Names or codes; empty = the usual ones; ``all`` = everything.
            resolution: Cell size wanted; 0 = the finest.

        Raises:
            ToolboxError: The scene lacks a band, or one is asked for twice.
        """
        if not wanted:
            wanted = list(self.usual) or ["all"]
        if [text.lower() for text in wanted] == ["all"]:
            wanted = list(dict.fromkeys(band.code or band.name for band in self.bands))
        chosen = [self._find(text, resolution) for text in wanted]
        names = [band.name for band in chosen]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ToolboxError(f"BANDS asks for the band {twice} twice; leave one out.")
        return chosen

    def _find(self, text: str, resolution: float) -> SceneBand:
        known = load_sensors().sensors[self.sensor].find(text) if self.sensor else None
        candidates = [band for band in self.bands if known and band.code == known.code]
        candidates = candidates or [band for band in self.bands if text.casefold() in (band.name.casefold(), band.code.casefold())]
        if not candidates:
            have = ", ".join(dict.fromkeys(f"{band.name} ({band.code})" if band.code else band.name for band in self.bands))
            raise ToolboxError(f"{self.title} has no band “{text}”; it has {have}. Check the download, or name other bands in BANDS.")
        return min(candidates, key=lambda band: misfit(band.cell_size, resolution))


def misfit(cell_size: float, resolution: float) -> tuple[bool, float]:
    """How badly a file of a cell size fits a resolution: the smaller, the better.

    Best is the coarsest that is still fine enough, as the agency has averaged it; without one the finest there is.
    """
    is_too_coarse = cell_size > resolution + 1e-6
    return is_too_coarse, cell_size if is_too_coarse else -cell_size


def missing_remark(files: list[str]) -> tuple[str, ...]:
    """A sentence about files that the metadata list but that are not there; nobody needs all of them, so this is no error."""
    if not files:
        return ()
    shown = ", ".join(files[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else "")
    return (f"Files that the metadata list are not there ({shown}); the other bands can be used.",)
