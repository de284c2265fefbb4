# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes a chip of the arrays under its place: turns it, takes labels from nodata, finds its objects, decides whether it is wanted.

Runs in threads; holds nothing that changes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from ..imagery.statistics import WindowSummary, summarise
from ..labels.vector import VectorLabels
from . import names
from .chip import Chip, ChipObject, Layer, clipped_objects, number_regions, region_objects
from .formats.base import MetadataFormat
from .placement import Place
from .rotation import sample_positions, turn_bilinear, turn_nearest
from .settings import ExportSettings
from .tally import count_ground

Counts = tuple[dict[int, int], dict[int, int]]


@dataclass(frozen=True)
class CutArrays:
    """What lies under a place's window; each array (…, rows, columns) of the window.

    Attributes:
        image: Values and validity.
        image2: The same of the second raster.
        labels: Class values and blocks; None where the labels are burned for the chip alone.
        instances: The same of the instance layer.
    """

    image: tuple[NDArray, NDArray[np.bool_]]
    image2: tuple[NDArray, NDArray[np.bool_]] | None
    labels: tuple[NDArray[np.uint16], NDArray[np.uint32]] | None
    instances: tuple[NDArray[np.uint16], NDArray[np.uint32]] | None


@dataclass(frozen=True)
class Prepared:
    """The outcome for one place.

    Attributes:
        chip: The chip; None when it is not wanted.
        ground: Labelled pixels by class on valid pixels and on nodata, of the chip's own ground.
        summary: Of the image, for the band statistics.
        summary2: Of the second image.
    """

    chip: Chip | None
    ground: Counts
    summary: WindowSummary | None = None
    summary2: WindowSummary | None = None


