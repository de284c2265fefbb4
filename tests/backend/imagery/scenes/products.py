# SPDX-License-Identifier: GPL-2.0-or-later
"""Small Landsat and Sentinel-2 products with the naming, metadata keys and numbers of genuine ones.

The numbers of the Landsat files are those of LC08_…_047027_20201204, LT05_…_058014_20110312 and LE07_…_230080_20231208, those of the
Sentinel-2 files of S2B_…_20220413T150759 (baseline 04.00) and S2A_…_20210908T042701 (baseline 03.01).
"""

import json
import tarfile
import zipfile

import numpy as np
import rasterio
from affine import Affine

LANDSAT_TRANSFORM = Affine(30, 0, 353_685, 0, -30, 5_374_215)
LANDSAT_CRS = "EPSG:32610"
SIZE = 6  # pixels of a Landsat band
SUN_ELEVATION = {"LC08": "18.80722985", "LC09": "18.80722985", "LT05": "20.49968487", "LT04": "20.49968487", "LE07": "30.88235160"}
NAMES = {
    "LC08": ("LC08", "047027_20201204_20210313_02_T1", "LANDSAT_8", "OLI_TIRS"),
    "LC09": ("LC09", "010065_20220129_20220131_02_T1", "LANDSAT_9", "OLI_TIRS"),
    "LT05": ("LT05", "058014_20110312_20200823_02_T1", "LANDSAT_5", "TM"),
    "LT04": ("LT04", "002026_19830110_20200918_02_T1", "LANDSAT_4", "TM"),
    "LE07": ("LE07", "230080_20231208_20240103_02_T1", "LANDSAT_7", "ETM"),
}
REFLECTIVE = {"LC08": "1234567", "LC09": "1234567", "LT05": "123457", "LT04": "123457", "LE07": "123457"}
LEVEL_1_EXTRA = {"LC08": ["8", "9", "10", "11"], "LC09": ["8", "9", "10", "11"], "LT05": ["6"], "LT04": ["6"],
                 "LE07": ["6_VCID_1", "6_VCID_2", "8"]}  # fmt: skip
TM_REFLECTANCE = {"1": ("1.2221E-03", "-0.003648"), "2": ("2.5540E-03", "-0.007563"), "3": ("2.1735E-03", "-0.004609"),
                  "4": ("2.6307E-03", "-0.007165"), "5": ("1.7813E-03", "-0.007257"), "7": ("2.4726E-03", "-0.008131")}  # fmt: skip
ETM_REFLECTANCE = {"1": ("1.1661E-03", "-0.010450"), "2": ("1.3121E-03", "-0.011825"), "3": ("1.2428E-03", "-0.011238"),
                   "4": ("2.7591E-03", "-0.017276"), "5": ("1.7365E-03", "-0.015494"), "7": ("1.6449E-03", "-0.014760"),
                   "8": ("2.2549E-03", "-0.013118")}  # fmt: skip
THERMAL = {  # radiance factor, summand, K1, K2
    "10": ("3.3420E-04", "0.10000", "774.8853", "1321.0789"),
    "11": ("3.3420E-04", "0.10000", "480.8883", "1201.1442"),
    "6": ("5.5375E-02", "1.18243", "607.76", "1260.56"),
    "6_VCID_1": ("6.7087E-02", "-0.06709", "666.09", "1282.71"),
    "6_VCID_2": ("3.7205E-02", "3.16280", "666.09", "1282.71"),
}


def write_tif(path, values, transform=LANDSAT_TRANSFORM, crs=LANDSAT_CRS, nodata=0, driver="GTiff"):
    """Writes (rows, columns) or (bands, rows, columns) as the agencies do: GeoTIFF, or lossless JPEG 2000 without nodata."""
    values = values[None] if values.ndim == 2 else values
    count, height, width = values.shape
    options = {"compress": "DEFLATE", "nodata": nodata} if driver == "GTiff" else {"QUALITY": "100", "REVERSIBLE": "YES"}
    profile = {"driver": driver, "dtype": values.dtype, "crs": crs, "transform": transform, **options}
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", count=count, height=height, width=width, **profile) as raster:
        raster.write(values)


def plain(value, dtype=np.uint16):
    """A band of one value."""
    return np.full((SIZE, SIZE), value, dtype)


