# SPDX-License-Identifier: GPL-2.0-or-later
"""Recognises what was given: a Landsat or Sentinel-2 product in one of its forms, or rasters to stack."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ...errors import ToolboxError
from . import landsat, sentinel2
from .files import TAR_ENDINGS, ZIP_ENDINGS, ProductFiles, list_files
from .rasters import read_rasters
from .scene import Scene

RASTER_NAME = r".*\.(?:tif|tiff|jp2|img|vrt)"
LANDSAT_FORMS = ("txt", "json", "xml")  # of the same metadata, in the order of preference


def find_scene(inputs: Sequence[str], scale: str) -> Scene:
    """The scene of the input.

    Args:
        inputs: One product, or the rasters to stack.
        scale: The setting SCALE; rasters of a known product need their metadata unless it is ``none``.

    Raises:
        ToolboxError: The input is not there, is no product or raster, or holds several products.
    """
    products = [path for path in inputs if _is_product(path)]
    if not products:
        return read_rasters(inputs, scale)
    inputs = _reduce_to_metadata(inputs)
    if len(inputs) > 1:
        raise ToolboxError(
            f"INPUT lists {len(inputs)} entries, and {Path(products[0]).name} is a product; give one product alone, or rasters only."
        )
    path = Path(inputs[0]).absolute()
    if path.is_file() and _is_metadata(path):
        return _read_product(list_files(path.parent), path.name)
    files = list_files(path)
    metadata = _find_metadata(files)
    if metadata:
        return _read_product(files, metadata)
    rasters = [files.gdal_source(name) for name in files.find(f"(?i:{RASTER_NAME})") if "/" not in name]
    if path.is_dir() and rasters:
        return read_rasters(rasters, scale)
    raise ToolboxError(
        f"{path.name} holds neither rasters nor the metadata of a Landsat Collection 2 (…_MTL.txt) or Sentinel-2 product "
        "(MTD_MSIL1C.xml, MTD_MSIL2A.xml); choose the folder or archive of the product."
    )


def _is_product(text: str) -> bool:
    """Whether an entry is a folder, an archive, or a product's metadata file."""
    path = Path(text)
    name = path.name.lower()
    return path.is_dir() or _is_metadata(path) or name.endswith((*ZIP_ENDINGS, *TAR_ENDINGS))


def _is_metadata(path: Path) -> bool:
    return re.fullmatch(f"(?i:{landsat.METADATA_NAME}|{sentinel2.METADATA_NAME})", path.name) is not None


def _reduce_to_metadata(inputs: Sequence[str]) -> Sequence[str]:
    """The metadata file alone when the list holds the files of one product, as a dialog's "add directory" makes it."""
    paths = [Path(text).absolute() for text in inputs]
    metadata = {path.with_suffix(""): path for path in paths if path.is_file() and _is_metadata(path)}
    if len(metadata) != 1:
        return inputs
    found = next(iter(metadata.values()))
    return [str(found)] if all(found.parent in path.parents for path in paths) else inputs


def _find_metadata(files: ProductFiles) -> str:
    """The one metadata file of the product; empty when there is none."""
    found = {str(PurePosixPath(name).parent / PurePosixPath(name).stem): name for name in files.find(sentinel2.METADATA_NAME)}
    for form in reversed(LANDSAT_FORMS):
        names = [name for name in files.find(landsat.METADATA_NAME) if name.endswith(f".{form}")]
        found |= {str(PurePosixPath(name).parent / PurePosixPath(name).stem): name for name in names}
    if len(found) > 1:
        shown = ", ".join(sorted(found)[:3])
        raise ToolboxError(
            f"{files.path.name} holds {len(found)} products ({shown}); give the folder or metadata file of one of them."
        )
    if not found and files.find(sentinel2.OLD_METADATA_NAME):
        raise ToolboxError(
            f"{files.path.name} is a Sentinel-2 product in the form used until December 2016; download it again, all of them have "
            "been processed anew."
        )
    return next(iter(found.values()), "")


def _read_product(files: ProductFiles, metadata: str) -> Scene:
    name = PurePosixPath(metadata).name
    read = sentinel2.read_sentinel2 if re.fullmatch(sentinel2.METADATA_NAME, name) else landsat.read_landsat
    return read(files, metadata)
