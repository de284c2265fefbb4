# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage `inspect` on Classified Tiles: what it counts, and what it finds suspicious."""

import re
import sqlite3

import numpy as np
import pytest
from deep_learning_toolbox.backend.chips.inspection import footprints
from deep_learning_toolbox.backend.chips.inspection.folder import inspect_chips
from deep_learning_toolbox.backend.chips.inspection.settings import InspectSettings
from deep_learning_toolbox.backend.errors import ToolboxError

from ..rasters import drive
from .esri import ROAD, ROOF, SIDE, EsriFolder, square
from .inspection import inspect, kinds, stem


def two_chips(path, **options):
    folder = EsriFolder(path, **options)
    folder.classified(0, square(ROOF))
    folder.classified(1, square(ROAD, side=4) + square(ROOF, 10, 10, 2))
    return folder


def test_footprints_say_where_the_chips_are_and_what_they_hold(tmp_path):
    found = inspect(two_chips(tmp_path / "esri").finish(), tmp_path)
    first, second = found.rows[stem(0)], found.rows[stem(1)]
    assert first["geometry"].bounds == (500_000, 5_199_840, 500_160, 5_200_000)
    assert second["geometry"].bounds[0] == 500_160
    assert found.crs == "EPSG:32632"
    assert (first["use"], first["suspicious"], first["main_class"], first["classes"]) == (True, "", ROOF, "Roof 14%")
    assert (second["share_10"], second["share_20"], second["labelled"]) == (4 / 256, 16 / 256, 20 / 256)
    assert second["classes"] == "Paved road 6%, Roof 2%"
    assert (second["nodata"], second["chip"]) == (0, "images/000000000001.tif")


def test_report_counts_chips_and_pixels_of_each_class(tmp_path):
    found = inspect(two_chips(tmp_path / "esri").finish(), tmp_path)
    assert "2 chips of 16 × 16 pixels, 3 bands, uint8; Classified_Tiles; 2 classes" in found.report
    table = re.sub(r"<[^>]+>|\n", " ", found.report.partition("<h2>Classes</h2>")[2].partition("</table>")[0])
    assert " ".join(table.split()) == "Value Class Chips Pixels Share 10 Roof 2 40 71.4% 20 Paved road 1 16 28.6%"
    assert "  10  Roof: 40 pixels in 2 chips" in found.infos


def test_report_needs_no_other_file_and_escapes_names(tmp_path):
    folder = two_chips(tmp_path / "esri", classes=((ROOF, "<script>alert(1)</script>"), (ROAD, "Öl & Gas")))
    report = inspect(folder.finish(), tmp_path).report
    assert "<script" not in report
    assert "&lt;script&gt;" in report
    assert "Öl &amp; Gas" in report
    assert set(re.findall(r'(?:src|href)="([^:]*):', report)) == {"data"}


def test_bands_have_their_names_and_their_statistics(tmp_path):
    folder = EsriFolder(tmp_path / "esri")
    values = np.stack([np.full((SIDE, SIDE), band, np.uint8) for band in (10, 20, 30)])
    values[0, 0] = 90
    folder.classified(0, square(ROOF), values)
    report = inspect(folder.finish(), tmp_path).report
    row = re.search(r"<td>Red</td>(.*?)</tr>", report, re.DOTALL)[1]
    mean = (90 + 15 * 10) / 16
    assert re.findall(r"<td>([^<]*)</td>", row) == ["10", "10", f"{mean:.6g}", "90", "90", f"{np.std(values[0]):.6g}"]


