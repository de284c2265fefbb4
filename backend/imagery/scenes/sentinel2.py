# SPDX-License-Identifier: GPL-2.0-or-later
"""Sentinel-2 Level-1C and Level-2A, in the SAFE format used since December 2016, as a scene.

Scaling (ESA, Sentinel-2 Products Specification Document): reflectance is (DN + offset) / quantification value, with an offset, −1000
so far, in the metadata from processing baseline 04.00 on and none before; DN 0 is no data, 65,535 saturated. Level-1C reflectance
is at the top of the atmosphere and already corrected for the sun's angle.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from xml.etree.ElementTree import Element

from ...errors import ToolboxError
from ..sensors import Sensor, load_sensors
from .files import ProductFiles
from .quality import SCENE_CLASSES, QualityBand
from .scene import SURFACE, TOP_OF_ATMOSPHERE, Scaling, Scene, SceneBand, missing_remark
from .sources import product_driver
from .xml_text import find_all, find_text, local_name, parse_xml

METADATA_NAME = r"MTD_MSI(?:L1C|L2A)\.xml"
OLD_METADATA_NAME = r"S2[A-Z]_(?:OPER|USER)_MTD_.*\.xml"
IMAGE_NAME = re.compile(
    r"(?:L2A_)?T(?P<tile>\d\d[A-Z]{3})_\d{8}T\d{6}_(?P<code>B\d\d|B8A|SCL)(?:_(?P<cell>10|20|60)m)?\.(?:jp2|tif)", re.IGNORECASE
)
LEVELS = {"Level-2A_User_Product": SURFACE, "Level-1C_User_Product": TOP_OF_ATMOSPHERE}
# Of the numbers by which the metadata speaks of bands.
BAND_ORDER = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12")
CELL_SIZES = {"B1": 60, "B2": 10, "B3": 10, "B4": 10, "B8": 10, "B9": 60, "B10": 60}  # of Level-1C; the others 20
BASELINE_WITH_OFFSET = 4.0
NO_DATA, SATURATED = 0, 65_535


def read_sentinel2(files: ProductFiles, metadata_name: str, only: Sequence[str] = ()) -> Scene:
    """The scene of a Sentinel-2 product.

    Args:
        files: The product's files.
        metadata_name: Which of them is MTD_MSIL1C.xml or MTD_MSIL2A.xml.
        only: Names of image files to use, in this order; empty = all.

    Raises:
        ToolboxError: The metadata are damaged or of another level, images are missing or of several tiles.
    """
    metadata = _parse(metadata_name, files)
    level = LEVELS[local_name(metadata)]
    sensor = _identify(metadata, metadata_name)
    folder = str(PurePosixPath(metadata_name).parent)
    product = files.below("" if folder == "." else folder)
    images = _list_images(product, level, only)
    listed = {PurePosixPath(name).name for name in images.values()}
    unknown = next((name for name in only if name not in listed and not _has_twin(name, only)), None)
    if unknown:
        raise ToolboxError(f"{unknown} does not lie in the folder IMG_DATA of {metadata_name}; put it back, or choose SCALE none.")
    title = find_text(metadata, "PRODUCT_URI") or PurePosixPath(folder).name or files.path.name
    scalings, remark = _read_scalings(metadata, level, title)
    wavelengths = _read_wavelengths(metadata)
    bands = []
    for (code, cell_size), name in sorted(images.items()):
        known = sensor.find(code)
        if known is not None:
            typical = known.wavelength_nm / 1000 if known.wavelength_nm else None
            bands.append(
                SceneBand(
                    name=known.name,
                    code=known.code,
                    source=product.gdal_source(name),
                    cell_size=cell_size,
                    wavelength_um=wavelengths.get(known.code, typical),
                    scaling=scalings[known.code],
                    nodata=NO_DATA,
                    saturated=SATURATED,
                    driver=product_driver(name),
                )
            )
    lacks_scl = level == SURFACE and not any(code == "SCL" for code, _ in images)
    return Scene(
        title=title,
        sensor=sensor.id,
        bands=tuple(bands),
        usual=tuple(dict.fromkeys(_code(name) for name in only)) if only else sensor.stacks[0],
        quality=_find_quality(product, images),
        missing_quality=dict.fromkeys(sorted(SCENE_CLASSES), "its scene classification (SCL)") if lacks_scl else {},
        level=level,
        date=(find_text(metadata, "PRODUCT_START_TIME") or "")[:10],
        remarks=(*((remark,) if remark else ()), *missing_remark([] if only else _find_missing(metadata, product))),
    )


def _parse(name: str, files: ProductFiles) -> Element:
    try:
        metadata = parse_xml(files.read(name))
    except ValueError as fault:
        raise ToolboxError(
            f"{PurePosixPath(name).name} is no complete metadata file ({fault}); download the product again."
        ) from fault
    if local_name(metadata) not in LEVELS:
        raise ToolboxError(f"{PurePosixPath(name).name} describes a {local_name(metadata)}; Level-1C and Level-2A are read.")
    return metadata


def _identify(metadata: Element, name: str) -> Sensor:
    spacecraft = find_text(metadata, "SPACECRAFT_NAME") or re.sub(
        r"^S(2[A-Z]).*", r"Sentinel-\1", find_text(metadata, "PRODUCT_URI") or ""
    )
    sensor = load_sensors().sensors.get(spacecraft.lower().replace("-", ""))
    if sensor is None or not sensor.id.startswith("sentinel2"):
        raise ToolboxError(
            f"{PurePosixPath(name).name} names the spacecraft “{spacecraft}”; Sentinel-2A, 2B, 2C and 2D are known. Stack its image "
            "files as a list of rasters instead."
        )
    return sensor


def _list_images(product: ProductFiles, level: str, only: Sequence[str]) -> dict[tuple[str, float], str]:
    """Image files by band code and cell size in metres."""
    images, tiles = {}, set()
    for path in product.names:
        match = IMAGE_NAME.fullmatch(PurePosixPath(path).name)
        if not match or "IMG_DATA" not in PurePosixPath(path).parts:
            continue
        code = _code(match[0])
        if only and match[0] not in only and code != "SCL":
            continue
        cell_size = float(match["cell"] or CELL_SIZES.get(code, 20))
        images[code, cell_size] = path
        tiles.add(match["tile"])
    if len(tiles) > 1:
        raise ToolboxError(f"The product holds the tiles {', '.join(sorted(tiles))}; give the folder of one of them.")
    if not images:
        raise ToolboxError(f"{product.path.name} holds no image files (IMG_DATA/…B04….jp2); download the product again.")
    return images


def _code(file: str) -> str:
    """The band's code in the name of an image file, such as B4 or SCL; empty when it is another file."""
    match = IMAGE_NAME.fullmatch(file)
    return re.sub(r"^B0", "B", match["code"].upper()) if match else ""


