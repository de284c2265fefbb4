# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage ``assess``: references of all kinds, bad input, and what is written."""

from __future__ import annotations

import html
import re

import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from deep_learning_toolbox.backend.assessment import maps
from deep_learning_toolbox.backend.assessment.assess import assess
from deep_learning_toolbox.backend.assessment.settings import AssessSettings
from deep_learning_toolbox.backend.errors import ToolboxError
from sklearn import metrics

from ..rasters import NORTH_UP, UTM, drive, pixel_box, write_labels, write_raster

CLASSES = [{"code": code, "value": value, "name": name} for code, value, name in ((1, 1, "1"), (2, 2, "2"), (3, 5, "5"))]
CODES = {1: 1, 2: 2, 5: 3}


@pytest.fixture
def truth():
    return np.kron(np.random.default_rng(0).choice([1, 2, 5], (6, 8)), np.ones((10, 10))).astype(np.uint8)


@pytest.fixture
def mapped(truth):
    """The truth with noise, and two columns of nodata (255)."""
    generator = np.random.default_rng(1)
    values = np.where(generator.random(truth.shape) < 0.2, generator.choice([1, 2, 5], truth.shape), truth).astype(np.uint8)
    values[:, :2] = 255
    return values


def write_points(path, columns, rows, values, strata=None, pixels=None):
    """Points in the form that the algorithm hands over; ``values`` are codes."""
    x, y = NORTH_UP * (np.asarray(columns) + 0.5, np.asarray(rows) + 0.5)
    count = len(values)
    pyogrio.raw.write(
        path,
        geometry=shapely.to_wkb(shapely.points(x, y)),
        field_data=[
            np.asarray(values, np.int32),
            np.asarray([-1] * count if strata is None else strata, np.int32),
            np.asarray([""] * count if pixels is None else [str(size) for size in pixels], object),
        ],
        fields=["value", "stratum", "stratum_pixels"],
        geometry_type="Point",
        crs=UTM,
        layer="labels",
        driver="GPKG",
    )
    return str(path)


def run(tmp_path, mapped, **settings):
    """Outputs, warnings and table (rows by ClassValue) of an assessment."""
    raster = settings.pop("raster", None) or write_raster(tmp_path / "map.tif", mapped, nodata=255)
    output = str(tmp_path / "out" / "table.gpkg")
    events = drive(assess(AssessSettings(raster, output, **settings), "job"))
    meta, _, _, fields = pyogrio.raw.read(output)
    columns = dict(zip(meta["fields"], fields, strict=True))
    rows = {key: {name: values[place] for name, values in columns.items()} for place, key in enumerate(columns["ClassValue"])}
    return events["result"][0]["outputs"], [event["message"] for event in events.get("warning", [])], rows


def check_figures(outputs, rows, truths, predictions):
    """Compares everything with scikit-learn."""
    classes = [1, 2, 5]
    matrix = metrics.confusion_matrix(truths, predictions, labels=classes)
    assert [[rows[f"C_{one}"][f"C_{other}"] for one in classes] for other in classes] == matrix.tolist()
    assert outputs["OVERALL_ACCURACY"] == pytest.approx(metrics.accuracy_score(truths, predictions))
    assert outputs["KAPPA"] == pytest.approx(metrics.cohen_kappa_score(truths, predictions))
    totals = matrix.sum(axis=0) - matrix.sum(axis=1)
    assert outputs["QUANTITY_DISAGREEMENT"] == pytest.approx(np.abs(totals).sum() / 2 / matrix.sum())
    assert outputs["ALLOCATION_DISAGREEMENT"] == pytest.approx(
        1 - outputs["OVERALL_ACCURACY"] - outputs["QUANTITY_DISAGREEMENT"]
    )
    assert outputs["MEAN_IOU"] == pytest.approx(metrics.jaccard_score(truths, predictions, average="macro"))
    assert outputs["MEAN_F1"] == pytest.approx(metrics.f1_score(truths, predictions, average="macro"))
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(truths, predictions, labels=classes)
    iou = metrics.jaccard_score(truths, predictions, labels=classes, average=None)
    for place, value in enumerate(classes):
        row = rows[f"C_{value}"]
        assert row["U_Accuracy"] == pytest.approx(precision[place])
        assert row["P_Accuracy"] == pytest.approx(recall[place])
        assert row["F1"] == pytest.approx(f1[place])
        assert row["IoU"] == pytest.approx(iou[place])