def make_suspicious(folder, kind):
    """Adds the chip number 2, which is suspicious for one reason."""
    random = np.random.default_rng(5).integers(1, 250, (3, SIDE, SIDE)).astype(np.uint8)
    label = square(ROOF)
    if kind == "one class":
        label = np.full((SIDE, SIDE), ROAD)
    elif kind == "nodata":
        random[:, 4:] = 0
        folder.classified(2, label, random, nodata=0)
        return
    elif kind == "duplicate":
        random = np.random.default_rng(0).integers(1, 250, (3, SIDE, SIDE)).astype(np.uint8)  # that of chip 0
    elif kind == "size":
        random, label = random[:, :12], label[:12]
    elif kind == "bands":
        random = random[:2]
    elif kind == "flat":
        random[:] = 7
    elif kind == "unlabelled":
        label = 0 * label
    elif kind == "unlisted":
        label[0, :3] = 77
    folder.classified(2, label, random)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("one class", "All one class: class 20"),
        ("nodata", "Mostly nodata: 75 % nodata"),
        ("duplicate", "Same pixels as another chip: as images/000000000000.tif"),
        ("size", "Another size than the others: 16 × 12 pixels, 3 bands"),
        ("bands", "Another size than the others: 16 × 16 pixels, 2 bands"),
        ("flat", "Without contrast: one value in each band"),
        ("unlabelled", "Without any label: no label"),
        ("unlisted", "Label values that no class has: 77 (3)"),
    ],
)
def test_suspicious_chip_is_told_with_the_reason_and_no_other_is(tmp_path, kind, said):
    folder = two_chips(tmp_path / "esri")
    make_suspicious(folder, kind)
    found = inspect(folder.finish(), tmp_path)
    assert found.rows[stem(2)]["suspicious"] == said
    assert found.rows[stem(1)]["suspicious"] == ""
    assert (found.rows[stem(0)]["suspicious"] != "") == (kind == "duplicate")
    assert f"<h3>{said.partition(':')[0]}: {2 if kind == 'duplicate' else 1}</h3>" in found.report
    assert found.rows[stem(2)]["use"]


def test_chips_cut_to_their_objects_may_differ_in_size(tmp_path):
    folder = two_chips(tmp_path / "esri")
    make_suspicious(folder, "size")
    folder.definition = {"CropTileMode": "Variable_Size"}
    assert kinds(inspect(folder.finish(), tmp_path)) == {}


def test_label_on_nodata_does_not_count(tmp_path):
    folder = EsriFolder(tmp_path / "esri")
    values = np.random.default_rng(1).integers(1, 250, (3, SIDE, SIDE)).astype(np.uint8)
    values[:, :4] = 0
    folder.classified(0, square(ROOF), values, nodata=0)
    row = inspect(folder.finish(), tmp_path).rows[stem(0)]
    assert (row["nodata"], row["labelled"]) == (0.25, 24 / 192)


@pytest.mark.parametrize(
    ("label", "named"),
    [
        (np.int32(-1), "-1"), (np.int32(65_546), "65546"), (np.float32(10.5), "10.5"), (np.uint8(77), "77"),
    ],
)  # fmt: skip
def test_value_that_the_class_list_lacks_is_named_with_its_pixels(tmp_path, label, named):
    folder = two_chips(tmp_path / "esri")
    strange = square(ROOF).astype(label.dtype)
    strange[12, :5] = label
    folder.classified(2, strange)
    found = inspect(folder.finish(), tmp_path)
    assert any(f"the class list lacks; training ignores them: {named} (5 in 1 chips)." in text for text in found.warnings)
    assert f"<td>{named}</td>" in found.report
    assert found.rows[stem(2)]["share_10"] == 36 / 256


@pytest.mark.parametrize("nodata", [None, 255])
def test_declared_nodata_of_a_label_is_not_unlisted(tmp_path, nodata):
    folder = EsriFolder(tmp_path / "esri")
    label = np.full((SIDE, SIDE), 255, np.uint8)
    label[3] = ROOF
    folder.list(folder.image(0), folder.raster(f"labels/{stem(0)}.tif", label, 0, nodata=nodata))
    suspicious = inspect(folder.finish(), tmp_path).rows[stem(0)]["suspicious"]
    assert suspicious == ("Label values that no class has: 255 (240)" if nodata is None else "")


