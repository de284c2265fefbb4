# SPDX-License-Identifier: GPL-2.0-or-later
"""A list of rasters as a scene: loose band files of one product, or anything else (a height model, a scene of last year, radar).

Band files are recognised by their names. With the product's metadata file beside or above them they get its scaling, so they must be
of one product. Any other raster brings all its bands, with their own scale, offset and nodata. A product's quality, colour and
atmosphere files are left out and named, unless stored numbers are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ...errors import ToolboxError
from ..raster import RasterInfo, RasterReader
from ..sensors import load_sensors
from .files import list_files
from .landsat import read_landsat
from .scene import OTHER, Scaling, Scene, SceneBand
from .sentinel2 import IMAGE_NAME, METADATA_NAME, read_sentinel2

LANDSAT_NAME = re.compile(
    r"(?P<product>L[COTE]0[4-9]_(?:L1TP|L1GT|L1GS|L2SP|L2SR)_\d{6}_\d{8}_\d{8}_02_(?:T1|T2|RT))_(?:(?:SR|ST)_)?B\d{1,2}(?:_VCID_\d)?\.TIF",
    re.IGNORECASE,
)
# Files of a product that hold no reflectance or temperature.
OTHER_NAME = re.compile(
    r"(?:L[COTE]0[4-9]_L\w+_(?:QA_\w+|(?:SR|ST)_(?:\w*QA\w*|ATRAN|CDIST|DRAD|EMIS|EMSD|TRAD|URAD|CLOUD_\w+|ATMOS_OPACITY)|S[AZ]A|V[AZ]A)\.TIF"
    r"|(?:L2A_)?T\d\d[A-Z]{3}_\d{8}T\d{6}_(?:TCI|WVP|AOT|SCL)(?:_\d0m)?\.(?:jp2|tif))",
    re.IGNORECASE,
)
SENTINEL_PRODUCT = re.compile(r"(?:L2A_)?T\d\d[A-Z]{3}_\d{8}T\d{6}", re.IGNORECASE)
ABOVE = 5  # folders from an image file of a SAFE product up to its metadata file


def read_rasters(paths: Sequence[str], scale: str) -> Scene:
    """The scene of a list of rasters.

    Args:
        paths: Files or other GDAL sources, in the order of the bands.
        scale: The setting SCALE.

    Raises:
        ToolboxError: The band files are of several products, or lack the metadata that their scaling needs; a raster cannot be read.
    """
    landsat = {path: match["product"].upper() for path in paths if (match := LANDSAT_NAME.fullmatch(Path(path).name))}
    sentinel = {path: _sentinel_product(path) for path in paths if _is_sentinel_band(path)}
    recognised = {**landsat, **sentinel}
    several = sorted(set(recognised.values()))
    if len(several) > 1 and (scale != "none" or len(recognised) == len(paths)):
        raise ToolboxError(
            f"The band files are of several scenes ({', '.join(several[:3])}), which may lie in different UTM zones; "
            "prepare each scene by itself, then stack the results."
        )
    left_out = [path for path in paths if OTHER_NAME.fullmatch(Path(path).name)] if recognised and scale != "none" else []
    paths = [path for path in paths if path not in left_out]
    scene = None
    if len(several) == 1:
        own = list(recognised)
        scene = _find_landsat(own, next(iter(landsat.values()))) if landsat else _find_sentinel2(own)
    other = _find_other_copy(scene, recognised) if scene else ""
    if other and scale != "none":
        raise ToolboxError(
            f"{other} is not the file that lies with its product's metadata, so it may have been changed: put it there, or choose "
            "SCALE none for its stored numbers."
        )
    if other:
        scene = None
    if scene is None and recognised and scale != "none":
        raise ToolboxError(
            f"The metadata file of {Path(next(iter(recognised))).name} is not there, so its scaling is not known: put the product's "
            "MTL or MTD_MSI*.xml file beside the bands, or choose SCALE none."
        )
    if scale == "toa" and (scene is None or len(recognised) < len(paths)):
        raise ToolboxError("SCALE toa needs a Level-1 product with its metadata; for other rasters choose reflectance or none.")
    if scene is None:
        return _stack(paths)
    if left_out:
        names = ", ".join(Path(path).name for path in left_out)
        remark = f"Left out, since they are no bands but the product's own quality or derived files: {names}."
        scene = replace(scene, remarks=(*scene.remarks, remark))
    return scene if len(recognised) == len(paths) else _join(scene, paths, recognised)


def _find_other_copy(scene: Scene, paths: Iterable[str]) -> str:
    """A band file that is not the product's own, but, say, a clipped copy of the same name elsewhere; empty if there is none."""
    own = {Path(band.source).resolve() for band in scene.bands}
    return next((path for path in paths if Path(path).resolve() not in own), "")


