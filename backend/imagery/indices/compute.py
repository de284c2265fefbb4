# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage ``indices``: an image in, an image of spectral indices out, in one pass over the pixels. Runs in the worker.

Steps: find the bands that the formulas need, look at a sample for values that are no reflectance, then, window by window, read,
evaluate (`evaluate`), write; at the end move the file to its name and tell what was counted. Memory: some windows of `WINDOW_BYTES`,
whatever the image's size.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window

from ...errors import ToolboxError
from ...runtime.protocol import Event, info, progress, result, warning
from ..image_writer import BLOCK, ImageGrid, ImageOutput, OutputBand
from ..overwriting import refuse_overwriting
from ..raster import SENSOR_TAG, RasterReader
from ..sensors import LetterMatch, load_sensors, match_letters
from ..windows import plan_windows, read_ahead
from .catalogue import load_catalogue, parse_parameters, parse_selection
from .evaluate import BandScale, IndexEvaluator, Tally
from .inputs import IndexInputs, InputFinder, find_inputs
from .settings import IndicesSettings

WINDOW_BYTES = 96 * 2**20  # of one window, input and output together
GDAL_CACHE_BYTES = 256 * 2**20
PROGRESS_SECONDS = 0.3
WRITE_SHARE = 0.9  # of the progress bar; the rest is the overviews' and the move to the final name
SAMPLE_SIDE = 256  # pixels of the places at which the values are looked at
NO_REFLECTANCE = ("T", "T1", "T2", "VV", "VH", "HH", "HV")
NUMBERS_WARNING = (
    "The values look like digital numbers, not reflectance of 0 to 1. Formulas with constants, such as EVI or SAVI, come out wrong, "
    "and if the numbers have an offset, as those of Landsat Collection 2 and of Sentinel-2 since 2022, all do. Run Prepare satellite "
    "scene first, or set the bands' scale and offset."
)


def compute_indices(settings: IndicesSettings, job_id: str) -> Iterator[Event]:
    """Computes the indices of an image.

    Args:
        settings: The request.
        job_id: Names the partial folder.

    Yields:
        Events; the result's output is OUTPUT (path).

    Raises:
        ToolboxError: The image cannot be read, lacks bands, or has no valid pixel; or the output cannot be written.
    """
    parameters = parse_parameters(settings.parameters)
    with RasterReader(settings.raster) as reader:
        image, imagery_bands = reader.info, reader.bands
        refuse_overwriting(settings.output, [settings.raster, *reader.files])
    match = match_letters(image.band_names, image.wavelengths, image.sensor, settings.sensor, settings.band_map)
    indices = find_inputs(parse_selection(settings.indices), InputFinder(match, image.band_names, parameters), match)
    sigma = parameters.get("sigma", load_catalogue().constants["sigma"].default)
    yield from _announce(match, indices, image.band_names, sigma)
    copied = imagery_bands if settings.append else []
    _refuse_repeated_names([image.band_names[band - 1] for band in copied], indices)
    bands = [*copied, *sorted({band for index in indices for band in index.used_bands} - set(copied))]
    if not bands:
        raise ToolboxError("The formulas use no band of the image; write them with letters such as N and R, or b1, b2.")
    reflective = {band for letter, band in match.bands.items() if letter not in NO_REFLECTANCE}
    scales = [BandScale(image.scales[band - 1], image.offsets[band - 1], band in reflective) for band in bands]
    with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES, GDAL_NUM_THREADS="ALL_CPUS"), RasterReader(settings.raster, bands) as reader:
        are_numbers = _look_like_numbers(reader, scales)
        if are_numbers:
            yield warning(NUMBERS_WARNING)
        output = ImageOutput(
            Path(settings.output),
            job_id,
            ImageGrid(image.width, image.height, image.transform, image.crs_wkt),
            [*(_copied_band(reader, band) for band in copied), *map(_index_band, indices)],
            "float32",
            float("nan"),
            {SENSOR_TAG: match.sensor} if match.sensor else {},
        )
        evaluator = IndexEvaluator(indices, bands, scales, len(copied), sigma, settings.out_of_range)
        tally = Tally()
        with output, evaluator:
            yield from _stream(reader, evaluator, output, tally, len(copied) + len(indices))
            if not tally.valid:
                raise ToolboxError("The bands that the indices need are nodata everywhere; check the image and its nodata value.")
            if not tally.finite:
                raise ToolboxError(
                    "No index has a value at any pixel: the formulas divide by zero, or with OUT_OF_RANGE nodata all pixels lie "
                    "outside 0…1, as digital numbers do; run Prepare satellite scene first, or choose OUT_OF_RANGE keep."
                )
            for _ in output.build_overviews() if settings.overviews else ():
                yield progress(WRITE_SHARE, "Building overviews")
            output.publish()
    if not are_numbers and 2 * tally.above > sum(tally.reflectance.values()):  # the sample lay elsewhere
        are_numbers = True
        yield warning(NUMBERS_WARNING)
    yield from _report(tally, image.band_names, are_numbers, settings.out_of_range)
    yield progress(1.0)
    yield result({"OUTPUT": settings.output})