def test_damaged_and_missing_files_are_told_and_the_rest_is_inspected(tmp_path):
    path = two_chips(tmp_path / "esri").finish()
    for number in (2, 3, 4):
        two = EsriFolder(tmp_path / f"more{number}")
        two.classified(number, square(ROOF))
        for kind in ("images", "labels"):
            (two.path / kind / f"{stem(number)}.tif").rename(path / kind / f"{stem(number)}.tif")
    (path / "images" / f"{stem(2)}.tif").write_bytes(b"not a tiff")
    (path / "labels" / f"{stem(3)}.tif").write_bytes(b"not a tiff")
    (path / "images" / f"{stem(0)}.tif").unlink()
    found = inspect(path, tmp_path)
    assert kinds(found) == {"Image missing or damaged": [0, 2], "Label missing or damaged": [3]}
    assert found.rows[stem(0)]["geometry"] is None
    assert np.isnan(found.rows[stem(0)]["share_10"])
    assert found.rows[stem(4)]["share_10"] == 36 / 256
    assert any("3 chips are in the folder but missing from map.txt" in text for text in found.warnings)
    assert any("The metadata tell of 2 chips, the folder has 5" in text for text in found.warnings)


def test_rotated_chip_has_a_rotated_footprint(tmp_path):
    folder = EsriFolder(tmp_path / "esri")
    transform = folder.transform(0) * folder.transform(0).rotation(30, (8, 8))
    folder.classified(0, square(ROOF), transform=transform)
    polygon = inspect(folder.finish(), tmp_path).rows[stem(0)]["geometry"]
    assert polygon.area == pytest.approx(160 * 160)
    assert polygon.centroid.coords[0] == pytest.approx((500_080, 5_199_920))
    assert polygon.bounds[0] < 499_990


def test_chip_without_a_place_has_a_row_without_a_polygon(tmp_path):
    folder = EsriFolder(tmp_path / "esri")
    folder.classified(0, square(ROOF), transform=None, crs=None)
    found = inspect(folder.finish(), tmp_path)
    assert found.rows[stem(0)]["geometry"] is None
    assert any("1 chips do not say where they are on the map" in text for text in found.warnings)


def test_folder_without_training_data_is_refused(tmp_path):
    with pytest.raises(ToolboxError, match="holds no training data"):
        drive(inspect_chips(InspectSettings(str(tmp_path)), "job"))


def test_map_without_chips_is_refused(tmp_path):
    with pytest.raises(ToolboxError, match="lists no chips"):
        drive(inspect_chips(InspectSettings(str(EsriFolder(tmp_path / "esri").finish())), "job"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"folder": "gone"}, "gone does not exist"), ({"output": "x.shp"}, "ends in .gpkg"), ({"report": "x.pdf"}, "ends in .html")],
)
def test_request_with_a_fault_is_refused(tmp_path, settings, message):
    with pytest.raises(ToolboxError, match=message):
        InspectSettings(**{"folder": str(tmp_path), **settings})


def test_footprints_are_of_a_version_that_old_readers_know(tmp_path):
    found = inspect(two_chips(tmp_path / "esri").finish(), tmp_path)
    database = sqlite3.connect(found.footprints)
    assert database.execute("PRAGMA user_version").fetchone() == (10_200,)
    database.close()


def test_more_chips_than_a_batch_are_all_written(tmp_path, monkeypatch):
    monkeypatch.setattr(footprints, "BATCH", 2)
    folder = EsriFolder(tmp_path / "esri")
    for number in range(5):
        folder.classified(number, square(ROOF, side=number + 1))
    found = inspect(folder.finish(), tmp_path)
    assert [found.rows[stem(number)]["share_10"] * 256 for number in range(5)] == [1, 4, 9, 16, 25]
    assert len(found.rows) == 5
