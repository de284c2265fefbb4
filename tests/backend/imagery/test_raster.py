# SPDX-License-Identifier: GPL-2.0-or-later
import numpy as np
import pytest
import rasterio
from affine import Affine
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.imagery.raster import CACHE_BYTES, RasterReader, describe
from rasterio.env import get_gdal_config, set_gdal_config
from rasterio.windows import Window

from ..rasters import write_raster

ALL = Window(0, 0, 4, 3)


def ramp(dtype, bands=2):
    return np.arange(bands * 12).reshape(bands, 3, 4).astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
def test_values_come_back_as_float32(tmp_path, dtype):
    with RasterReader(write_raster(tmp_path / "a.tif", ramp(dtype))) as reader:
        image, valid = reader.read(ALL)
    assert image.dtype == np.float32
    assert np.array_equal(image, ramp("float32"))
    assert valid.all()


def test_nodata_zero_is_nodata(tmp_path):
    with RasterReader(write_raster(tmp_path / "a.tif", ramp("uint8"), nodata=0)) as reader:
        _, valid = reader.read(ALL)
    assert np.count_nonzero(~valid) == 1
    assert not valid[0, 0]


def test_zero_without_nodata_is_a_value(tmp_path):
    with RasterReader(write_raster(tmp_path / "a.tif", ramp("uint8"))) as reader:
        assert reader.read(ALL)[1].all()


def test_one_invalid_band_makes_the_pixel_invalid(tmp_path):
    values = ramp("float32")
    values[1, 2, 3] = np.nan
    values[0, 1, 1] = -9999
    values[1, 0, 0] = np.inf
    with RasterReader(write_raster(tmp_path / "a.tif", values, nodata=-9999)) as reader:
        image, valid = reader.read(ALL)
    assert sorted(map(tuple, np.argwhere(~valid).tolist())) == [(0, 0), (1, 1), (2, 3)]
    assert (image[:, ~valid] == 0).all()


def test_only_used_bands_decide(tmp_path):
    values = ramp("float32")
    values[1] = np.nan
    with RasterReader(write_raster(tmp_path / "a.tif", values), [1]) as reader:
        image, valid = reader.read(ALL)
    assert image.shape == (1, 3, 4)
    assert valid.all()


def test_nodata_that_the_type_cannot_hold_is_ignored(tmp_path):
    source = write_raster(tmp_path / "a.tif", ramp("uint8"))
    vrt = tmp_path / "a.vrt"
    vrt.write_text(
        f'<VRTDataset rasterXSize="4" rasterYSize="3"><VRTRasterBand dataType="Byte" band="1"><NoDataValue>-9999</NoDataValue>'
        f"<SimpleSource><SourceFilename>{source}</SourceFilename><SourceBand>1</SourceBand></SimpleSource>"
        "</VRTRasterBand></VRTDataset>"
    )
    with RasterReader(str(vrt)) as reader:
        assert reader.read(ALL)[1].all()


@pytest.mark.parametrize(("kind", "dtype", "nodata"), [("Int64", "int64", -(2**63)), ("UInt64", "uint64", 2**64 - 1)])
def test_nodata_of_64_bits_is_exact(tmp_path, kind, dtype, nodata):
    """A double rounds these to other numbers."""
    values = ramp(dtype, 1)
    values[0, 1, 2] = nodata
    source = write_raster(tmp_path / "a.tif", values)
    vrt = tmp_path / "a.vrt"
    vrt.write_text(
        f'<VRTDataset rasterXSize="4" rasterYSize="3"><VRTRasterBand dataType="{kind}" band="1"><NoDataValue>{nodata}</NoDataValue>'
        f"<SimpleSource><SourceFilename>{source}</SourceFilename><SourceBand>1</SourceBand></SimpleSource>"
        "</VRTRasterBand></VRTDataset>"
    )
    with RasterReader(str(vrt)) as reader:
        assert np.argwhere(~reader.read(ALL)[1]).tolist() == [[1, 2]]


def test_usual_float_nodata_is_invalid(tmp_path):
    values = ramp("float32", 1)
    values[0, 2, 1] = np.finfo(np.float32).min
    with RasterReader(write_raster(tmp_path / "a.tif", values, nodata=-3.4028234663852886e38)) as reader:
        assert np.argwhere(~reader.read(ALL)[1]).tolist() == [[2, 1]]


def test_number_too_large_for_the_network_is_invalid(tmp_path):
    values = ramp("float64", 1)
    values[0, 0, 1] = 1e300
    with RasterReader(write_raster(tmp_path / "a.tif", values)) as reader:
        image, valid = reader.read(ALL)
        assert np.array_equal(reader.read_raw(ALL)[1], valid)
    assert np.argwhere(~valid).tolist() == [[0, 1]]
    assert np.isfinite(image).all()


