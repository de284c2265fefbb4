# SPDX-License-Identifier: GPL-2.0-or-later
"""The chips of a folder of ArcGIS as training wants them: an index, and the masks of objects where there is no label chip.

Classified Tiles have a label chip with class values. The class chips of Panoptic Segmentation are the same. RCNN Masks have, for each
class that occurs, a chip with the numbers of the objects; they are burned into one label. All other formats have no label for each
pixel and are refused. Such a folder does not say which label each pixel came from, so its chips have no block numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from rasterio.windows import Window

from ..errors import ToolboxError
from ..imagery.band_statistics import BandStatistics
from ..imagery.raster import RasterInfo, RasterReader, describe
from ..imagery.statistics import StatisticsAccumulator
from .arcgis_folder import CLASSIFIED_TILES, EMD, PANOPTIC, RCNN_MASKS, ArcgisMetadata, list_chips
from .class_masks import OUTSIDE_OBJECTS, ClassMask, claim, class_masks, read_usable_metadata
from .index import ChipIndex, ChipRecord
from .map_file import ChipFiles

# Statistics of bands settle long before this many chips; reading all would take as long as an epoch.
MOST_STATISTICS_CHIPS = 200


@dataclass(frozen=True)
class ArcgisChips:
    """The chips of a folder.

    Attributes:
        index: Bands, classes and chips.
        masks: Image of a chip → its masks, in the order of the classes, for folders without label chips.
        struck_out: Number of chips left out because they are struck out.
        notes: Sentences that the user should know.
    """

    index: ChipIndex
    masks: Mapping[str, tuple[ClassMask, ...]]
    struck_out: int
    notes: tuple[str, ...]


def read_arcgis_chips(path: Path, struck_out: frozenset[str]) -> ArcgisChips:
    """The chips of the folder but those struck out.

    Raises:
        ToolboxError: A format without a label for each pixel, no chips, a missing file, chips of several sizes, or damaged metadata.
    """
    metadata = read_usable_metadata(path)
    if not metadata.classes.classes:
        raise ToolboxError(f"{path / EMD} lists no classes; export the training data again.")
    chips, struck, notes = _choose_chips(path, metadata, struck_out)
    info = describe(str(path / chips[0].image), allow_rotation=True)
    records = tuple(_record(path, chip, info) for chip in chips)
    index = ChipIndex(
        source=str(path),
        label_kind="raster",
        tile_size=(info.width, info.height),
        stride=(info.width, info.height),
        bands=_statistics(path, records, info, metadata.band_names),
        classes=metadata.classes,
        crs_wkt=info.crs_wkt,
        cell_size=info.cell_size,
        gsd_m=info.gsd_m,
        chips=records,
    )
    masks = {chip.image: class_masks(path, chip, metadata) for chip in chips} if metadata.mode == RCNN_MASKS else {}
    return ArcgisChips(index, masks, struck, tuple(notes))


def _choose_chips(path: Path, metadata: ArcgisMetadata, struck_out: frozenset[str]) -> tuple[list[ChipFiles], int, list[str]]:
    """The chips to train on, the listed ones first, how many are struck out, and what is to be said of the chips."""
    told: set[str] = set()
    listed: list[ChipFiles] = []
    unlisted: list[ChipFiles] = []
    unlabelled: list[str] = []
    missing: list[str] = []
    for chip, is_listed in list_chips(path, partial(claim, told)):
        if chip.image in struck_out:
            continue
        chip = replace(chip, labels=_choose_labels(path, chip, metadata.mode))
        absent = [relative for relative in (chip.image, *chip.labels) if not (path / relative).is_file()]
        if absent:
            missing.append(absent[0])
        elif not chip.labels and metadata.mode != RCNN_MASKS:
            unlabelled.append(chip.image)
        else:
            (listed if is_listed else unlisted).append(chip)
    notes = list(_describe_choice(path, unlisted, unlabelled, missing))
    if not listed and not unlisted:
        faults = [*notes, "All chips are struck out."] if struck_out & told else notes or ["map.txt lists no chips."]
        raise ToolboxError(f"{path} has nothing to train on: {' '.join(faults)} Choose another folder, or export again.")
    if any(chip.second for chip in listed):
        notes.append(f"The chips of {path} have a second image each, which is not used.")
    if metadata.mode == RCNN_MASKS:
        notes.append(OUTSIDE_OBJECTS)
    return [*listed, *sorted(unlisted, key=lambda chip: chip.image)], len(struck_out & told), notes


def _describe_choice(path: Path, unlisted: list[ChipFiles], unlabelled: list[str], missing: list[str]) -> Iterator[str]:
    """Sentences on the chips that are not as they should be; ArcGIS uses and leaves out the same."""
    if unlisted:
        yield f"{path} has {len(unlisted)} chip(s) that map.txt does not list ({unlisted[0].image}, …); they are used."
    if unlabelled:
        yield f"{path} has {len(unlabelled)} image(s) without a label ({unlabelled[0]}, …); they are left out."
    if missing:
        yield f"map.txt of {path} names {missing[0]}, which is not in the folder; {len(missing)} such chip(s) are left out."


def _choose_labels(path: Path, chip: ChipFiles, mode: str) -> tuple[str, ...]:
    """The label files to use; raises ToolboxError, naming them, unless they belong to the image."""
    for label in chip.labels:
        if Path(label).stem != chip.stem:
            raise ToolboxError(f"map.txt of {path} pairs the image {chip.image} with the label {label}; export again.")
    if mode != PANOPTIC and mode != CLASSIFIED_TILES:
        return chip.labels
    # Panoptic chips also list masks of objects in the folder labels2.
    labels = tuple(label for label in chip.labels if not label.startswith("labels2/"))
    if len(labels) > 1:
        raise ToolboxError(f"map.txt of {path} has {len(labels)} labels for the image {chip.image} instead of 1; export again.")
    return labels


def _record(path: Path, files: ChipFiles, first: RasterInfo) -> ChipRecord:
    """The record of a chip; raises ToolboxError when it has another size or number of bands than the first."""
    chip = describe(str(path / files.image), allow_rotation=True)
    if (chip.count, chip.width, chip.height) != (first.count, first.width, first.height):
        raise ToolboxError(
            f"{path / files.image} has {chip.count} bands of {chip.width} × {chip.height} pixels, the first chip {first.count} of "
            f"{first.width} × {first.height}; strike it out with Inspect training data, or export again into an empty folder."
        )
    return ChipRecord(
        name=files.stem,
        image=files.image,
        label=files.labels[0] if files.labels else "",
        blocks=None,
        window=None,
        bounds=_surround(chip),
        class_pixels={},
        valid_pixels=-1,
    )


def _surround(chip: RasterInfo) -> tuple[float, float, float, float]:
    """(xmin, ymin, xmax, ymax) around a chip, which may be turned."""
    edges = ((0, 0), (chip.width, 0), (chip.width, chip.height), (0, chip.height))
    xs, ys = zip(*(chip.transform * edge for edge in edges), strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _statistics(
    path: Path, chips: tuple[ChipRecord, ...], info: RasterInfo, band_names: tuple[str, ...]
) -> tuple[BandStatistics, ...]:
    """Statistics from an even choice of chips: those in the metadata lack percentiles and count nodata."""
    accumulator: StatisticsAccumulator | None = None
    bands: list[int] = []
    for number in np.unique(np.linspace(0, len(chips) - 1, min(len(chips), MOST_STATISTICS_CHIPS)).astype(int)):
        with RasterReader(str(path / chips[number].image), allow_rotation=True) as reader:
            bands = reader.bands
            accumulator = accumulator or StatisticsAccumulator(len(bands))
            accumulator.add(*reader.read(Window(0, 0, reader.info.width, reader.info.height)))
    if accumulator is None or accumulator.count == 0:
        raise ToolboxError(f"The chips of {path} are nodata everywhere; check the raster and export again.")
    if len(band_names) >= max(bands):
        info = replace(info, band_names=band_names)
    return tuple(accumulator.finish(info, bands))
