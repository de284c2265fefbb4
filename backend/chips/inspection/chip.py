# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads one chip of any format and finds the facts that an inspection is about. Called by several threads."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ...errors import ToolboxError
from ...imagery.raster import RasterInfo, RasterReader
from ..chip_labels import UNLABELLED_FORMATS, LabelReader
from ..map_file import ChipFiles

DIGEST_BYTES = 16
Corners = tuple[tuple[float, float], ...]


@dataclass
class ChipFacts:
    """What is known of a chip.

    Attributes:
        files: The chip.
        shape: (width, height, bands); None where an image cannot be read.
        dtype: Type of its values.
        corners: Upper left, upper right, lower right, lower left in map units; None where the chip does not say where it is.
        crs_wkt: CRS; None without.
        nodata: Share of the pixels that are nodata, 0 to 1.
        labelled: Share of the valid pixels that have a class, 0 to 1.
        is_flat: All valid pixels have the same values.
        digest: Of the stored pixels of both images; None where one cannot be read.
        pixels: Class value → labelled pixels.
        objects: Class value → objects.
        unlisted: Value or name that the class list lacks → pixels or objects.
        fault: What is wrong with the image, in a sentence; empty when nothing is.
        label_fault: The same for the label.
    """

    files: ChipFiles
    shape: tuple[int, int, int] | None = None
    dtype: str = ""
    corners: Corners | None = None
    crs_wkt: str | None = None
    nodata: float = 0.0
    labelled: float = 0.0
    is_flat: bool = False
    digest: bytes | None = None
    pixels: dict[int, int] = field(default_factory=dict)
    objects: dict[int, int] = field(default_factory=dict)
    unlisted: dict[str, int] = field(default_factory=dict)
    fault: str = ""
    label_fault: str = ""


@dataclass
class ChipReading:
    """The facts of a chip and its pixels.

    Attributes:
        facts: The facts.
        info: Properties of the image; None where it cannot be read, as in the next three.
        bands: One-based numbers of the bands read.
        image: (bands, rows, columns) float32 after scale and offset, 0 where invalid.
        valid: (rows, columns) bool.
    """

    facts: ChipFacts
    info: RasterInfo | None = None
    bands: tuple[int, ...] = ()
    image: NDArray[np.float32] | None = None
    valid: NDArray[np.bool_] | None = None


class ChipInspector:
    """Inspects chips of one folder.

    Args:
        folder: The folder.
        labels: Reads its labels.
        mode: Its metadata format.
        is_placed: Every chip has its place on the map, also one in the upper left corner of a raster without georeference.
    """

    def __init__(self, folder: Path, labels: LabelReader, mode: str, is_placed: bool) -> None:
        self._folder = folder
        self._labels = labels
        self._mode = mode
        self._is_placed = is_placed

    def inspect(self, files: ChipFiles) -> ChipReading:
        """The facts of a chip; what cannot be read is told in them."""
        facts = ChipFacts(files)
        try:
            with RasterReader(str(self._folder / files.image), allow_rotation=True) as reader:
                info, bands = reader.info, tuple(reader.bands)
                stored, valid = reader.read_raw(Window(0, 0, info.width, info.height))
                image = reader.to_physical(stored, valid)
            facts.corners, facts.crs_wkt = _find_corners(info, self._is_placed), info.crs_wkt
            second = self._read_second(files, info)
        except ToolboxError as failure:
            facts.fault = str(failure)
            return ChipReading(facts)
        facts.shape, facts.dtype = (info.width, info.height, len(bands)), info.dtype
        digest = hashlib.blake2b(np.ascontiguousarray(stored).data, digest_size=DIGEST_BYTES)
        digest.update(f"{facts.shape} {info.dtype}".encode())
        digest.update(second)
        facts.digest = digest.digest() if valid.any() else None
        facts.nodata = 1 - float(valid.mean())
        facts.is_flat = _is_flat(stored, valid)
        self._add_labels(facts, valid)
        return ChipReading(facts, info, bands, image, valid)

    def _read_second(self, files: ChipFiles, first: RasterInfo) -> bytes:
        """The stored pixels of the second image; raises ToolboxError unless it has the size of the first."""
        if files.second is None:
            return b""
        with RasterReader(str(self._folder / files.second), allow_rotation=True) as reader:
            info = reader.info
            if self._mode not in UNLABELLED_FORMATS and (info.width, info.height) != (first.width, first.height):
                raise ToolboxError(
                    f"The second image has {info.width} × {info.height} pixels, the first {first.width} × {first.height}."
                )
            return reader.read_raw(Window(0, 0, info.width, info.height))[0].tobytes()

    def _add_labels(self, facts: ChipFacts, valid: NDArray[np.bool_]) -> None:
        try:
            labels = self._labels.read(facts.files, valid)
        except ToolboxError as failure:
            facts.label_fault = str(failure)
            return
        facts.pixels, facts.objects, facts.unlisted = dict(labels.pixels), dict(labels.objects), dict(labels.unlisted)
        facts.labelled = sum(labels.pixels.values()) / max(np.count_nonzero(valid), 1)


def _is_flat(stored: NDArray, valid: NDArray[np.bool_]) -> bool:
    """Whether all valid pixels have the values of the first one."""
    if not valid.any():
        return False
    first = np.unravel_index(int(np.argmax(valid)), valid.shape)
    differs = (stored != stored[:, first[0], first[1]][:, None, None]) & valid
    return not differs.any()


def _find_corners(info: RasterInfo, is_placed: bool) -> Corners | None:
    if info.transform.is_identity and not is_placed:
        return None
    edges = ((0, 0), (info.width, 0), (info.width, info.height), (0, info.height))
    corners = tuple(info.transform * edge for edge in edges)
    if info.crs_wkt is None and info.transform.e > 0:
        return tuple((x, -y) for x, y in corners)  # QGIS shows rasters without georeference with rows downwards from 0
    return corners