def landsat(folder, sensor="LC08", level="L2SP", form="txt", bands=None, quality=None, saturated=None):
    """Writes a Landsat product into the folder and returns the folder.

    ``bands`` gives arrays by band ("4", "ST_B10", "6_VCID_1"); the others hold 10,000 (8-bit: 100). ``quality`` is QA_PIXEL, by
    default clear land (21824), ``saturated`` QA_RADSAT, by default nothing.
    """
    is_level_2 = level.startswith("L2")
    prefix, rest, *_ = NAMES[sensor]
    product = f"{prefix}_{level}_{rest}"
    thermal = {"L2SP": ["ST_B10" if sensor in ("LC08", "LC09") else "ST_B6"], "L2SR": []}
    numbers = [*REFLECTIVE[sensor], *(thermal[level] if is_level_2 else LEVEL_1_EXTRA[sensor])]
    is_byte = not is_level_2 and sensor in ("LT05", "LT04", "LE07")
    files = {}
    for number in numbers:
        part = number if number.startswith("ST_") else f"SR_B{number}" if is_level_2 else f"B{number}"
        files[f"FILE_NAME_BAND_{number}"] = f"{product}_{part}.TIF"
        values = (bands or {}).get(number, plain(100, np.uint8) if is_byte else plain(10_000))
        if number == "8":  # panchromatic: cells of 15 m, four for each of the others
            values = values.repeat(2, axis=0).repeat(2, axis=1)
        transform = LANDSAT_TRANSFORM * Affine.scale(0.5) if number == "8" else LANDSAT_TRANSFORM
        write_tif(folder / files[f"FILE_NAME_BAND_{number}"], values, transform)
    files["FILE_NAME_QUALITY_L1_PIXEL"] = f"{product}_QA_PIXEL.TIF"
    files["FILE_NAME_QUALITY_L1_RADIOMETRIC_SATURATION"] = f"{product}_QA_RADSAT.TIF"
    write_tif(folder / f"{product}_QA_PIXEL.TIF", plain(21_824) if quality is None else quality, nodata=1)
    write_tif(folder / f"{product}_QA_RADSAT.TIF", plain(0) if saturated is None else saturated, nodata=None)
    groups = landsat_groups(sensor, level, product, files)
    (folder / f"{product}_MTL.{form}").write_text(FORMS[form](groups), encoding="utf-8")
    return folder


def landsat_groups(sensor, level, product, files):
    """The groups and keys of an MTL file that name and scale bands."""
    *_, spacecraft, instrument = NAMES[sensor]
    contents = {"ORIGIN": "Image courtesy of the U.S. Geological Survey", "LANDSAT_PRODUCT_ID": product, "PROCESSING_LEVEL": level,
                "COLLECTION_NUMBER": "02", "COLLECTION_CATEGORY": "T1", "OUTPUT_FORMAT": "GEOTIFF", **files}  # fmt: skip
    groups = {
        "PRODUCT_CONTENTS": contents,
        "IMAGE_ATTRIBUTES": {"SPACECRAFT_ID": spacecraft, "SENSOR_ID": instrument, "DATE_ACQUIRED": "2020-12-04",
                             "SUN_AZIMUTH": "164.91405951", "SUN_ELEVATION": SUN_ELEVATION[sensor]},
        "PROJECTION_ATTRIBUTES": {"MAP_PROJECTION": "UTM", "UTM_ZONE": "10", "GRID_CELL_SIZE_PANCHROMATIC": "15.00",
                                  "GRID_CELL_SIZE_REFLECTIVE": "30.00", "GRID_CELL_SIZE_THERMAL": "30.00"},
    }  # fmt: skip
    if level.startswith("L2"):
        scaling = {}
        for number in REFLECTIVE[sensor]:
            scaling |= {f"REFLECTANCE_MULT_BAND_{number}": "2.75e-05", f"REFLECTANCE_ADD_BAND_{number}": "-0.2"}
        groups["LEVEL2_SURFACE_REFLECTANCE_PARAMETERS"] = scaling
        thermal = "ST_B10" if sensor in ("LC08", "LC09") else "ST_B6"
        groups["LEVEL2_SURFACE_TEMPERATURE_PARAMETERS"] = {
            f"TEMPERATURE_MULT_BAND_{thermal}": "0.00341802", f"TEMPERATURE_ADD_BAND_{thermal}": "149.0",
        }  # fmt: skip
    table = {"LT05": TM_REFLECTANCE, "LT04": TM_REFLECTANCE, "LE07": ETM_REFLECTANCE}
    rescaling = {}
    for number, (mult, add) in table.get(sensor, dict.fromkeys("123456789", ("2.0000E-05", "-0.100000"))).items():
        rescaling |= {f"REFLECTANCE_MULT_BAND_{number}": mult, f"REFLECTANCE_ADD_BAND_{number}": add}
    constants = {}
    for number in [number for number in LEVEL_1_EXTRA[sensor] if number in THERMAL]:
        mult, add, k1, k2 = THERMAL[number]
        rescaling |= {f"RADIANCE_MULT_BAND_{number}": mult, f"RADIANCE_ADD_BAND_{number}": add}
        constants |= {f"K1_CONSTANT_BAND_{number}": k1, f"K2_CONSTANT_BAND_{number}": k2}
    groups["LEVEL1_RADIOMETRIC_RESCALING"] = rescaling
    groups["LEVEL1_THERMAL_CONSTANTS"] = constants
    return groups


