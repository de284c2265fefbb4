# SPDX-License-Identifier: GPL-2.0-or-later
"""No input is replaced by the output, whatever name it is given by."""

import numpy as np
import pytest
import rasterio
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.imagery.indices.compute import compute_indices
from deep_learning_toolbox.backend.imagery.indices.settings import IndicesSettings
from rasterio.shutil import copy

from ..rasters import drive, write_raster
from .scenes.products import landsat
from .scenes.running import prepare


@pytest.mark.parametrize("which", ["SR_B4", "SR_B1", "QA_PIXEL"])  # used, not used, quality
def test_file_of_the_product_is_not_replaced(tmp_path, which):
    product = landsat(tmp_path / "product")
    file = next(product.glob(f"*{which}.TIF"))
    before = file.read_bytes()
    with pytest.raises(ToolboxError, match="one of the files that are read"):
        prepare(product, file, bands="red")
    assert file.read_bytes() == before


@pytest.mark.parametrize("way", ["link", "vrt"])
def test_input_under_another_name_is_not_replaced(tmp_path, way):
    source = write_raster(tmp_path / "a.tif", np.full((2, 4, 4), 0.3, np.float32), names=["red", "nir"])
    other = tmp_path / f"other.{'tif' if way == 'link' else 'vrt'}"
    if way == "link":
        other.symlink_to(source)
    else:
        copy(source, other, driver="VRT")
    with pytest.raises(ToolboxError, match="one of the files that are read"):
        prepare(other, source)
    with pytest.raises(ToolboxError, match="one of the files that are read"):
        drive(compute_indices(IndicesSettings(str(other), source, "NDVI"), "t1"))
    with rasterio.open(source) as kept:
        assert kept.descriptions == ("red", "nir")
