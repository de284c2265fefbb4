# SPDX-License-Identifier: GPL-2.0-or-later
"""Image formats of chips: pixels, nodata, georeference and labels in each."""

import numpy as np
import pytest
import rasterio
from deep_learning_toolbox.backend.chips.export import export_chips
from deep_learning_toolbox.backend.chips.folder import ChipFolder
from deep_learning_toolbox.backend.chips.settings import ExportSettings
from deep_learning_toolbox.backend.errors import ToolboxError

from ..rasters import classes, drive, pixel_box, write_labels, write_raster
from .test_export import CHIPS, image, run

LOSSLESS = ("tiff", "png", "mrf")


@pytest.mark.parametrize(("chip_format", "extension", "label_extension"), [
    ("tiff", "tif", "tif"), ("png", "png", "png"), ("jpeg", "jpg", "png"), ("mrf", "mrf", "tif"),
])  # fmt: skip
def test_files_have_the_extension_of_the_format(tmp_path, chip_format, extension, label_extension):
    folder, _ = run(tmp_path, image(dtype="uint8", bands=3), chip_format=chip_format)
    assert folder.chips[0].image == f"images/000000000000.{extension}"
    assert folder.chips[0].label == f"labels/000000000000.{label_extension}"
    first = (tmp_path / "chips" / "map.txt").read_text().splitlines()[0]
    assert first == f"images\\000000000000.{extension}  labels\\000000000000.{label_extension} "


@pytest.mark.parametrize("chip_format", LOSSLESS)
@pytest.mark.parametrize("bands", [1, 3])
def test_lossless_formats_keep_pixels_and_labels(tmp_path, chip_format, bands):
    values = image(dtype="uint8", bands=bands)
    folder, _ = run(tmp_path, values, chip_format=chip_format)
    for chip in folder.chips:
        left, top, width, height = chip.window
        arrays = folder.load(chip)
        assert np.array_equal(arrays.image, values[:, top : top + height, left : left + width].astype(np.float32))
        assert arrays.valid.all()
        assert dict(zip(*(part.tolist() for part in np.unique(arrays.label[arrays.label > 0], return_counts=True)), strict=True)) == (
            chip.class_pixels
        )


def test_jpeg_is_close_and_its_labels_are_exact(tmp_path):
    values = np.repeat(np.repeat(image(5, 6, "uint8", 3), 8, axis=1), 8, axis=2)
    folder, _ = run(tmp_path, values, chip_format="jpeg")
    left, top, width, height = folder.chips[0].window
    arrays = folder.load(folder.chips[0])
    assert np.abs(arrays.image - values[:, top : top + height, left : left + width]).mean() < 8
    assert (arrays.label == 1).sum() == 36


@pytest.mark.parametrize("chip_format", ["tiff", "png", "jpeg", "mrf"])
def test_nodata_comes_back_in_every_format(tmp_path, chip_format):
    folder, _ = run(tmp_path, image(10, 12, "uint8", 3), [(pixel_box(1, 1, 5, 5), 1)], (1,), chip_format=chip_format)
    arrays = folder.load(folder.chips[0])
    assert arrays.valid[:10, :12].all()
    assert arrays.valid.sum() == 120
    assert folder.bands[0].count == 120
    masks = list((tmp_path / "chips" / "images").glob("*.msk"))
    assert [path.name for path in masks] == ([] if chip_format == "tiff" else [folder.chips[0].mask.rpartition("/")[2]])


@pytest.mark.parametrize(("chip_format", "world"), [("tiff", "tfw"), ("png", "pgw"), ("jpeg", "jgw"), ("mrf", "mrfw")])
def test_chip_and_label_lie_on_the_map(tmp_path, chip_format, world):
    folder, _ = run(tmp_path, image(dtype="uint8", bands=3), chip_format=chip_format)
    for path in (folder.chips[1].image, folder.chips[1].label):
        with rasterio.open(tmp_path / "chips" / path) as chip:
            assert chip.crs.to_epsg() == 32632
            assert (chip.transform.c, chip.transform.f) == (500_160, 5_199_840)
    lines = (tmp_path / "chips" / folder.chips[1].image).with_suffix(f".{world}").read_text().split()
    assert lines == ["10.0000000000", "0.0000000000", "0.0000000000", "-10.0000000000", "500165.0000000000", "5199835.0000000000"]


def test_class_values_above_254_fit_into_the_labels_of_pictures(tmp_path):
    folder, _ = run(tmp_path, image(dtype="uint8", bands=3), [(pixel_box(2, 2, 8, 8), 300)], (300,), chip_format="png")
    assert folder.load(folder.chips[0]).label.max() == 300


@pytest.mark.parametrize("chip_format", ["png", "jpeg"])
@pytest.mark.parametrize(
    ("bands", "dtype", "message"), [(5, "uint8", "one or three bands and 5"), (2, "uint8", "and 2"), (3, "uint16", "has uint16")]
)
def test_pictures_refuse_what_they_cannot_hold(tmp_path, chip_format, bands, dtype, message):
    with pytest.raises(ToolboxError, match=message):
        run(tmp_path, image(dtype=dtype, bands=bands), chip_format=chip_format)
    assert not (tmp_path / "chips").exists()


def test_three_chosen_bands_of_many_become_a_picture(tmp_path):
    values = image(dtype="uint8", bands=5)
    folder, _ = run(tmp_path, values, chip_format="png", bands=[5, 3, 1])
    assert np.array_equal(folder.load(folder.chips[0]).image, values[[4, 2, 0], :16, :16].astype(np.float32))
    assert CHIPS["tile_size_x"] == 16


@pytest.mark.parametrize("chip_format", ["tiff", "mrf", "png", "jpeg"])
def test_scale_and_offset_stay_with_the_chips_in_every_format(tmp_path, chip_format):
    path = write_raster(tmp_path / "image.tif", np.full((1, 16, 16), 100, np.uint8))
    with rasterio.open(path, "r+") as raster:
        raster.scales, raster.offsets = [0.01], [-0.2]
    labels = write_labels(tmp_path / "labels.gpkg", [(pixel_box(2, 2, 8, 8), 1)])
    options = {"labels": labels, "classes": classes(1), "chip_format": chip_format, **CHIPS}
    drive(export_chips(ExportSettings(path, str(tmp_path / "chips"), **options), "test"))
    folder = ChipFolder.open(tmp_path / "chips")
    assert folder.load(folder.chips[0]).image.mean() == pytest.approx(0.8)
    assert folder.bands[0].mean == pytest.approx(0.8)
