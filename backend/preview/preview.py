# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage ``preview``: a raster and some labels in, classes and uncertainty of a part of it out, within seconds. Runs in the worker.

Steps: gather labelled pixels from all over the raster, train a small ensemble on them, apply it to the part row by row, write. The
uncertainty is the entropy of the classes' probabilities, 0 % where one class is sure, 100 % where all are alike.
"""

from __future__ import annotations

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
from ..inference.layers import Pixels, class_layer, uncertainty_layer
from ..inference.sidecars import LegendEntry
from ..inference.writer import Grid, RasterOutput, publish
from ..labels.schema import ClassSchema
from ..labels.vector import VectorLabels
from ..runtime.protocol import Event, info, progress, result, warning
from .ensemble import Ensemble, train_ensemble
from .features import MARGIN, describe_pixels
from .samples import Samples, gather_samples
from .settings import PreviewSettings

MOST_PIXELS = 16_000_000  # half a minute on two cores
ROWS_AT_ONCE = 64
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
    legend = [LegendEntry(entry.value, entry.name, entry.color) for entry in schema.classes]
    wanted = {settings.uncertainty: uncertainty_layer(len(samples.values)), settings.output: class_layer(samples.values, legend)}
    transform = reader.info.transform * Affine.translation(window.col_off, window.row_off)
    grid = Grid((int(window.height), int(window.width)), transform, reader.info.crs_wkt)
    counts = np.zeros(len(samples.values), np.int64)
    with ExitStack() as stack:
        outputs = [stack.enter_context(RasterOutput(Path(path), job_id, layer, grid)) for path, layer in wanted.items() if path]
        for top in range(0, int(window.height), ROWS_AT_ONCE):
            rows = min(ROWS_AT_ONCE, int(window.height) - top)
            part = Window(window.col_off, window.row_off + top, window.width, rows)
            pixels, valid = classify_part(reader, part, samples, model)
            counts += np.bincount(pixels.winner[valid], minlength=len(counts))
            for output in outputs:
                values = output.layer.compute(pixels)
                output.write(top, 0, np.where(valid, values, values.dtype.type(output.layer.nodata)))
            yield progress(TRAINED_SHARE + (0.95 - TRAINED_SHARE) * (top + rows) / window.height, "Classifying")
        if not counts.any():
            raise ToolboxError("The raster is nodata everywhere within the extent; choose an EXTENT with data.")
        for output in outputs:
            for _ in output.finish(dict(zip(samples.values, counts.tolist(), strict=True))):
                yield progress(0.95, "Writing")
        publish(outputs)


def classify_part(reader: RasterReader, part: Window, samples: Samples, model: Ensemble) -> tuple[Pixels, NDArray[np.bool_]]:
    """Probabilities of a window, and its valid pixels (rows, columns)."""
    around = Window(part.col_off - MARGIN, part.row_off - MARGIN, part.width + 2 * MARGIN, part.height + 2 * MARGIN)
    image, valid = reader.read(around)
    described = describe_pixels(torch.from_numpy(image), torch.from_numpy(valid), samples.statistics)
    inner = described[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
    probabilities = model.predict(inner.flatten(1).T)  # (pixels, classes)
    return Pixels(probabilities.T.reshape(-1, *inner.shape[1:])), valid[MARGIN:-MARGIN, MARGIN:-MARGIN]
