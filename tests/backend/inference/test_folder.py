# SPDX-License-Identifier: GPL-2.0-or-later
"""Many rasters in one run, and the mosaic over them."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import asdict, replace

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from deep_learning_toolbox.backend import __version__
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.inference import folder
from deep_learning_toolbox.backend.inference.classify import classify_with
from deep_learning_toolbox.backend.inference.folder import classify_folder
from deep_learning_toolbox.backend.inference.folder_settings import FolderSettings
from deep_learning_toolbox.backend.inference.mosaic import write_mosaic
from deep_learning_toolbox.backend.models.package import write_package
from deep_learning_toolbox.backend.models.registry import build_network
from deep_learning_toolbox.backend.runtime import launch
from deep_learning_toolbox.backend.runtime.protocol import Request

from ..rasters import NORTH_UP, drive, write_raster
from .known import FirstBandNetwork, model, scene


@pytest.fixture(autouse=True)
def known_model(monkeypatch):
    calls = []

    def load(path):
        calls.append(path)
        return model(), FirstBandNetwork(3)

    monkeypatch.setattr(folder, "load_model", load)
    return calls


def place(columns=0, rows=0):
    return NORTH_UP * Affine.translation(columns, rows)


def request(tmp_path, sources, **options):
    items = [{"raster": source, "output": str(tmp_path / "out" / f"{number}_classes.tif")} for number, source in enumerate(sources)]
    return FolderSettings(items, "m.dlpk", str(tmp_path / "out"), {"tile_size": 32, "device": "cpu", **options})


def test_rasters_are_classified_with_one_load_of_the_model_and_joined(tmp_path, known_model):
    first, second = scene(60, 70, seed=1), scene(50, 80, seed=2)
    sources = [
        write_raster(tmp_path / "a.tif", first, names=("a", "b")),
        write_raster(tmp_path / "b.tif", second, names=("a", "b"), transform=place(60, 40)),
    ]
    events = drive(classify_folder(request(tmp_path, sources, min_region=2), "job"))
    (result,) = events["result"]
    assert known_model == ["m.dlpk"]
    assert result["outputs"]["CLASSIFIED"] == 2
    with rasterio.open(result["outputs"]["OUTPUT_VRT"]) as mosaic, rasterio.open(tmp_path / "out" / "1_classes.tif") as later:
        joined = mosaic.read(1)
        assert (joined.shape, mosaic.nodata, mosaic.crs.to_epsg()) == ((90, 140), 255, 32632)
        assert np.array_equal(joined[40:, 60:], later.read(1))  # the later one shows where both are
        assert (joined[:40, 70:] == 255).all()
    with rasterio.open(tmp_path / "out" / "0_classes.tif") as earlier:
        assert np.array_equal(joined[:40, :70], earlier.read(1)[:40])
    assert (tmp_path / "out" / "mosaic.qml").read_text() == (tmp_path / "out" / "0_classes.qml").read_text()
    fractions = [event["fraction"] for event in events["progress"]]
    assert fractions == sorted(fractions)


def test_a_raster_that_fails_is_told_and_leaves_nothing(tmp_path):
    sources = [write_raster(tmp_path / "a.tif", scene(), names=("a", "b")), str(tmp_path / "gone.tif")]
    events = drive(classify_folder(request(tmp_path, sources), "job"))
    texts = [event["message"] for event in events["warning"]]
    assert any("gone.tif is left out. The raster" in text for text in texts)
    assert "1 of 2 rasters were left out: gone.tif." in texts
    assert not (tmp_path / "out" / "1_classes.tif").exists()


def test_a_raster_that_fails_unexpectedly_does_not_end_the_run_and_is_explained_in_the_log(tmp_path, monkeypatch, capfd):
    sources = [write_raster(tmp_path / name, scene(40, 40), names=("a", "b")) for name in ("a.tif", "b.tif", "c.tif")]

    def classify(settings, *rest):
        if settings.raster == sources[1]:
            raise RuntimeError("a defect of a library")
        return classify_with(settings, *rest)

    monkeypatch.setattr(folder, "classify_with", classify)
    events = drive(classify_folder(request(tmp_path, sources), "job"))
    assert [event["outputs"]["CLASSIFIED"] for event in events["result"]] == [2]
    told = [event["message"] for event in events["warning"] if "left out" in event["message"]]
    assert told[0].startswith(f"{sources[1]} is left out. The tool failed unexpectedly (RuntimeError: a defect of a library)")
    assert "Traceback" in capfd.readouterr().err


def test_rasters_that_lie_on_no_common_grid_have_no_mosaic(tmp_path):
    sources = [
        write_raster(tmp_path / "a.tif", scene(), names=("a", "b")),
        write_raster(tmp_path / "b.tif", scene(), names=("a", "b"), crs="EPSG:32633"),
    ]
    events = drive(classify_folder(request(tmp_path, sources), "job"))
    assert "different coordinate systems" in " ".join(event["message"] for event in events["warning"])
    assert "OUTPUT_VRT" not in events["result"][0]["outputs"]
    assert events["result"][0]["outputs"]["CLASSIFIED"] == 2


def test_nothing_classified_is_an_error_with_the_first_reason(tmp_path):
    with pytest.raises(ToolboxError, match=r"None of the 1 rasters could be classified\. The first: The raster .*gone"):
        drive(classify_folder(request(tmp_path, [str(tmp_path / "gone.tif")]), "job"))


def test_a_mosaic_needs_one_cell_size(tmp_path):
    paths = [tmp_path / "a.tif", tmp_path / "b.tif"]
    write_raster(paths[0], np.ones((4, 4), np.uint8), nodata=255)
    write_raster(paths[1], np.ones((4, 4), np.uint8), nodata=255, transform=NORTH_UP * Affine.scale(2))
    with pytest.raises(ToolboxError, match=r"a\.tif and b\.tif have different cell sizes"):
        write_mosaic(paths, tmp_path / "m.vrt")
    assert not (tmp_path / "m.vrt").exists()


def test_a_mosaic_has_colours_names_and_attribute_table_of_its_rasters_but_no_counts(tmp_path):
    sources = [
        write_raster(tmp_path / "a & b.tif", scene(), names=("a", "b")),
        write_raster(tmp_path / "c.tif", scene(), names=("a", "b")),
    ]
    drive(classify_folder(request(tmp_path, sources), "job"))
    with rasterio.open(tmp_path / "out" / "mosaic.vrt") as mosaic:
        assert mosaic.colormap(1)[2] == (2, 9, 8, 255)
    band = ElementTree.parse(tmp_path / "out" / "mosaic.vrt").find("VRTRasterBand")
    assert [entry.text or "" for entry in band.find("CategoryNames")] == ["", "class 1", "class 2", "class 3"]
    table = band.find("GDALRasterAttributeTable")
    assert [column.findtext("Name") for column in table.findall("FieldDefn")] == ["Value", "Class", "Red", "Green", "Blue"]
    assert [entry.text for entry in table.findall("Row")[1]] == ["2", "class 2", "2", "9", "8"]


def test_a_mosaic_of_more_rasters_than_a_process_may_open_at_once(tmp_path):
    resource = pytest.importorskip("resource", reason="Windows has no such limit")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    paths = [tmp_path / f"{number}.tif" for number in range(90)]
    for number, path in enumerate(paths):
        write_raster(path, np.full((1, 1), number, np.uint8), nodata=255, transform=place(number))
    resource.setrlimit(resource.RLIMIT_NOFILE, (80, before[1]))
    try:
        write_mosaic(paths, tmp_path / "m.vrt")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    with rasterio.open(tmp_path / "m.vrt") as mosaic:
        assert mosaic.read(1).tolist() == [list(range(90))]


def test_a_mosaic_of_rasters_that_are_stored_upside_down(tmp_path):
    upside_down = Affine(10, 0, 500_000, 0, 10, 5_200_000)
    paths = [tmp_path / "a.tif", tmp_path / "b.tif"]
    write_raster(paths[0], np.array([[1], [2]], np.uint8), nodata=255, transform=upside_down)
    write_raster(paths[1], np.array([[3], [4]], np.uint8), nodata=255, transform=upside_down * Affine.translation(1, 1))
    write_mosaic(paths, tmp_path / "m.vrt")
    with rasterio.open(tmp_path / "m.vrt") as mosaic:
        assert mosaic.transform == upside_down
        assert mosaic.read(1).tolist() == [[1, 255], [2, 3], [255, 4]]


def test_images_without_georeference_have_no_mosaic(tmp_path):
    sources = [
        write_raster(tmp_path / name, scene(), names=("a", "b"), crs=None, transform=Affine.identity()) for name in ("a.tif", "b.tif")
    ]
    settings = request(tmp_path, sources)
    for item in settings.items:
        item["has_georeference"] = False
    events = drive(classify_folder(settings, "job"))
    assert any("no places on a map" in event["message"] for event in events["warning"])
    assert events["result"][0]["outputs"]["CLASSIFIED"] == 2


def test_settings_that_cannot_be_used_are_told_together(tmp_path):
    item = {"raster": "a.tif", "output": "same.tif"}
    with pytest.raises(ToolboxError, match=r"the option polygons does not exist; two rasters would be written to same\.tif"):
        FolderSettings([item, {**item, "raster": "b.tif"}], "m", str(tmp_path / "out"), {"polygons": "x"})
    with pytest.raises(ToolboxError, match="there is no raster"):
        FolderSettings([], "m", str(tmp_path))


def test_two_processes_take_turns_and_tell_what_failed_in_either(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.manual_seed(0)
    write_package(tmp_path / "m.dlpk", model(chip=64), build_network("unet", "resnet18", 2, 3).state_dict())
    sources = [write_raster(tmp_path / f"{n}.tif", scene(40, 70, seed=n), names=("a", "b"), transform=place(70 * n)) for n in range(3)]
    (tmp_path / "broken.tif").write_text("nothing")
    asked = request(tmp_path, [sources[0], str(tmp_path / "broken.tif"), sources[2], sources[1]], device="cpu,cpu")
    asked = replace(asked, model=str(tmp_path / "m.dlpk"), options={**asked.options, "tile_size": 64})
    path = tmp_path / "request.json"
    Request("classify_folder", asdict(asked), "job", __version__).write(path)
    done = subprocess.run(
        [sys.executable, "-I", launch.__file__, str(path)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    told = [event["message"] for event in events if event["event"] in ("info", "warning")]
    assert [text for text in told if text.startswith("Raster ")] == [f"Raster {n} of 4: {sources[n - 1]}" for n in (1, 3)]
    assert any(f"{tmp_path / 'broken.tif'} is left out. The raster" in text for text in told)
    assert "1 of 4 rasters were left out: broken.tif." in told
    outputs = next(event["outputs"] for event in events if event["event"] == "result")
    assert outputs["CLASSIFIED"] == 3
    with rasterio.open(outputs["OUTPUT_VRT"]) as mosaic:
        assert mosaic.shape == (40, 210)
        assert (mosaic.read(1) != 255).all()