def _join(scene: Scene, paths: Sequence[str], recognised: Container[str]) -> Scene:
    """Band files with their product's scaling and other rasters with their own, in the order given."""
    taken = {text for band in scene.bands for text in (band.name, band.code)}
    others = _stack([path for path in paths if path not in recognised], taken)
    bands = {path: [band for band in (*scene.bands, *others.bands) if _is_source(band.source, path)] for path in paths}
    title, remarks = "The list of rasters", (*scene.remarks, *others.remarks)
    joined = tuple(band for path in dict.fromkeys(paths) for band in bands[path])
    return replace(scene, title=title, bands=joined, usual=(), level="", remarks=remarks)


def _is_source(source: str, path: str) -> bool:
    return source == path or Path(source).absolute() == Path(path).absolute()


def _is_sentinel_band(path: str) -> bool:
    name = Path(path).name
    return IMAGE_NAME.fullmatch(name) is not None and OTHER_NAME.fullmatch(name) is None


def _sentinel_product(path: str) -> str:
    match = SENTINEL_PRODUCT.match(Path(path).name)
    return match[0].upper() if match else ""


def _find_landsat(paths: Sequence[str], product: str) -> Scene | None:
    """The scene when the MTL lies beside the files."""
    folder = Path(paths[0]).absolute().parent
    for ending in ("txt", "json", "xml"):
        name = f"{product}_MTL.{ending}"
        if (folder / name).is_file():
            return read_landsat(list_files(folder), name, [Path(path).name for path in paths])
    return None


def _find_sentinel2(paths: Sequence[str]) -> Scene | None:
    """The scene when the metadata file lies beside or above the files."""
    for folder in Path(paths[0]).absolute().parents[:ABOVE]:
        if not folder.is_dir():  # in an archive
            return None
        found = sorted(entry.name for entry in folder.iterdir() if re.fullmatch(METADATA_NAME, entry.name))
        if found:
            return read_sentinel2(list_files(folder), found[0], [Path(path).name for path in paths])
    return None


def _stack(paths: Sequence[str], reserved: Iterable[str] = ()) -> Scene:
    """All bands of all rasters; a name that repeats, or is reserved, gets the file's name before it."""
    bands: list[SceneBand] = []
    sensor, taken = "", set(reserved)
    for path in paths:
        with RasterReader(path) as reader:
            info, imagery = reader.info, reader.bands
        sensor = sensor or info.sensor
        for band in imagery:  # an alpha band is a mask
            name = _name_band(info, band, taken)
            taken.add(name)
            bands.append(
                SceneBand(
                    name=name,
                    code="",
                    source=path,
                    number=band,
                    cell_size=min(info.cell_size),
                    wavelength_um=info.wavelengths[band - 1],
                    scaling=Scaling(info.scales[band - 1], info.offsets[band - 1]),
                    kind=OTHER,
                )
            )
    known = sensor if sensor in load_sensors().sensors else ""
    return Scene(title="The list of rasters", sensor=known, bands=tuple(bands))


def _name_band(info: RasterInfo, band: int, taken: set[str]) -> str:
    """The band's own name; else the file's, with a number if it has several bands."""
    stem = Path(info.source).stem
    name = info.band_names[band - 1]
    if name == f"Band {band}":  # it has none
        name = stem if info.count == 1 else f"{stem}_{band}"
    if name in taken:
        name = f"{stem}_{name}"
    base, number = name, 2
    while name in taken:
        name, number = f"{base}_{number}", number + 1
    return name
