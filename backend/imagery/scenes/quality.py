# SPDX-License-Identifier: GPL-2.0-or-later
"""Quality bands of products and what their values mean.

Sources: USGS, Landsat Collection 2 Quality Assessment Bands (QA_PIXEL, QA_RADSAT); ESA, Sentinel-2 Products Specification Document
(scene classification SCL of Level-2A; MSK_CLASSI of Level-1C from processing baseline 04.00 on).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Bits of QA_PIXEL; bit 0 is fill. Only OLI has a band that sees cirrus: with TM and ETM+ its bit is unused.
PIXEL_BITS = {"cloud": (1, 3), "shadow": (4,), "snow": (5,)}  # cloud: dilated cloud, cloud
OLI_PIXEL_BITS = {**PIXEL_BITS, "cirrus": (2,)}
DROPPED_BIT = 9  # of QA_RADSAT of TM and ETM+: the detector gave no value
SCENE_CLASSES = {"saturation": (1,), "shadow": (3,), "cloud": (8, 9), "cirrus": (10,), "snow": (11,)}
CLASSI_BANDS = {"cloud": 1, "cirrus": 2, "snow": 3}


@dataclass(frozen=True)
class QualityBand:
    """A quality band.

    Attributes:
        kind: ``pixel`` (QA_PIXEL of TM and ETM+), ``pixel_oli`` (of OLI), ``radsat`` (QA_RADSAT), ``scl`` or ``classi``.
        source: GDAL source.
        cell_size: In units of the CRS.
        driver: The GDAL driver that opens it.
    """

    kind: str
    source: str
    cell_size: float
    driver: str

    @property
    def classes(self) -> set[str]:
        """The classes that the band tells of."""
        return classes_of(self.kind)

    @property
    def numbers(self) -> list[int]:
        """One-based bands of the source to read."""
        return list(CLASSI_BANDS.values()) if self.kind == "classi" else [1]

    def find(self, values: NDArray[np.generic], name: str, codes: Sequence[str]) -> NDArray[np.bool_]:
        """Where a class is.

        Args:
            values: (bands, rows, columns) of the source.
            name: One of `classes`.
            codes: The bands that are used, such as B4; only their saturation counts.

        Returns:
            (rows, columns) bool.
        """
        finders: dict[str, Callable[[], NDArray[np.bool_]]] = {
            "pixel": lambda: _has_bit(values[0], PIXEL_BITS[name]),
            "pixel_oli": lambda: _has_bit(values[0], OLI_PIXEL_BITS[name]),
            "radsat": lambda: _has_bit(values[0], [*(saturation_bit(code) for code in codes), DROPPED_BIT]),
            "scl": lambda: np.isin(values[0], SCENE_CLASSES[name]),
            "classi": lambda: values[CLASSI_BANDS[name] - 1] == 1,
        }
        return finders[self.kind]()


def classes_of(kind: str) -> set[str]:
    """The classes that a kind of quality band tells of."""
    known = {"pixel": PIXEL_BITS, "pixel_oli": OLI_PIXEL_BITS, "radsat": {"saturation"}, "scl": SCENE_CLASSES, "classi": CLASSI_BANDS}
    return set(known[kind])


def saturation_bit(code: str) -> int:
    """The bit of QA_RADSAT for a band: bit 0 for B1, … ; thermal bands of OLI/TIRS (B10, B11) have none and get an unused one."""
    number = int(code[1:])
    return number - 1 if number <= 9 else 15


def _has_bit(values: NDArray[np.generic], bits: Sequence[int]) -> NDArray[np.bool_]:
    mask = sum(1 << bit for bit in set(bits))
    return (values.astype(np.uint16) & np.uint16(mask)) != 0