def as_text(groups, root="LANDSAT_METADATA_FILE"):
    """The form of _MTL.txt."""
    lines = [f"GROUP = {root}"]
    for group, entries in groups.items():
        lines.append(f"  GROUP = {group}")
        lines += [f'    {key} = "{value}"' if not value[:1].isdigit() else f"    {key} = {value}" for key, value in entries.items()]
        lines.append(f"  END_GROUP = {group}")
    return "\n".join([*lines, f"END_GROUP = {root}", "END"]) + "\n"


def as_json(groups):
    """The form of _MTL.json."""
    return json.dumps({"LANDSAT_METADATA_FILE": groups}, indent=2)


def as_xml(groups):
    """The form of _MTL.xml."""
    parts = []
    for group, entries in groups.items():
        parts += [f"<{group}>", *(f"<{key}>{value}</{key}>" for key, value in entries.items()), f"</{group}>"]
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<LANDSAT_METADATA_FILE>{"".join(parts)}</LANDSAT_METADATA_FILE>\n'


FORMS = {"txt": as_text, "json": as_json, "xml": as_xml}

SENTINEL_CRS = "EPSG:32633"
SENTINEL_CORNER = (499_980, 8_600_040)
SIDE = 12  # pixels of 10 m
CODES = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
METRES = {"B01": 60, "B02": 10, "B03": 10, "B04": 10, "B08": 10, "B09": 60, "B10": 60}
S2B_CENTRES = (442.3, 492.3, 559, 665, 703.8, 739.1, 779.7, 833, 864, 943.2, 1376.9, 1610.4, 2185.7)


def sentinel2(folder, level="L2A", baseline="04.00", bands=None, scl=None, classi=None, offset="-1000", tile="T33XWJ"):
    """Writes a Sentinel-2 product into the folder and returns its .SAFE folder.

    ``bands`` gives arrays by code and cell size in metres, such as ("B04", 10); the others hold 2000. ``scl`` is the scene
    classification at 20 m, by default vegetation (4). Before baseline 04.00 the metadata have no offsets.
    """
    is_new = float(baseline) >= 4
    number = f"N{baseline.replace('.', '')}"
    name = f"S2B_MSI{level}_20220413T150759_{number}_R025_{tile}_20220414T082126.SAFE"
    granule = f"GRANULE/{level}_{tile}_A026649_20220413T150756"
    images = {}
    for code in CODES:
        native = METRES.get(code, 20)
        if level == "L1C":
            images[f"{granule}/IMG_DATA/{tile}_20220413T150759_{code}"] = (code, native)
        elif code != "B10":
            for metres in (10, 20, 60):
                if metres >= native and (code, metres) != ("B08", 20) and (code, metres) != ("B08", 60):
                    images[f"{granule}/IMG_DATA/R{metres}m/{tile}_20220413T150759_{code}_{metres}m"] = (code, metres)
    if level == "L2A":
        for metres in (20, 60):
            images[f"{granule}/IMG_DATA/R{metres}m/{tile}_20220413T150759_SCL_{metres}m"] = ("SCL", metres)
    for path, (code, metres) in images.items():
        side = SIDE * 10 // metres
        values = (bands or {}).get((code, metres), np.full((side, side), 4 if code == "SCL" else 2000, np.uint16))
        if code == "SCL":
            values = (values if scl is None or metres != 20 else scl).astype(np.uint8)
        write_jp2(folder / name / f"{path}.jp2", values, metres)
    if classi is not None:
        write_jp2(folder / name / granule / "QI_DATA" / "MSK_CLASSI_B00.jp2", classi.astype(np.uint8), 60)
    (folder / name / f"MTD_MSI{level}.xml").write_text(
        sentinel2_metadata(level, baseline, name, images, offset if is_new else None), encoding="utf-8"
    )
    (folder / name / "manifest.safe").write_text("<xfdu/>", encoding="utf-8")
    (folder / name / granule / "MTD_TL.xml").write_text("<n1/>", encoding="utf-8")
    return folder / name