@pytest.mark.parametrize("strip_pixels", [100, 10**7])
def test_raster_reference_agrees_with_scikit_learn_in_strips_of_any_size(tmp_path, truth, mapped, monkeypatch, strip_pixels):
    monkeypatch.setattr(maps, "STRIP_PIXELS", strip_pixels)
    outputs, warnings, rows = run(tmp_path, mapped, reference_raster=write_raster(tmp_path / "truth.tif", truth))
    known = mapped != 255
    check_figures(outputs, rows, truth[known], mapped[known])
    assert outputs["UNITS"] == known.sum()
    assert any("120 pixels of the reference lie where the map has no data" in text for text in warnings)


def test_polygons_agree_with_scikit_learn(tmp_path, truth, mapped):
    pairs = [(pixel_box(left, top, left + 10, top + 10), CODES[truth[top, left]]) for left in (0, 20, 50) for top in (0, 10, 30, 50)]
    labels = write_labels(tmp_path / "labels.gpkg", pairs)
    outputs, _, rows = run(tmp_path, mapped, reference=labels, reference_classes=CLASSES)
    inside = np.zeros(truth.shape, bool)
    for left in (0, 20, 50):
        for top in (0, 10, 30, 50):
            inside[top : top + 10, left : left + 10] = True
    inside &= mapped != 255
    check_figures(outputs, rows, truth[inside], mapped[inside])


def test_unweighted_points_agree_with_scikit_learn(tmp_path, truth, mapped):
    generator = np.random.default_rng(4)
    columns, rows = generator.integers(2, 80, 300), generator.integers(0, 60, 300)
    points = write_points(tmp_path / "points.gpkg", columns, rows, [CODES[value] for value in truth[rows, columns]])
    outputs, _, table = run(tmp_path, mapped, reference=points, reference_classes=CLASSES, area_weighted=False)
    check_figures(outputs, table, truth[rows, columns], mapped[rows, columns])


def test_every_pixel_as_a_point_estimates_the_map_itself(tmp_path, truth, mapped):
    """A census has no need of weights: the estimate is the count, whatever the strata."""
    rows, columns = np.nonzero(mapped != 255)
    codes = [CODES[value] for value in truth[rows, columns]]
    points = write_points(tmp_path / "points.gpkg", columns, rows, codes)
    outputs, _, table = run(tmp_path, mapped, reference=points, reference_classes=CLASSES)
    check_figures(outputs, table, truth[rows, columns], mapped[rows, columns])
    for value in (1, 2, 5):
        assert table[f"C_{value}"]["Area_ha"] == pytest.approx(0.01 * (truth[rows, columns] == value).sum())
        assert table[f"C_{value}"]["Map_ha"] == pytest.approx(0.01 * (mapped == value).sum())


def test_two_maps_are_compared_where_both_have_data(tmp_path, truth, mapped):
    second = truth.copy()
    second[:30] = 9
    second[:, 70:] = 255
    options = {"reference_raster": write_raster(tmp_path / "truth.tif", truth)}
    options["second_raster"] = write_raster(tmp_path / "second.tif", second, nodata=255)
    report = tmp_path / "report.html"
    outputs, _, _ = run(tmp_path, mapped, report=str(report), **options)
    common = (mapped != 255) & (second != 255)
    change = (second == truth)[common].mean() - (mapped == truth)[common].mean()
    assert outputs["ACCURACY_CHANGE"] == pytest.approx(change)
    only_first = ((mapped == truth) & (second != truth))[common].sum()
    only_second = ((mapped != truth) & (second == truth))[common].sum()
    text = html.unescape(report.read_text(encoding="utf-8"))
    assert f"Only the first map is right at {only_first:,} pixels, only the second at {only_second:,}" in text
    assert text.count("data:image/png;base64,") == 4


@pytest.mark.parametrize(
    ("unlabelled", "has_zero", "units"),
    [("auto", False, 3), ("auto", True, 4), ("ignore", True, 3), ("background", False, 4)],
)
def test_zero_in_the_reference_counts_as_asked(tmp_path, unlabelled, has_zero, units):
    mapped = np.array([[1, 2, 1, 0 if has_zero else 1]], np.uint8)
    truth = write_raster(tmp_path / "truth.tif", np.array([[1, 2, 2, 0]], np.uint8))
    outputs, _, _ = run(tmp_path, mapped, reference_raster=truth, unlabelled=unlabelled)
    assert outputs["UNITS"] == units
    assert outputs["OVERALL_ACCURACY"] == pytest.approx((2 + (has_zero and units == 4)) / units)


