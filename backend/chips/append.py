# SPDX-License-Identifier: GPL-2.0-or-later
"""Adding to an export: what must agree, how the older figures are taken over, how new files join the old ones.

New chips get new names, so nothing old is overwritten but the metadata. The new index replaces the old one last and in one step: if
the machine dies before, the folder is the older export, with files beside that its index does not name and that the next addition
replaces. At no moment is the folder without an index.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from rasterio.windows import Window

from ..errors import ToolboxError
from ..imagery.band_statistics import BandStatistics
from ..imagery.raster import RasterReader
from ..imagery.statistics import StatisticsAccumulator
from ..labels.schema import ClassSchema
from ..runtime.output_folder import JOB_FILES, OutputFolder
from . import names
from .chip_writer import NAME_DIGITS
from .formats.cyclegan import KINDS
from .index import INDEX_NAME, ChipIndex, ChipRecord
from .inputs import UNNAMED, UsedBands, describe_bands, find_crs_difference, find_difference
from .settings import ExportSettings
from .source_grid import SourceGrid

# Percentiles settle long before this many chips; the other figures are exact.
MOST_SAMPLE_CHIPS = 200
PIXELS_PER_CHIP = 1000
SHOWN_ENTRIES = 3
CHIP_FOLDERS = ("images", "images2", "labels", "labels2", "blocks", *KINDS)
METADATA = (names.MAP, names.EMD, names.STATS_JSON, names.STATS_TXT)  # that also describe each kind of CycleGAN in its folder
OWN_CHIP = re.compile(rf"\d{{{NAME_DIGITS}}}\..+")  # also world files, GDAL's metadata and QGIS's overviews beside it


def read_previous(settings: ExportSettings) -> ChipIndex | None:
    """The index of the export that is added to; None when there is none yet, or when it is to be replaced.

    Raises:
        ToolboxError: The folder holds something and no index of ours, or the export was made by an older version or with settings that
            cannot be mixed, which are named.
    """
    folder = Path(settings.output)
    if not (folder / INDEX_NAME).is_file():
        _refuse_strangers(folder)
        return None
    if not settings.append:
        refuse_foreign_chips(folder)
        return None
    index = ChipIndex.read(folder)
    if not index.sources:
        raise ToolboxError(f"{folder} was exported by an older version, so nothing can be added to it; export into a new folder.")
    wanted = {
        "METADATA_FORMAT": (index.metadata_format, settings.metadata_format),
        "CHIP_FORMAT": (index.chip_format, settings.chip_format),
        "TILE_SIZE": (tuple(index.tile_size), (settings.tile_size_x, settings.tile_size_y)),
        "REFERENCE_SYSTEM": (index.reference_system, settings.reference_system),
        "CROP_MODE": (index.crop_mode, settings.crop_mode),
        "BLACKEN": (index.blacken, settings.blacken),
        "INPUT2": (bool(index.bands2), settings.raster2 is not None),
    }
    differences = [f"{name} is {now}, there {before}" for name, (before, now) in wanted.items() if before != now]
    kind = "polygons" if settings.labels is not None else "raster" if settings.label_raster is not None else "none"
    if kind != index.label_kind:
        differences.append(f"the labels are {kind}, there {index.label_kind}")
    if differences:
        raise ToolboxError(f"Nothing can be added to {folder}, which was exported otherwise ({'; '.join(differences)}).")
    return index


def _refuse_strangers(folder: Path) -> None:
    """Raises ToolboxError unless a folder without an index is empty: whatever it holds, this tool did not finish writing it."""
    entries = folder.iterdir() if folder.is_dir() else ()
    found = sorted(entry.name for entry in entries if entry.name not in JOB_FILES and not entry.name.startswith(".partial-"))
    if {names.EMD, names.STATS_JSON} & set(found):
        raise ToolboxError(
            f"{folder} holds training data of ArcGIS (there is no {INDEX_NAME}), which this tool neither replaces nor adds to; export "
            "into a new folder, and give both folders to the training."
        )
    if found:
        more = f" and {len(found) - SHOWN_ENTRIES} more" if len(found) > SHOWN_ENTRIES else ""
        raise ToolboxError(
            f"The output folder {folder} holds other files ({', '.join(found[:SHOWN_ENTRIES])}{more}) and no {INDEX_NAME}, so it is "
            "not an export of this tool; choose an empty or a new folder."
        )


def refuse_foreign_chips(folder: Path) -> None:
    """Raises ToolboxError when the folders of an older export, which is to be replaced, hold files that no export wrote."""
    foreign = sorted(
        path.relative_to(folder).as_posix()
        for name in CHIP_FOLDERS
        for path in (folder / name).rglob("*")
        if not path.is_dir() and path.name not in METADATA and not OWN_CHIP.fullmatch(path.name)
    )
    if foreign:
        more = f" and {len(foreign) - SHOWN_ENTRIES} more" if len(foreign) > SHOWN_ENTRIES else ""
        raise ToolboxError(
            f"The older export in {folder} would be replaced, but holds other files, too "
            f"({', '.join(foreign[:SHOWN_ENTRIES])}{more}); move them away, or choose a new folder."
        )


def check_bands(index: ChipIndex, grid: SourceGrid, second: SourceGrid | None) -> None:
    """Raises ToolboxError, naming the difference, when the bands are not those of the older export."""
    difference = find_difference(_describe_older(index.dtype, index.bands), describe_bands(grid))
    if not difference and second is not None:
        difference = find_difference(_describe_older(second.info.dtype, index.bands2), describe_bands(second))
        difference = difference and f"INPUT2: {difference}"
    difference = difference or find_crs_difference(index.crs_wkt, grid.placed.crs_wkt)
    if difference:
        raise ToolboxError(
            f"{grid.name} cannot be added to the export in the folder: {difference}; choose other BANDS or a new folder."
        )


def keep_names(before: tuple[BandStatistics, ...], now: list[BandStatistics]) -> tuple[BandStatistics, ...]:
    """Figures of both exports with the names and wavelengths of the older one, as far as it has any."""
    return tuple(
        replace(
            band,
            name=band.name if older.name.startswith(UNNAMED) else older.name,
            wavelength=older.wavelength or band.wavelength,
        )
        for older, band in zip(before, now, strict=True)
    )


def _describe_older(dtype: str, bands: tuple[BandStatistics, ...]) -> UsedBands:
    return UsedBands(dtype, [band.name for band in bands], [(band.scale, band.offset) for band in bands])


def join_schemas(before: ClassSchema | None, now: ClassSchema) -> ClassSchema:
    """The classes of both exports; raises ToolboxError when one value has two names or one name, in whatever case, two values."""
    entries = {entry.value: entry for entry in (before.classes if before else ())}
    older = {entry.name.casefold(): entry for entry in entries.values()}
    for entry in now.classes:
        alike = older.get(entry.name.casefold(), entry)
        if alike.value != entry.value and entry.value not in entries:
            raise ToolboxError(
                f"“{entry.name}” is class {entry.value} here, and “{alike.name}” class {alike.value} in the export that is added to; "
                "change the labels so that a name has one value, or export into a new folder."
            )
        known = entries.setdefault(entry.value, entry)
        if known.name != entry.name:
            raise ToolboxError(
                f"Class {entry.value} is “{entry.name}” here and “{known.name}” in the export that is added to; change the labels so "
                "that a value has one name, or export into a new folder."
            )
    return ClassSchema(tuple(entries[value] for value in sorted(entries)))


def restore(statistics: StatisticsAccumulator, bands: tuple[BandStatistics, ...], folder: Path, paths: list[str]) -> None:
    """Continues band statistics with those of the older chips; reads some of these for the percentiles."""
    samples = []
    for number in np.unique(np.linspace(0, len(paths) - 1, min(len(paths), MOST_SAMPLE_CHIPS)).astype(int)):
        with RasterReader(str(_inside(folder, paths[number])), allow_rotation=True) as reader:
            image, valid = reader.read(Window(0, 0, reader.info.width, reader.info.height))
        pixels = image[:, valid]
        samples.append(pixels[:, :: max(1, pixels.shape[1] // PIXELS_PER_CHIP)])
    statistics.restore(bands, np.concatenate(samples, axis=1))


def _inside(folder: Path, relative: str) -> Path:
    path = (folder / relative).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ToolboxError(f"The index of {folder} names a file outside the folder ({relative}); do not use this folder.")
    return path


def largest_block(index: ChipIndex | None) -> int:
    """The largest block number of the older chips, 0 without."""
    return max((block for chip in index.chips for block, _, _ in chip.features), default=0) if index else 0


def overlap(groups: list[list[ChipRecord]]) -> bool:
    """Whether chips of different groups may show the same ground: whether the bounds of two groups meet."""
    boxes = []
    for records in groups:
        if records:
            bounds = np.array([record.bounds for record in records])
            boxes.append((*bounds[:, :2].min(axis=0), *bounds[:, 2:].max(axis=0)))
    return any(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3] for place, a in enumerate(boxes) for b in boxes[:place])


def publish_added(output: OutputFolder) -> None:
    """Moves new files beside the old ones, then replaces the metadata, the index last.

    Raises:
        ToolboxError: A file could not be moved; the older export is as it was.
    """
    aside = output.partial / "previous"
    aside.mkdir()
    files = sorted(
        (path for path in output.partial.rglob("*") if path.is_file()),
        key=lambda path: (path.parent == output.partial, path.name == INDEX_NAME, path),
    )
    done: list[tuple[Path, Path]] = []
    try:
        for source in files:
            target = output.path / source.relative_to(output.partial)
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                kept = aside / str(len(done))
                shutil.copy2(target, kept)  # not moved, so that a name never lacks its file
                done.append((target, kept))
            source.replace(target)
            done.append((source, target))
    except OSError as failure:
        for source, target in reversed(done):
            target.replace(source)
        raise ToolboxError(
            f"The chips cannot be moved into {output.path} ({failure.strerror}: {Path(failure.filename or '').name}); what was "
            "there is unchanged. Close programs that use the folder, then run again."
        ) from failure