def _announce(match: LetterMatch, indices: list[IndexInputs], names: tuple[str, ...], sigma: float) -> Iterator[Event]:
    """Which band is taken for which letter, and the formulas with their constants; sigma is that of the kernels."""
    if match.remark:
        yield warning(match.remark)
    sensor = f"{load_sensors().sensors[match.sensor].title}: " if match.sensor else ""
    in_kernels = {letter for index in indices for kernel in index.kernels for letter in kernel[1:]}
    used = {letter: number for letter, number in match.bands.items() if letter in in_kernels}
    used.update({name: number for index in indices for name, number in index.bands.items()})
    yield info(sensor + ", ".join(f"{name} = band {number} ({names[number - 1]})" for name, number in sorted(used.items())))
    for index in indices:
        constants = {**index.numbers, **({"sigma": sigma} if index.kernels else {})}
        numbers = ", ".join(f"{name} = {value:g}" for name, value in sorted(constants.items()))
        yield info(f"  {index.definition.name} = {index.formula.text}" + (f"   with {numbers}" if numbers else ""))


def _refuse_repeated_names(copied: list[str], indices: list[IndexInputs]) -> None:
    repeated = sorted({index.definition.name for index in indices} & set(copied))
    if repeated:
        raise ToolboxError(f"The image has a band {repeated[0]} already; leave it out of INDICES, or switch APPEND off.")


def _copied_band(reader: RasterReader, band: int) -> OutputBand:
    return OutputBand(reader.info.band_names[band - 1], reader.info.wavelengths[band - 1])


def _index_band(index: IndexInputs) -> OutputBand:
    return OutputBand(index.definition.name, tags={"formula": index.formula.text, "title": index.definition.title})


def _look_like_numbers(reader: RasterReader, scales: list[BandScale]) -> bool:
    """Whether more than half of the reflectance values at five places of the image are above 1."""
    reflective = [position for position, scale in enumerate(scales) if scale.is_reflectance]
    if not reflective:
        return False
    above = total = 0
    for x, y in ((0.5, 0.5), (0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)):
        left = max(int(x * reader.info.width) - SAMPLE_SIDE // 2, 0)
        top = max(int(y * reader.info.height) - SAMPLE_SIDE // 2, 0)
        image, valid = reader.read(Window(left, top, SAMPLE_SIDE, SAMPLE_SIDE))
        values = image[reflective][:, valid]
        above += int(np.count_nonzero(values > 1))
        total += values.size
    return 2 * above > total


def _stream(reader: RasterReader, evaluator: IndexEvaluator, output: ImageOutput, tally: Tally, outputs: int) -> Iterator[Event]:
    """Reads, evaluates and writes all windows; yields the progress."""
    image = reader.info
    pixel_bytes = len(reader.bands) * (np.dtype(image.dtype).itemsize + 1) + 4 * outputs
    windows = plan_windows(image.width, image.height, BLOCK, WINDOW_BYTES // pixel_bytes)
    told = time.monotonic()
    for number, (window, (stored, valid)) in enumerate(read_ahead(windows, reader.read_by_band), start=1):
        output.write(window, evaluator.evaluate(stored, valid, tally))
        if time.monotonic() - told > PROGRESS_SECONDS:
            told = time.monotonic()
            yield progress(WRITE_SHARE * number / len(windows), f"{number} of {len(windows)} windows")


def _report(tally: Tally, names: tuple[str, ...], are_numbers: bool, out_of_range: str) -> Iterator[Event]:
    """Tells what was counted."""
    total = tally.valid + tally.nodata
    yield info(f"{tally.valid:,} of {total:,} pixels have data for one index at least; an index is nodata where a band of its own is.")
    for name, count in tally.measured.items():
        if count < tally.valid:
            yield info(f"  {name}: {count:,} pixels have data in all its bands.")
    for name, count in tally.undefined.items():
        if count:
            share = _percentage(count, tally.measured[name])
            yield warning(
                f"{name}: {count:,} pixels ({share} % of the valid ones) have no finite value, such as after a division by zero; "
                "they are nodata."
            )
    if are_numbers and out_of_range == "keep":  # the warning about digital numbers says it all
        return
    done = {"keep": "They were used as they are.", "clip": "They were clipped to 0…1.", "nodata": "These pixels are nodata."}
    for band, count in sorted(tally.outside.items()):
        share = _percentage(count, tally.reflectance[band])
        yield warning(
            f"Band {names[band - 1]}: {count:,} pixels ({share} % of the valid ones) have a reflectance below 0 or above 1. "
            f"{done[out_of_range]}"
        )


def _percentage(count: int, total: int) -> str:
    """A share of a hundred with two digits, more where it is nearly all: 0.021, 2.1, 99.98, 100."""
    share = 100 * count / total
    return f"{share:.2g}" if share < 99 else f"{share:.4g}"