def test_outside_of_polygons_is_background_when_asked(tmp_path):
    mapped = np.array([[1, 1, 0, 0], [0, 1, 0, 0]], np.uint8)
    labels = write_labels(tmp_path / "labels.gpkg", [(pixel_box(0, 0, 2, 1), 1)])
    classes = [{"code": 1, "value": 1, "name": "building"}]
    for unlabelled, units, right in (("background", 8, 7), ("auto", 2, 2)):
        outputs, _, _ = run(tmp_path, mapped, reference=labels, reference_classes=classes, unlabelled=unlabelled)
        assert (outputs["UNITS"], outputs["OVERALL_ACCURACY"]) == (units, right / units)


def test_classes_on_one_side_only_are_named_and_count_as_wrong(tmp_path):
    mapped = np.array([[1, 1, 3, 3]], np.uint8)
    truth = write_raster(tmp_path / "truth.tif", np.array([[1, 1, 1, 7]], np.uint8))
    outputs, warnings, rows = run(tmp_path, mapped, reference_raster=truth)
    assert outputs["OVERALL_ACCURACY"] == 0.5
    assert rows["C_7"]["P_Accuracy"] == 0
    assert np.isnan(rows["C_7"]["U_Accuracy"])
    assert rows["C_3"]["C_7"] == 1
    assert any("The map lacks classes of the reference: 7" in text for text in warnings)
    assert any("The reference lacks classes of the map: 3" in text for text in warnings)


def test_names_that_contradict_each_other_are_said(tmp_path):
    classes = [{"code": 1, "value": 1, "name": "Wald"}]
    source = write_raster(tmp_path / "map.tif", np.ones((2, 2), np.uint8))
    attributes = "<PAMDataset><PAMRasterBand band='1'><CategoryNames><Category/><Category>Water</Category></CategoryNames>"
    (tmp_path / "map.tif.aux.xml").write_text(attributes + "</PAMRasterBand></PAMDataset>")
    labels = write_labels(tmp_path / "labels.gpkg", [(pixel_box(0, 0, 2, 2), 1)])
    _, warnings, rows = run(tmp_path, None, raster=source, reference=labels, reference_classes=classes)
    assert any("The value 1 is “Water” on the map and “Wald” in the reference" in text for text in warnings)
    assert rows["C_1"]["ClassName"] == "Water"


def test_strata_without_points_and_with_one_point_are_said(tmp_path, mapped, truth):
    rows, columns = np.nonzero(mapped == 1)
    rows, columns = rows[:30].tolist(), columns[:30].tolist()
    row, column = (int(place[0]) for place in np.nonzero(mapped == 2))
    values = [CODES[truth[y, x]] for y, x in zip([*rows, row], [*columns, column], strict=True)]
    points = write_points(tmp_path / "points.gpkg", [*columns, column], [*rows, row], values)
    outputs, warnings, _ = run(tmp_path, mapped, reference=points, reference_classes=CLASSES)
    assert any("No point was drawn in 5." in text for text in warnings)
    assert any("Only one point was drawn in 2;" in text for text in warnings)
    assert "OVERALL_MARGIN" not in outputs


def test_points_tell_the_sizes_of_their_strata(tmp_path):
    """Points drawn within a mask speak of the mask: 10 pixels of class 1 and 90 of class 2, not of the map's halves."""
    mapped = np.array([[1, 1, 2, 2]], np.uint8)
    arguments = ([0, 1, 2, 3], [0, 0, 0, 0], [1, 2, 2, 2])
    points = write_points(tmp_path / "points.gpkg", *arguments, strata=[1, 1, 2, 2], pixels=[10, 10, 90, 90])
    outputs, _, rows = run(tmp_path, mapped, reference=points, reference_classes=CLASSES)
    assert outputs["OVERALL_ACCURACY"] == pytest.approx(0.1 * 0.5 + 0.9)
    assert rows["C_1"]["Area_ha"] == pytest.approx(0.01 * 5)
    contradictory = write_points(tmp_path / "other.gpkg", *arguments, strata=[1, 1, 2, 2], pixels=[10, 11, 90, 90])
    outputs, warnings, _ = run(tmp_path, mapped, reference=contradictory, reference_classes=CLASSES)
    assert outputs["OVERALL_ACCURACY"] == pytest.approx(0.75)
    assert any("they are counted on the map" in text for text in warnings)