def _has_twin(name: str, names: Sequence[str]) -> bool:
    """Whether the same band is named again, perhaps at another cell size; one file of each cell size is read."""
    return sum(_code(other) == _code(name) for other in names) > 1


def _find_missing(metadata: Element, product: ProductFiles) -> list[str]:
    """Image files of bands that the metadata list but that are not there."""
    present = {PurePosixPath(name).stem for name in product.names}
    listed = [PurePosixPath((element.text or "").strip()).name for element in find_all(metadata, "IMAGE_FILE")]
    return [stem for stem in listed if IMAGE_NAME.fullmatch(f"{stem}.jp2") and stem not in present]


def _read_scalings(metadata: Element, level: str, title: str) -> tuple[dict[str, Scaling], str]:
    """Scaling by band code, and a remark for the user."""
    tags = ("BOA_QUANTIFICATION_VALUE", "L2A_BOA_QUANTIFICATION_VALUE") if level == SURFACE else ("QUANTIFICATION_VALUE",)
    quantification = next((text for tag in tags if (text := find_text(metadata, tag))), None)
    offsets = {element.get("band_id"): element.text for element in find_all(metadata, _offset_tag(level))}
    names = _band_numbers(metadata)
    try:
        divisor = float(quantification or "")
        incomplete = [code for number, code in names.items() if offsets and not offsets.get(number)]
        if incomplete:
            raise ValueError(f"no offset of {incomplete[0]}")
        scalings = {code: Scaling(1 / divisor, float(offsets.get(number) or 0) / divisor) for number, code in names.items()}
        if not all(
            math.isfinite(scaling.scale) and math.isfinite(scaling.offset) and scaling.scale > 0 for scaling in scalings.values()
        ):
            raise ValueError("not finite and positive")
        baseline = float(find_text(metadata, "PROCESSING_BASELINE") or _baseline_of_name(title))
    except (ValueError, ZeroDivisionError) as fault:
        raise ToolboxError(
            f"The metadata of {title} hold no usable quantification value and offsets ({fault}); download it again."
        ) from fault
    if offsets:
        return scalings, ""
    if baseline >= BASELINE_WITH_OFFSET:
        return scalings, f"{title} is of processing baseline {baseline:05.2f}, but its metadata name no offset; none was added."
    return scalings, ""


def _baseline_of_name(title: str) -> str:
    """The processing baseline in a product's name, N0400 for 04.00."""
    match = re.search(r"_N(\d\d)(\d\d)_", title)
    return f"{match[1]}.{match[2]}" if match else "nan"


def _offset_tag(level: str) -> str:
    return "BOA_ADD_OFFSET" if level == SURFACE else "RADIO_ADD_OFFSET"


def _band_numbers(metadata: Element) -> dict[str, str]:
    """Band codes by the metadata's own numbers."""
    named = {
        number: code
        for element in find_all(metadata, "Spectral_Information")
        if (number := element.get("bandId")) and (code := element.get("physicalBand")) in BAND_ORDER
    }
    return {**{str(number): code for number, code in enumerate(BAND_ORDER)}, **named}


def _read_wavelengths(metadata: Element) -> dict[str, float]:
    """Centres in micrometres by band code."""
    found = {}
    for element in find_all(metadata, "Spectral_Information"):
        text, code = find_text(element, "CENTRAL"), element.get("physicalBand")
        if text and code and re.fullmatch(r"\d+(\.\d+)?", text):
            found[code] = float(text) / 1000
    return found


def _find_quality(product: ProductFiles, images: dict[tuple[str, float], str]) -> tuple[QualityBand, ...]:
    """The scene classification of Level-2A, else the cloud classification of Level-1C since baseline 04.00."""
    classified = [
        QualityBand("scl", product.gdal_source(name), cell_size, product_driver(name))
        for (code, cell_size), name in images.items()
        if code == "SCL"
    ]
    masks = [name for name in product.find(r"MSK_CLASSI_B00\.jp2") if "QI_DATA" in PurePosixPath(name).parts]
    return tuple(classified) or tuple(QualityBand("classi", product.gdal_source(name), 60, product_driver(name)) for name in masks[:1])
