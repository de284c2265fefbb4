# SPDX-License-Identifier: GPL-2.0-or-later
"""inspecttrainingdata through its public id: footprints as a layer, chips struck out as in QGIS, the report."""

import json
import shutil

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import QgsApplication, QgsProcessingContext, QgsProject, QgsRuleBasedRenderer, QgsVectorLayer
from qgis_helpers import CRS, FOREST, QUICK_TRAINING, WATER, Log, refusal, run, tree


@pytest.fixture
def own_chips(chips, folder):
    """A copy of the chips in which tests may strike out."""
    return shutil.copytree(chips, folder / "chips")


def open_layer(path):
    layer = QgsVectorLayer(str(path), "footprints", "ogr")
    assert layer.isValid()
    return layer


def strike_out(layer, *numbers):
    """Sets the field as the attribute table does."""
    place = layer.fields().indexOf("use")
    assert layer.startEditing()
    for feature in layer.getFeatures():
        if int(feature["chip"][-16:-4]) in numbers:
            assert layer.changeAttributeValue(feature.id(), place, False)
    assert layer.commitChanges()


def test_footprints_lie_in_the_folder_of_chips_unless_wanted_elsewhere(own_chips):
    result = run("inspecttrainingdata", INPUT=own_chips, OUTPUT_HTML=own_chips.parent / "report.html")
    assert result == {
        "OUTPUT": str(own_chips / "inspection" / "footprints.gpkg"),
        "OUTPUT_HTML": str(own_chips.parent / "report.html"),
    }
    assert tree(own_chips / "inspection") == ["footprints.gpkg", "footprints.qml", "footprints.request.json"]


def test_footprints_have_the_crs_of_the_raster_and_the_shares_of_the_classes(own_chips, folder):
    result = run("inspecttrainingdata", INPUT=own_chips, OUTPUT=folder / "f.gpkg")
    layer = open_layer(result["OUTPUT"])
    assert layer.crs().authid() == CRS
    assert layer.featureCount() == 9
    index = json.loads((own_chips / "toolbox_index.json").read_text(encoding="utf-8"))
    records = {chip["image"]: chip for chip in index["chips"]}
    for feature in layer.getFeatures():
        record = records[feature["chip"]]
        box = feature.geometry().boundingBox()
        assert [box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()] == record["bounds"]
        pixels = record["class_pixels"]
        assert feature[f"share_{WATER}"] == pytest.approx(pixels.get(str(WATER), 0) / 1024)
        assert feature[f"share_{FOREST}"] == pytest.approx(pixels.get(str(FOREST), 0) / 1024)
        assert feature["use"] is True


def test_footprints_are_styled_by_class_with_names_and_struck_out_chips_crossed(own_chips):
    layer = open_layer(run("inspecttrainingdata", INPUT=own_chips)["OUTPUT"])
    assert layer.loadDefaultStyle()[1]
    renderer = layer.renderer()
    assert isinstance(renderer, QgsRuleBasedRenderer)
    rules = {rule.label(): rule for rule in renderer.rootRule().children()}
    assert list(rules) == ["Water", "Forest", "no class", "suspicious", "struck out (not used)"]
    assert rules["Water"].symbol().symbolLayer(0).brushStyle() != rules["struck out (not used)"].symbol().symbolLayer(0).brushStyle()
    index = json.loads((own_chips / "toolbox_index.json").read_text(encoding="utf-8"))
    colour = next(entry["color"] for entry in index["classes"] if entry["value"] == WATER)
    assert list(rules["Water"].symbol().color().getRgb()[:3]) == colour
    assert layer.attributeAlias(layer.fields().indexOf(f"share_{FOREST}")) == "Forest (share)"
    assert "suspicious" in layer.mapTipTemplate()
    strike_out(layer, 0)
    assert {feature["use"] for feature in layer.getFeatures(rules["struck out (not used)"].filterExpression())} == {False}


@pytest.mark.parametrize("elsewhere", [False, True])
def test_chip_struck_out_in_qgis_is_left_out_of_training_and_told(own_chips, folder, elsewhere):
    where = {"OUTPUT": folder / "elsewhere.gpkg"} if elsewhere else {}
    layer = open_layer(run("inspecttrainingdata", INPUT=own_chips, **where)["OUTPUT"])
    strike_out(layer, 1, 4)
    layer.saveStyleToDatabase("mine", "", True, "")  # adds a table to the file
    log = Log()
    run("trainmodel", log, INPUT=own_chips, OUTPUT=folder / "model", **QUICK_TRAINING)
    assert [line for line in log.infos if line.startswith(f"2 of 9 chips of {own_chips} are struck out in ")] != []
    assert any("Training on 7 chips" in line for line in log.infos)
    again = open_layer(run("inspecttrainingdata", INPUT=own_chips, **where)["OUTPUT"])
    assert sum(not feature["use"] for feature in again.getFeatures()) == 2


def test_footprints_written_into_the_folder_are_loaded_with_their_style(own_chips):
    tool = QgsApplication.processingRegistry().algorithmById("deeplearning:inspecttrainingdata")
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    log = Log()
    outputs, done = tool.run({"INPUT": str(own_chips)}, context, log)
    assert done, log.errors
    (details,) = context.layersToLoadOnCompletion().values()
    assert list(context.layersToLoadOnCompletion()) == [outputs["OUTPUT"]]
    assert details.name == "Footprints of chips"
    layer = open_layer(outputs["OUTPUT"])
    details.postProcessor().postProcessLayer(layer, context, log)
    assert isinstance(layer.renderer(), QgsRuleBasedRenderer)


def test_label_value_that_no_class_has_is_named_by_inspection_and_training(own_chips, folder):
    label = gdal.Open(str(own_chips / "labels" / "000000000003.tif"), gdal.GA_Update)
    values = label.ReadAsArray()
    values[:2, :5] = 77
    label.GetRasterBand(1).WriteArray(values)
    del label
    inspected, trained = Log(), Log()
    report = folder / "report.html"
    layer = open_layer(run("inspecttrainingdata", inspected, INPUT=own_chips, OUTPUT_HTML=report)["OUTPUT"])
    suspicious = [feature["suspicious"] for feature in layer.getFeatures() if feature["suspicious"]]
    assert suspicious == ["Label values that no class has: 77 (10)"]
    assert any("77 (10 in 1 chips)" in text for text in inspected.warnings)
    assert "<td>77</td>" in report.read_text(encoding="utf-8")
    run("trainmodel", trained, INPUT=own_chips, OUTPUT=folder / "model", **QUICK_TRAINING)
    assert any("its class list lacks: 77 (10 pixels)" in text for text in trained.warnings)


def test_folder_of_another_program_is_refused_with_what_is_needed(folder):
    (folder / "photos").mkdir()
    assert "holds no training data" in refusal("inspecttrainingdata", INPUT=folder / "photos")
    assert tree(folder / "photos") == []


def test_inspection_leaves_the_chips_alone(own_chips, chips):
    run("inspecttrainingdata", INPUT=own_chips)
    for path in sorted(chips.rglob("*.tif")):
        assert np.array_equal(path.read_bytes(), (own_chips / path.relative_to(chips)).read_bytes())