@dataclass(frozen=True)
class ChipMaker:
    """Prepares the chips of one raster.

    Attributes:
        settings: The request.
        form: The metadata format.
        labels: Features as labels; None for a class raster or without labels.
        has_labels: Whether there are labels of any kind.
        cell_area: Of a pixel, in square map units.
    """

    settings: ExportSettings
    form: MetadataFormat
    labels: VectorLabels | None
    has_labels: bool
    cell_area: float

    def prepare(self, place: Place, cut: CutArrays, number: int, key_limits: tuple[float, float]) -> Prepared:
        """Makes the chip.

        Args:
            place: Where it lies.
            cut: The arrays under ``place.window``.
            number: Of the place in the run, for the sample of the statistics.
            key_limits: See `summarise`, for both images.
        """
        image, image2, label, blocks, instances = self._turn(place, cut)
        valid = image.valid
        if image2 is not None and self.has_labels:
            valid = valid & image2.valid
        own = slice(0, place.own[1]), slice(0, place.own[0])
        ground = count_ground(label, valid) if place.feature is not None and place.angle == 0 else count_ground(label[own], valid[own])
        if not valid.all():
            label, blocks = np.where(valid, label, np.uint16(0)), np.where(valid, blocks, np.uint32(0))
            instances = instances and (np.where(valid, instances[0], np.uint16(0)), instances[1])
        label, blocks, objects = self._find_objects(place, label, blocks, valid)
        chip = Chip(place, image, label, blocks, objects, image2, instances)
        if not self._is_wanted(chip):
            return Prepared(None, ground)
        seen = image.valid
        if self.settings.blacken:
            seen = image.valid & (label == objects[0].value)
            chip.image = Layer(np.where(label == objects[0].value, image.image, image.image.dtype.type(0)), image.valid)
        summary = summarise(chip.image.image, seen, number, key_limits[0])
        summary2 = None if image2 is None else summarise(image2.image, image2.valid, number, key_limits[1])
        return Prepared(chip, ground, summary, summary2)

    def _turn(self, place: Place, cut: CutArrays) -> tuple[Layer, Layer | None, NDArray, NDArray, tuple[NDArray, NDArray] | None]:
        """The arrays as the chip sees them: image, second image, label, blocks, instances."""
        shape = place.height, place.width
        if place.angle == 0:
            images = [pair and Layer(*pair) for pair in (cut.image, cut.image2)]
            labels, instances = cut.labels, cut.instances
        else:
            window = place.window
            to_window = Affine.translation(-window.col_off, -window.row_off) * place.to_grid
            positions = sample_positions(to_window, place.width, place.height)
            images = [pair and Layer(*turn_bilinear(*pair, *positions)) for pair in (cut.image, cut.image2)]
            labels, instances = (
                pair and (turn_nearest(pair[0], *positions), turn_nearest(pair[1], *positions)) for pair in (cut.labels, cut.instances)
            )
        if place.feature is not None and self.labels is not None:
            inside = self.labels.burn_feature(place.feature, place.to_grid, shape)
            labels = inside * self.labels.values[place.feature], inside * self.labels.numbers[place.feature]
        label, blocks = labels if labels is not None else (np.zeros(shape, np.uint16), np.zeros(shape, np.uint32))
        return images[0], images[1], label, blocks, instances

    def _find_objects(
        self, place: Place, label: NDArray[np.uint16], blocks: NDArray[np.uint32], valid: NDArray[np.bool_]
    ) -> tuple[NDArray[np.uint16], NDArray[np.uint32], list[ChipObject]]:
        """Label, blocks and objects of what counts in the chip."""
        if self.labels is not None:
            return self._find_features(place, label, blocks, valid)
        if place.feature is None and self.settings.metadata_format in names.PER_FEATURE:
            return _keep_commonest(label, blocks, self.cell_area)
        if self.form.NEEDS_REGIONS:
            blocks = number_regions(label)
        return label, blocks, region_objects(label, blocks, self.cell_area) if self.form.USES_OBJECTS else []

    def _find_features(
        self, place: Place, label: NDArray[np.uint16], blocks: NDArray[np.uint32], valid: NDArray[np.bool_]
    ) -> tuple[NDArray[np.uint16], NDArray[np.uint32], list[ChipObject]]:
        if not self.form.USES_OBJECTS and self.settings.min_overlap_ratio == 0:
            return label, blocks, []
        clipped = self.labels.clip(place.to_grid, place.width, place.height)
        if place.feature is not None:
            clipped = clipped.keep(clipped.places == place.feature)
        # A share of exactly the ratio counts, whatever the rounding of areas.
        dropped = clipped.shares < self.settings.min_overlap_ratio * (1 - 1e-9)
        if dropped.any():
            gone = np.isin(blocks, self.labels.numbers[clipped.places[dropped]])
            label, blocks = np.where(gone, np.uint16(0), label), np.where(gone, np.uint32(0), blocks)
        objects = clipped_objects(self.labels, clipped.keep(~dropped), valid, self.cell_area) if self.form.USES_OBJECTS else []
        return label, blocks, objects

    def _is_wanted(self, chip: Chip) -> bool:
        """Whether enough of the chip is labelled, or it is wanted without labels."""
        labelled = np.count_nonzero(chip.label)
        holds = bool(chip.objects) if self.form.USES_OBJECTS else labelled > 0
        if chip.instances is not None:
            holds = holds or bool(chip.instances[0].any())
        if not holds and (self.settings.empty_tiles or not self.has_labels):
            holds = bool(chip.image.valid.any())
        return holds and labelled >= self.settings.min_labeled_ratio * chip.label.size


def _keep_commonest(
    label: NDArray[np.uint16], blocks: NDArray[np.uint32], cell_area: float
) -> tuple[NDArray[np.uint16], NDArray[np.uint32], list[ChipObject]]:
    """The class with the most pixels, the smaller value of two that tie, as the chip's one object."""
    if not label.any():
        return label, blocks, []
    counts = np.bincount(label[label > 0])
    value = int(counts.argmax())
    kept = np.where(label == value, label, np.uint16(0))
    return kept, np.where(kept > 0, blocks, np.uint32(0)), region_objects(kept, (kept > 0).astype(np.uint32), cell_area)
