# SPDX-License-Identifier: GPL-2.0-or-later
"""A network that answers with the first band: every pixel ends where it started, whatever the tiles, windows, bands and nodata."""

import functools
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import rasterio
from affine import Affine
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.inference import plan, prepare
from deep_learning_toolbox.backend.inference.classify import classify_with
from deep_learning_toolbox.backend.inference.settings import ClassifySettings
from deep_learning_toolbox.backend.runtime.ranks import Ranks
from hypothesis import given, settings
from hypothesis import strategies as st

from ..rasters import UTM, drive, pixel_box, write_raster
from .known import FirstBandNetwork, model, scene

NODATA, CLASS_NODATA = -1, 255
TRANSFORM = Affine(2.5, 0, 400_000.25, 0, -2.5, 5_300_000.75)
GEOGRAPHIC = Affine(0.001, 0, 11.1, 0, -0.001, 47.9)

windows = st.tuples(*[st.floats(0, 0.95)] * 2, *[st.floats(0.01, 1)] * 2)  # corner and size as shares of the raster
holes = st.sampled_from(["none", "scattered", "rows", "columns", "all but one"])
requests = st.fixed_dictionaries(
    {
        "rows": st.integers(1, 90),
        "columns": st.integers(1, 90),
        "tile": st.integers(32, 50),
        "overlap": st.integers(0, 16),
        "batch": st.integers(1, 5),
        "window": st.none() | windows,
        "holes": holes,
        "widest_band": st.sampled_from([1, 80, 1000]),  # columns in memory at a time: bands of 8, 8 or more, all
        "is_geographic": st.booleans(),
        "seed": st.integers(0, 2**32 - 1),
    }
)


def make_values(case):
    """Both bands (2, rows, columns), float32, with nodata in one of them or the other."""
    values = scene(case["rows"], case["columns"], seed=case["seed"])
    random = np.random.default_rng(case["seed"])
    rows, columns = values.shape[1:]
    where = {
        "none": np.zeros((rows, columns), bool),
        "scattered": random.random((rows, columns)) < 0.3,
        "rows": np.broadcast_to(np.arange(rows)[:, None] < random.integers(0, rows + 1), (rows, columns)),
        "columns": np.broadcast_to(np.arange(columns) >= random.integers(0, columns + 1), (rows, columns)),
        "all but one": np.arange(rows * columns).reshape(rows, columns) != random.integers(rows * columns),
    }[case["holes"]]
    values[random.integers(0, 2), where] = NODATA
    return values


def make_extent(case, transform):
    """Extent in map units, and the rows and columns that it touches."""
    rows, columns = case["rows"], case["columns"]
    if case["window"] is None:
        return None, slice(0, rows), slice(0, columns)
    across, down, wide, high = case["window"]
    left, top = across * columns, down * rows
    right, bottom = min(left + max(wide * columns, 0.1), columns), min(top + max(high * rows, 0.1), rows)
    # Edges lie off the grid by a quarter of a pixel at least, so that there is no doubt about which pixels they touch.
    left, top, right, bottom = (np.floor(edge) + 0.25 + (edge % 1) / 2 for edge in (left, top, right, bottom))
    right, bottom = max(right, left + 0.1), max(bottom, top + 0.1)
    inside = slice(int(top), min(int(bottom) + 1, rows)), slice(int(left), min(int(right) + 1, columns))
    return pixel_box(left, top, right, bottom, transform).bounds, *inside


@settings(max_examples=60, deadline=None)
@given(requests)
def test_every_pixel_ends_where_it_started(case):
    transform, crs = (GEOGRAPHIC, "EPSG:4326") if case["is_geographic"] else (TRANSFORM, UTM)
    values = make_values(case)
    extent, rows, columns = make_extent(case, transform)
    expected = np.where((values == NODATA).any(0), CLASS_NODATA, values[0] + 1)[rows, columns]
    narrow = functools.partial(plan.make_plan, widest_band=case["widest_band"])
    with tempfile.TemporaryDirectory() as folder:
        source = write_raster(Path(folder) / "i.tif", values, transform=transform, crs=crs, nodata=NODATA, names=("a", "b"))
        output = str(Path(folder) / "classes.tif")
        tiles = {"tile_size": case["tile"], "overlap": case["overlap"], "batch_size": case["batch"]}
        request = ClassifySettings(source, "m.dlpk", output, extent=extent, **tiles)
        narrow_plan = mock.patch.object(prepare, "make_plan", lambda *place, widest_band: narrow(*place))
        with narrow_plan, mock.patch.object(plan, "BAND_STEP", 8):
            if (expected == CLASS_NODATA).all():
                with pytest.raises(ToolboxError, match="nodata everywhere"):
                    drive(classify_with(request, model(), FirstBandNetwork(3), Ranks()))
                return
            drive(classify_with(request, model(), FirstBandNetwork(3), Ranks()))
        with rasterio.open(output) as result:
            assert result.read(1).tolist() == expected.tolist()
            assert (result.nodata, result.crs) == (CLASS_NODATA, rasterio.CRS.from_string(crs))
            assert result.transform == transform * Affine.translation(columns.start, rows.start)