def write_jp2(path, values, metres):
    """One image file of a Sentinel-2 product."""
    transform = Affine(metres, 0, SENTINEL_CORNER[0], 0, -metres, SENTINEL_CORNER[1])
    write_tif(path, values, transform, SENTINEL_CRS, driver="JP2OpenJPEG")


def sentinel2_metadata(level, baseline, name, images, offset):
    """The elements of MTD_MSI….xml that name and scale bands."""
    kind = {"L2A": "Level-2A", "L1C": "Level-1C"}[level]
    if level == "L2A":
        values = ('<QUANTIFICATION_VALUES_LIST><BOA_QUANTIFICATION_VALUE unit="none">10000</BOA_QUANTIFICATION_VALUE>'
                  '<AOT_QUANTIFICATION_VALUE unit="none">1000.0</AOT_QUANTIFICATION_VALUE></QUANTIFICATION_VALUES_LIST>')  # fmt: skip
        tag, listed = "BOA_ADD_OFFSET", "BOA_ADD_OFFSET_VALUES_LIST"
    else:
        values = '<QUANTIFICATION_VALUE unit="none">10000</QUANTIFICATION_VALUE>'
        tag, listed = "RADIO_ADD_OFFSET", "Radiometric_Offset_List"
    if offset is not None:
        entries = "".join(f'<{tag} band_id="{number}">{offset}</{tag}>' for number in range(13))
        values += f"<{listed}>{entries}</{listed}>"
    physical = [code.replace("B0", "B") for code in CODES]
    spectral = "".join(
        f'<Spectral_Information bandId="{number}" physicalBand="{code}"><Wavelength>'
        f'<CENTRAL unit="nm">{centre}</CENTRAL></Wavelength></Spectral_Information>'
        for number, (code, centre) in enumerate(zip(physical, S2B_CENTRES, strict=True))
    )
    files = "".join(f"<IMAGE_FILE>{path}</IMAGE_FILE>" for path in images)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<n1:{kind}_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_{kind}.xsd"><n1:General_Info><Product_Info>
<PRODUCT_START_TIME>2022-04-13T15:07:59.024Z</PRODUCT_START_TIME><PRODUCT_URI>{name}</PRODUCT_URI>
<PROCESSING_LEVEL>{kind}</PROCESSING_LEVEL><PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE>
<Datatake datatakeIdentifier="GS2B_20220413T150759_026649_N04.00"><SPACECRAFT_NAME>Sentinel-2B</SPACECRAFT_NAME></Datatake>
<Product_Organisation><Granule_List><Granule imageFormat="JPEG2000">{files}</Granule></Granule_List></Product_Organisation>
</Product_Info>
<Product_Image_Characteristics>{values}<Spectral_Information_List>{spectral}</Spectral_Information_List>
</Product_Image_Characteristics></n1:General_Info></n1:{kind}_User_Product>
"""


def pack_tar(folder, path):
    """All files of a folder as a .tar, side by side as the USGS packs them."""
    with tarfile.open(path, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.add(file, file.name)
    return path


def pack_zip(folder, path):
    """A .SAFE folder as a .zip, with the folder in it as ESA packs it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder.parent))
    return path
