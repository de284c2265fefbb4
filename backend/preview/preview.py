# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage ``preview``: a raster and some labels in, classes and uncertainty of a part of it out, within seconds. Runs in the worker.

Steps: gather labelled pixels from all over the raster, train a small ensemble on them, apply it to the part row by row, write. The
uncertainty is the entropy of the classes' probabilities, 0 % where one class is sure, 100 % where all are alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from affine import Affine
from numpy.typing import NDArray
from rasterio.windows import Window

from ..errors import ToolboxError
from ..imagery.extent import choose_window
from ..imagery.overwriting import refuse_overwriting
from ..imagery.raster import RasterReader
from ..inference.sidecars import LegendEntry
from ..inference.writer import RasterOutput, publish
from ..labels.schema import ClassSchema
from ..labels.vector import VectorLabels
from ..runtime.protocol import Event, info, progress, result, warning
from .ensemble import Ensemble, train_ensemble
from .features import MARGIN, describe_pixels
from .samples import Samples, gather_samples
from .settings import PreviewSettings

MOST_PIXELS = 16_000_000  # half a minute on two cores
ROWS_AT_ONCE = 64
BYTE_NODATA, WIDE_NODATA = 255, 65_535
TRAINED_SHARE = 0.4  # of the progress bar


def preview_classes(settings: PreviewSettings, job_id: str) -> Iterator[Event]:
    """Trains on the labels and shows the classes of a part of the raster.

    Yields:
        Events; the result's outputs are OUTPUT and OUTPUT_UNCERTAINTY (paths, the second when asked for).

    Raises:
        ToolboxError: The raster or the labels cannot be used, the part is too large, or the output cannot be written.
    """
    schema = ClassSchema.from_dicts(settings.classes)
    with RasterReader(settings.raster, settings.bands) as reader:
        for output in filter(None, (settings.output, settings.uncertainty)):
            refuse_overwriting(output, [settings.raster, *reader.files])
        window = choose_window(reader.info, settings.extent)
        if window.width * window.height > MOST_PIXELS:
            raise ToolboxError(
                f"The part to show has {window.width * window.height / 1e6:.0f} million pixels, more than the "
                f"{MOST_PIXELS / 1e6:.0f} million of a quick preview; zoom in, or choose a smaller EXTENT."
            )
        labels = VectorLabels(Path(settings.labels), reader.info.transform)
        yield progress(0.05, "Reading labelled pixels")
        samples = gather_samples(reader, labels, settings.seed)
        yield from _tell_samples(samples, schema)
        yield progress(0.15, "Training")
        model = train_ensemble(samples.features, samples.classes, samples.owners, len(samples.values), settings.seed)
        yield progress(TRAINED_SHARE, "Classifying")
        yield from _write(settings, job_id, reader, window, samples, model, schema)
    yield progress(1.0)
    outputs = {"OUTPUT": settings.output}
    yield result(outputs | ({"OUTPUT_UNCERTAINTY": settings.uncertainty} if settings.uncertainty else {}))


def _tell_samples(samples: Samples, schema: ClassSchema) -> Iterator[Event]:
    """What the model learns from, and which classes it cannot know."""
    counts = np.bincount(samples.classes.numpy())
    listed = ", ".join(f"{schema.name_of(value)} {count:,}" for value, count in zip(samples.values, counts, strict=True))
    yield info(f"Learning from labelled pixels: {listed}.")
    missing = [entry.name for entry in schema.classes if entry.value not in samples.values]
    if missing:
        yield warning(f"No labelled pixel with data was found of {', '.join(missing)}; the preview cannot show it.")


def _write(
    settings: PreviewSettings,
    job_id: str,
    reader: RasterReader,
    window: Window,
    samples: Samples,
    model: Ensemble,
    schema: ClassSchema,
) -> Iterator[Event]:
    """Classifies the window row by row and writes what is wanted."""
    values = np.array(samples.values, np.uint8 if max(samples.values) < BYTE_NODATA else np.uint16)
    nodata = BYTE_NODATA if values.dtype == np.uint8 else WIDE_NODATA
    legend = [LegendEntry(entry.value, entry.name, entry.color) for entry in schema.classes]
    transform = reader.info.transform * Affine.translation(window.col_off, window.row_off)
    place = ((int(window.height), int(window.width)), transform, reader.info.crs_wkt)
    counts = np.zeros(len(values), np.int64)
    with ExitStack() as stack:
        classes = stack.enter_context(_open(settings.output, job_id, values.dtype.name, nodata, place, legend))
        unsure = None
        if settings.uncertainty:
            unsure = stack.enter_context(_open(settings.uncertainty, job_id, "uint8", BYTE_NODATA, place, []))
        for top in range(0, int(window.height), ROWS_AT_ONCE):
            rows = min(ROWS_AT_ONCE, int(window.height) - top)
            part = Window(window.col_off, window.row_off + top, window.width, rows)
            index, entropy, valid = classify_part(reader, part, samples, model)
            counts += np.bincount(index[valid], minlength=len(values))
            classes.write(top, 0, np.where(valid, values[index], values.dtype.type(nodata)))
            if unsure is not None:
                unsure.write(top, 0, np.where(valid, entropy, np.uint8(BYTE_NODATA)))
            yield progress(TRAINED_SHARE + (0.95 - TRAINED_SHARE) * (top + rows) / window.height, "Classifying")
        if not counts.any():
            raise ToolboxError("The raster is nodata everywhere within the extent; choose an EXTENT with data.")
        outputs = [output for output in (unsure, classes) if output is not None]
        for output in outputs:
            for _ in output.finish(dict(zip(samples.values, counts.tolist(), strict=True))):
                yield progress(0.95, "Writing")
        publish(outputs)


def _open(
    path: str, job_id: str, dtype: str, nodata: int, place: tuple[tuple[int, int], Affine, str | None], legend: list[LegendEntry]
) -> RasterOutput:
    shape, transform, crs_wkt = place
    return RasterOutput(Path(path), job_id, shape, dtype, nodata, transform, crs_wkt, legend)


def classify_part(
    reader: RasterReader, part: Window, samples: Samples, model: Ensemble
) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.bool_]]:
    """Class index, uncertainty in percent, and valid, each (rows, columns), of a window."""
    around = Window(part.col_off - MARGIN, part.row_off - MARGIN, part.width + 2 * MARGIN, part.height + 2 * MARGIN)
    image, valid = reader.read(around)
    described = describe_pixels(torch.from_numpy(image), torch.from_numpy(valid), samples.statistics)
    inner = described[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
    probabilities = model.predict(inner.flatten(1).T)  # (pixels, classes)
    shape = inner.shape[1:]
    entropy = torch.special.entr(probabilities).sum(1) / math.log(probabilities.shape[1])
    percent = (entropy.clamp(0, 1) * 100).round().to(torch.uint8)
    return (
        probabilities.argmax(1).view(shape).numpy(),
        percent.view(shape).numpy(),
        valid[MARGIN:-MARGIN, MARGIN:-MARGIN],
    )
