# SPDX-License-Identifier: GPL-2.0-or-later
"""Areas of cells, outlines and classes, in metres and in degrees."""

import numpy as np
import pyogrio
import pytest
from affine import Affine
from deep_learning_toolbox.backend.inference.areas import CellAreas, equal_area_heights

from .known import run

DEGREES = Affine(0.5, 0, 10, 0, -0.5, 70)
EARTH_M2 = 510_065_621_724_089  # WGS 84
SEMI_MAJOR_M, FLATTENING = 6_378_137.0, 1 / 298.257223563


def test_the_whole_earth_has_its_known_area():
    south, north = equal_area_heights(np.array([-90.0, 90]))
    assert (north - south) * 2 * np.pi == pytest.approx(EARTH_M2, rel=1e-9)


@pytest.mark.parametrize("latitude", [-66.0, 0.0, 47.5])
def test_a_strip_between_parallels_has_the_area_that_the_radii_of_curvature_give(latitude):
    squared = FLATTENING * (2 - FLATTENING)
    angles = np.radians(latitude + (np.arange(1000) + 0.5) / 1000)
    bulge = 1 - squared * np.sin(angles) ** 2
    meridian, normal = SEMI_MAJOR_M * (1 - squared) / bulge**1.5, SEMI_MAJOR_M / bulge**0.5
    expected = (meridian * normal * np.cos(angles)).sum() * np.radians(0.001)
    assert np.diff(equal_area_heights(np.array([latitude, latitude + 1])))[0] == pytest.approx(expected, rel=1e-6)


def striped(rows=80):
    """The north is class 1, the middle class 2, the south class 1 again."""
    values = np.zeros((2, rows, 8), np.float32)
    values[0, 30:60] = 1
    return values


@pytest.mark.parametrize("transform", [DEGREES, Affine(0.5, 0, 10, 0, 0.5, 30)], ids=["north up", "south up"])
def test_areas_in_degrees_follow_the_latitude_row_by_row(tmp_path, transform):
    path = tmp_path / "out" / "regions.gpkg"
    raster = {"transform": transform, "crs": "EPSG:4326"}
    _, events = run(tmp_path, striped(), polygons=str(path), raster=raster)
    cells = CellAreas(transform, None).of_rows(0, 80)
    first, middle, last = (8 * cells[part].sum() for part in (slice(0, 30), slice(30, 60), slice(60, 80)))
    meta, _, _, values = pyogrio.raw.read(path)
    areas = sorted(values[list(meta["fields"]).index("Area_m2")])
    assert areas == pytest.approx(sorted([first, middle, last]), rel=1e-9)
    told = [event["message"] for event in events["info"]]
    assert f"{(first + last) / 1e6:,.2f} km²" in next(text for text in told if "class 1:" in text)
    assert f"{middle / 1e6:,.2f} km²" in next(text for text in told if "class 2:" in text)
    # By the cell in the centre, as if all were alike, the south would be told too small by several per cent.
    assert abs(first / (30 * 8 * cells[40]) - last / (20 * 8 * cells[40])) > 0.1


def test_areas_in_metres_are_those_of_equal_cells():
    cells = CellAreas(Affine(10, 0, 0, 0, -10, 0), 100.0)
    assert cells.of_rows(5, 3).tolist() == [100.0] * 3
    assert list(cells.of_classes(None, {1: 4, 7: 2})) == [{1: 400.0, 7: 200.0}]
