# SPDX-License-Identifier: GPL-2.0-or-later
"""Every sensor, level, baseline and packing of the products, each against a value worked out by hand."""

import tarfile
import zipfile

import numpy as np
import pytest
import rasterio

from .products import landsat, pack_tar, plain, sentinel2
from .running import infos, prepare, warnings

SENSORS = {"LT04": "landsat4", "LT05": "landsat5", "LE07": "landsat7", "LC08": "landsat8", "LC09": "landsat9"}
# Band 4 of DN 10,000 (OLI) or 100 (TM, ETM+) at the top of the atmosphere: (factor × DN + summand) / sin(sun elevation).
TOP = {
    "LT04": (100 * 2.6307e-3 - 0.007165) / 0.350201,
    "LT05": (100 * 2.6307e-3 - 0.007165) / 0.350201,
    "LE07": (100 * 2.7591e-3 - 0.017276) / 0.513278,
    "LC08": (10_000 * 2e-5 - 0.1) / 0.322385,
    "LC09": (10_000 * 2e-5 - 0.1) / 0.322385,
}


def pack(folder, form, place):
    """A Landsat product's folder in one of the forms in which it may be handed over."""
    if form == "zip":
        with zipfile.ZipFile(place / "scene.zip", "w") as archive:
            for file in sorted(folder.iterdir()):
                archive.write(file, file.name)
        return place / "scene.zip"
    if form == "tar.gz":
        with tarfile.open(place / "scene.tar.gz", "w:gz") as archive:
            archive.add(folder, ".")
        return place / "scene.tar.gz"
    forms = {
        "folder": lambda: folder,
        "tar": lambda: pack_tar(folder, place / "scene.tar"),
        "mtl": lambda: next(folder.glob("*_MTL.*")),
    }
    return forms[form]()


@pytest.mark.parametrize("form", ["txt", "json", "xml"])
@pytest.mark.parametrize("level", ["L1TP", "L1GT", "L1GS", "L2SP", "L2SR"])
@pytest.mark.parametrize("sensor", SENSORS)
def test_landsat_of_every_sensor_level_and_form_of_metadata(tmp_path, sensor, level, form):
    values, events = prepare(landsat(tmp_path / "p", sensor, level, form), tmp_path / "o.tif", bands="B4", overviews=False)
    is_surface = level.startswith("L2")
    assert values == pytest.approx(0.075 if is_surface else TOP[sensor], rel=1e-5)  # 0.0000275 × 10,000 − 0.2
    assert ("at the surface" if is_surface else "at the top of the atmosphere") in infos(events)
    assert warnings(events) == ""
    with rasterio.open(tmp_path / "o.tif") as made:
        assert made.tags()["SENSOR"] == SENSORS[sensor]
        assert made.descriptions == ("red" if sensor in ("LC08", "LC09") else "nir",)


@pytest.mark.parametrize("packing", ["folder", "tar", "tar.gz", "zip", "mtl"])
@pytest.mark.parametrize("form", ["txt", "json", "xml"])
def test_landsat_in_every_packing(tmp_path, form, packing):
    given = pack(landsat(tmp_path / "p", "LT05", "L1TP", form), packing, tmp_path)
    values, events = prepare(given, tmp_path / "o.tif", bands="B4", overviews=False)
    assert values == pytest.approx(TOP["LT05"], rel=1e-5)
    assert warnings(events) == ""


@pytest.mark.parametrize(("baseline", "expected"), [("02.14", 0.2), ("03.01", 0.2), ("04.00", 0.1), ("05.09", 0.1), ("05.11", 0.1)])
@pytest.mark.parametrize("level", ["L1C", "L2A"])
def test_sentinel_2_of_every_level_and_baseline(tmp_path, level, baseline, expected):
    """2000 / 10,000, and from baseline 04.00 on (2000 − 1000) / 10,000."""
    values, events = prepare(sentinel2(tmp_path, level, baseline), tmp_path / "o.tif", bands="B4;B8A", overviews=False)
    assert values == pytest.approx(expected)
    assert warnings(events) == ""


@pytest.mark.parametrize("packing", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_sentinel_2_in_a_tar_with_long_names_of_every_kind(tmp_path, packing):
    folder = sentinel2(tmp_path / "product")
    with tarfile.open(tmp_path / "scene.tar", "w", format=packing) as archive:
        archive.add(folder, folder.name)
    values, events = prepare(tmp_path / "scene.tar", tmp_path / "o.tif", bands="B4;B8A", mask_clouds=True)
    assert values == pytest.approx(0.1)
    assert warnings(events) == ""


@pytest.mark.parametrize("resolution", [10, 20, 30, 60])
@pytest.mark.parametrize("resampling", ["nearest", "bilinear", "cubic"])
def test_every_cell_size_and_resampling_covers_the_same_ground(tmp_path, resampling, resolution):
    values, _ = prepare(sentinel2(tmp_path), tmp_path / "o.tif", bands="B2;B5;B1", resolution=resolution, resampling=resampling)
    assert values.shape == (3, 120 // resolution, 120 // resolution)
    assert values == pytest.approx(0.1, abs=1e-6)


@pytest.mark.parametrize("sensor", SENSORS)
def test_missing_band_file_of_every_sensor_is_named(tmp_path, sensor):
    product = landsat(tmp_path / "p", sensor)
    next(product.glob("*_SR_B4.TIF")).unlink()
    values, events = prepare(product, tmp_path / "o.tif", bands="B3")
    assert np.isfinite(values).all()
    assert "_SR_B4.TIF" in warnings(events)


def test_oli_without_tirs_has_no_thermal_bands(tmp_path):
    """LO08: OLI was on, TIRS off; the metadata name no thermal band."""
    folder = landsat(tmp_path / "p", level="L2SR", bands={"5": plain(20_000)})
    metadata = next(folder.glob("*_MTL.txt"))
    metadata.write_text(metadata.read_text(encoding="utf-8").replace("OLI_TIRS", "OLI").replace("LC08_", "LO08_"), encoding="utf-8")
    for file in list(folder.iterdir()):
        file.rename(file.with_name(file.name.replace("LC08_", "LO08_")))
    values, events = prepare(folder, tmp_path / "o.tif", bands="nir")
    assert values == pytest.approx(0.35)
    assert warnings(events) == ""


@pytest.mark.parametrize("is_packed", [False, True])
def test_files_that_macos_adds_are_passed_over(tmp_path, is_packed):
    product = landsat(tmp_path / "p")
    for path in list(product.iterdir()):
        (product / f"._{path.name}").write_bytes(b"\x00\x05\x16\x07" + bytes(78))
    values, _ = prepare(pack_tar(product, tmp_path / "p.tar") if is_packed else product, tmp_path / "o.tif")
    assert len(values) == 7