def test_report_escapes_names_and_needs_no_other_file(tmp_path, mapped, truth):
    source = write_raster(tmp_path / "<b>map & more.tif", mapped, nodata=255)
    names = [{**entry, "name": f"<script>{entry['name']}$x"} for entry in CLASSES]
    pairs = [(pixel_box(left, 0, left + 10, 10), CODES[truth[0, left]]) for left in (2, 30)] + [(pixel_box(50, 0, 60, 9), 4)]
    labels = write_labels(tmp_path / "labels.gpkg", pairs)
    classes = [*names, {"code": 4, "value": None, "name": "<script>new</script>"}]
    report = tmp_path / "report.html"
    run(tmp_path, None, raster=source, reference=labels, reference_classes=classes, report=str(report))
    page = report.read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;new" in page
    assert set(re.findall(r'(?:src|href)="([^:]+):', page)) == {"data"}


def test_errors_of_points_are_points_with_the_truth(tmp_path):
    mapped = np.array([[1, 1, 2, 2]], np.uint8)
    points = write_points(tmp_path / "points.gpkg", [0, 1, 2], [0, 0, 0], [1, 2, 3])
    errors = tmp_path / "errors.gpkg"
    run(tmp_path, mapped, reference=points, reference_classes=CLASSES, errors=str(errors))
    meta, _, geometry, fields = pyogrio.raw.read(errors)
    rows = list(zip(*fields, strict=True))
    assert meta["geometry_type"] == "Point"
    assert list(meta["fields"][:4]) == ["Classvalue", "Classname", "Classcode", "Imagery"]
    assert [(*row[:3], *row[4:7]) for row in rows] == [(2, "2", "2", 1, 2, "1 → 2"), (5, "5", "5", 2, 5, "2 → 5")]
    assert shapely.get_x(shapely.from_wkb(geometry)).tolist() == [500_015, 500_025]
    assert errors.with_suffix(".qml").exists()


def test_perfect_map_has_an_empty_layer_of_errors(tmp_path, truth):
    errors = tmp_path / "errors.gpkg"
    points = write_points(tmp_path / "points.gpkg", [0, 1], [0, 0], [CODES[truth[0, 0]]] * 2)
    raster = write_raster(tmp_path / "truth.tif", truth)
    for reference in ({"reference_raster": raster}, {"reference": points, "reference_classes": CLASSES}):
        outputs, _, _ = run(tmp_path, truth, errors=str(errors), **reference)
        assert outputs["OVERALL_ACCURACY"] == 1
        meta, _, geometry, _ = pyogrio.raw.read(errors)
        assert len(geometry) == 0
        assert "Classvalue" in meta["fields"]


def test_nothing_in_common_is_refused_and_previous_files_stay(tmp_path, mapped, truth):
    (tmp_path / "out").mkdir()
    before = tmp_path / "out" / "table.gpkg"
    before.write_bytes(b"previous")
    far = write_raster(tmp_path / "far.tif", truth, transform=NORTH_UP * Affine.translation(500, 0))
    with pytest.raises(ToolboxError, match="no place in common"):
        run(tmp_path, mapped, reference_raster=far)
    assert before.read_bytes() == b"previous"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["table.gpkg"]


def test_cancelled_run_leaves_nothing(tmp_path, mapped, truth):
    raster = write_raster(tmp_path / "map.tif", mapped, nodata=255)
    truth = write_raster(tmp_path / "truth.tif", truth)
    outputs = {"report": str(tmp_path / "out" / "r.html"), "errors": str(tmp_path / "out" / "e.gpkg")}
    events = assess(AssessSettings(raster, str(tmp_path / "out" / "t.gpkg"), reference_raster=truth, **outputs), "job")
    next(events)
    next(events)
    events.close()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "either REFERENCE"),
        ({"reference": "a.gpkg", "reference_raster": "b.tif"}, "either REFERENCE"),
        ({"reference": "a.gpkg", "unlabelled": "maybe"}, "UNLABELED is maybe"),
        ({"reference": "a.gpkg", "output": "t.csv"}, "t.csv must end in .gpkg"),
        ({"reference": "a.gpkg", "errors": "t.gpkg"}, "two outputs are the same file"),
        ({"reference": "a.gpkg", "report": "r.pdf"}, "r.pdf must end in .html"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, told):
    with pytest.raises(ToolboxError, match=told):
        AssessSettings(**{"raster": "m.tif", "output": "t.gpkg", **settings})