def test_cache_of_gdal_is_bounded(tmp_path):
    path = write_raster(tmp_path / "a.tif", ramp("uint8"))
    before = get_gdal_config("GDAL_CACHEMAX")
    try:
        set_gdal_config("GDAL_CACHEMAX", 2 * CACHE_BYTES)
        describe(path)
        assert get_gdal_config("GDAL_CACHEMAX") == CACHE_BYTES
        set_gdal_config("GDAL_CACHEMAX", CACHE_BYTES // 2)
        describe(path)
        assert get_gdal_config("GDAL_CACHEMAX") == CACHE_BYTES // 2
    finally:
        set_gdal_config("GDAL_CACHEMAX", before)


def test_internal_mask_counts(tmp_path):
    mask = np.ones((3, 4), bool)
    mask[1] = False
    with RasterReader(write_raster(tmp_path / "a.tif", ramp("uint8"), mask=mask)) as reader:
        assert np.array_equal(reader.read(ALL)[1], mask)


def test_alpha_band_is_a_mask_and_not_imagery(tmp_path):
    values = ramp("uint8", 4)
    values[3] = 255
    values[3, 0, 2] = 0
    with RasterReader(write_raster(tmp_path / "a.tif", values, photometric="RGB", alpha="YES")) as reader:
        image, valid = reader.read(ALL)
    assert len(image) == 3
    assert np.argwhere(~valid).tolist() == [[0, 2]]


def test_window_beyond_the_raster_is_invalid_there(tmp_path):
    with RasterReader(write_raster(tmp_path / "a.tif", ramp("uint8"))) as reader:
        image, valid = reader.read(Window(-1, -2, 6, 6))
    assert np.array_equal(image[:, 2:5, 1:5], ramp("float32"))
    assert valid.sum() == 12
    assert valid[2:5, 1:5].all()


def test_scale_and_offset_are_applied(tmp_path):
    path = write_raster(tmp_path / "a.tif", ramp("uint16"))
    with rasterio.open(path, "r+") as raster:
        raster.scales, raster.offsets = (0.5, 2.0), (-1.0, 3.0)
    with RasterReader(path) as reader:
        image, _ = reader.read(ALL)
    assert image[0, 0, 1] == pytest.approx(-0.5)
    assert image[1, 0, 0] == pytest.approx(27.0)


def test_bands_of_several_types_are_read_together(tmp_path):
    first = write_raster(tmp_path / "a.tif", ramp("float32", 1), nodata=-1)
    second = write_raster(tmp_path / "b.tif", ramp("int16", 1), nodata=5)
    bands = "".join(
        f'<VRTRasterBand dataType="{kind}" band="{number}"><NoDataValue>{nodata}</NoDataValue><SimpleSource>'
        f"<SourceFilename>{path}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        for number, (kind, nodata, path) in enumerate([("Float32", -1, first), ("Int16", 5, second)], start=1)
    )
    vrt = tmp_path / "a.vrt"
    vrt.write_text(f'<VRTDataset rasterXSize="4" rasterYSize="3">{bands}</VRTDataset>')
    with RasterReader(str(vrt)) as reader:
        image, valid = reader.read(ALL)
    assert reader.info.dtype == "float32"
    assert np.argwhere(~valid).tolist() == [[1, 1]]
    assert image[1, 2, 3] == 11


def test_names_cell_size_and_ground_sample_distance(tmp_path):
    info = describe(write_raster(tmp_path / "a.tif", ramp("uint8"), names=["red", ""]))
    assert info.band_names == ("red", "Band 2")
    assert info.cell_size == (10, 10)
    assert info.gsd_m == pytest.approx(10)


def test_sensor_is_the_one_that_the_image_names(tmp_path):
    path = write_raster(tmp_path / "a.tif", ramp("uint8"))
    assert describe(path).sensor == ""
    with rasterio.open(path, "r+") as raster:
        raster.update_tags(SENSOR="landsat8")
    assert describe(path).sensor == "landsat8"


def test_ground_sample_distance_in_degrees_depends_on_the_latitude(tmp_path):
    transform = Affine(0.001, 0, 10, 0, -0.001, 60.0015)
    info = describe(write_raster(tmp_path / "a.tif", ramp("uint8"), crs="EPSG:4326", transform=transform))
    assert info.gsd_m == pytest.approx(111.32 * 0.5**0.5, rel=1e-3)


def test_raster_without_crs_has_no_ground_sample_distance(tmp_path):
    info = describe(write_raster(tmp_path / "a.tif", ramp("uint8"), crs=None))
    assert info.crs_wkt is None
    assert info.gsd_m is None


def test_rotated_raster_is_refused_with_the_next_step(tmp_path):
    path = write_raster(tmp_path / "a.tif", ramp("uint8"), transform=Affine.rotation(20) * Affine.scale(10, -10))
    with pytest.raises(ToolboxError, match=r"rotated .* warp it first"):
        describe(path)


def test_unreadable_file_and_absent_band_are_refused(tmp_path):
    (tmp_path / "no.tif").write_text("no raster")
    with pytest.raises(ToolboxError, match=r"no\.tif cannot be read"):
        describe(str(tmp_path / "no.tif"))
    with pytest.raises(ToolboxError, match="has 2 bands, so band 3 cannot be used"):
        RasterReader(write_raster(tmp_path / "a.tif", ramp("uint8")), [3])
