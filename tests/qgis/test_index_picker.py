# SPDX-License-Identifier: GPL-2.0-or-later
"""The searchable list of indices, alone and in Processing's own dialog."""

import numpy as np
import pytest
from deep_learning_toolbox.backend.imagery.indices.catalogue import load_catalogue
from qgis.core import QgsApplication, QgsProcessingContext
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QDialog
from qgis_helpers import write_raster


@pytest.fixture
def make_picker(plugin):
    """Makes a list for an image with blue, green, red and near infrared, or for none."""
    from deep_learning_toolbox.backend.imagery.indices.inputs import InputFinder
    from deep_learning_toolbox.backend.imagery.sensors import match_letters
    from deep_learning_toolbox.ui.index_picker import IndexPicker

    names = ("blue", "green", "red", "nir")

    def make(selection="", has_image=True):
        finder = InputFinder(match_letters(names, (None,) * 4), names, {}) if has_image else None
        return IndexPicker(selection, finder, "remark")

    return make


def item_of(picker, name):
    return next(
        picker.tree.topLevelItem(row)
        for row in range(picker.tree.topLevelItemCount())
        if picker.tree.topLevelItem(row).text(0) == name
    )


def test_all_indices_are_listed_with_title_domain_and_inputs(make_picker):
    picker = make_picker()
    assert picker.tree.topLevelItemCount() == 280
    item = item_of(picker, "NDVI")
    assert [item.text(column) for column in range(4)] == ["NDVI", "Normalized Difference Vegetation Index", "vegetation", "N, R"]


def test_search_finds_names_titles_formulas_and_platforms(make_picker):
    picker = make_picker()
    picker.search.setText("built-up")
    assert "NDBI" in picker.visible_names()
    assert "NDVI" not in picker.visible_names()
    picker.search.setText("(N - R)/(N + R)")
    assert "NDVI" in picker.visible_names()
    picker.search.setText("SNOW landsat-oli")
    assert {"NDSI", "S3"} <= set(picker.visible_names())
    assert len(picker.visible_names()) < 15
    picker.search.setText("no such index")
    assert picker.visible_names() == []


def test_list_opens_at_what_is_chosen_or_at_its_top_and_shows_a_formula(make_picker):
    picker = make_picker("x=N;SAVI")
    assert picker.tree.currentItem().text(0) == "SAVI"
    assert "(N + R + L)" in picker.details.toPlainText()
    assert make_picker().tree.currentItem().text(0) == "AFRI1600"


def test_domain_narrows_the_list(make_picker):
    picker = make_picker()
    picker.domain.setCurrentIndex(picker.domain.findData("radar"))
    assert len(picker.visible_names()) == 13


def test_indices_that_the_image_cannot_give_are_grey_and_cannot_be_ticked(make_picker):
    picker = make_picker()
    possible, impossible = item_of(picker, "NDVI"), item_of(picker, "NDBI")
    assert possible.flags() & Qt.ItemFlag.ItemIsUserCheckable
    assert not impossible.flags() & Qt.ItemFlag.ItemIsUserCheckable
    assert impossible.foreground(0).color() == picker.palette().mid().color()
    assert "swir1" in impossible.toolTip(0)
    picker.only_possible.setChecked(True)
    assert "NDVI" in picker.visible_names()
    assert "NDBI" not in picker.visible_names()


def test_without_an_image_nothing_is_grey(make_picker):
    picker = make_picker(has_image=False)
    assert item_of(picker, "NDBI").flags() & Qt.ItemFlag.ItemIsUserCheckable
    assert not picker.only_possible.isEnabled()


def test_ticking_changes_the_selection_and_keeps_order_and_own_formulas(make_picker):
    picker = make_picker("ndwi; mine=(N-R)/2 ;EVI")
    assert picker.selection() == "NDWI;EVI;mine=(N-R)/2"
    item_of(picker, "NDVI").setCheckState(0, Qt.CheckState.Checked)
    item_of(picker, "NDWI").setCheckState(0, Qt.CheckState.Unchecked)
    assert picker.selection() == "EVI;NDVI;mine=(N-R)/2"
    assert "EVI;NDVI" in picker.chosen_label.text()


def test_chosen_index_that_the_image_cannot_give_is_named_and_can_only_be_unticked(make_picker):
    picker = make_picker("NDBI;NDVI")
    item = item_of(picker, "NDBI")
    assert item.checkState(0) == Qt.CheckState.Checked
    assert picker.tree.currentItem() is item
    assert "cannot give, or choose another sensor: NDBI" in picker.chosen_label.text()
    picker.only_possible.setChecked(True)
    assert {"NDBI", "NDVI"} <= set(picker.visible_names())
    assert item.flags() & Qt.ItemFlag.ItemIsUserCheckable
    item.setCheckState(0, Qt.CheckState.Unchecked)
    assert picker.selection() == "NDVI"
    assert "cannot give" not in picker.chosen_label.text()
    assert not item.flags() & Qt.ItemFlag.ItemIsUserCheckable


def test_box_is_not_drawn_where_it_cannot_be_ticked(make_picker):
    picker = make_picker()
    assert item_of(picker, "NDBI").data(0, Qt.ItemDataRole.CheckStateRole) is None
    assert item_of(picker, "NDVI").data(0, Qt.ItemDataRole.CheckStateRole) is not None


def test_repeated_names_are_taken_once_and_ambiguous_ones_kept_as_typed(make_picker):
    picker = make_picker("NDVI;ndvi;x=N;x=N;NDVI;bai")
    assert picker.selection() == "NDVI;x=N;bai"
    item_of(picker, "NDVI").setCheckState(0, Qt.CheckState.Unchecked)
    assert picker.selection() == "x=N;bai"


def test_details_show_formula_constants_domain_and_reference(make_picker):
    picker = make_picker()
    picker.tree.setCurrentItem(item_of(picker, "SAVI"))
    text = picker.details.toPlainText()
    assert "(1.0 + L) * (N - R) / (N + R + L)" in text
    assert "L = 1 (Canopy background adjustment)" in text
    assert "vegetation" in text
    assert "https://doi.org/" in text
    picker.tree.setCurrentItem(item_of(picker, "NDBI"))
    assert "The image lacks S1 (swir1)" in picker.details.toPlainText()


@pytest.fixture
def dialog(plugin, qgis_iface, monkeypatch):
    """Processing's dialog of the tool, as the Toolbox and our menu open it."""
    from processing.gui.AlgorithmDialog import AlgorithmDialog
    from qgis.gui import QgsBrowserGuiModel

    browser = QgsBrowserGuiModel()
    monkeypatch.setattr(qgis_iface, "browserModel", lambda: browser, raising=False)
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("deeplearning:spectralindices")
    dialog = AlgorithmDialog(algorithm, False)
    yield dialog
    dialog.close()


def test_dialog_has_the_line_and_the_button(dialog, folder):
    image = write_raster(folder / "b.tif", np.ones((2, 4, 4), np.float32))
    dialog.mainWidget().wrappers["INPUT"].setParameterValue(str(image), QgsProcessingContext())
    wrapper = dialog.mainWidget().wrappers["INDICES"]
    wrapper.line.setText("NDVI;NDWI")
    assert dialog.mainWidget().createProcessingParameters()["INDICES"] == "NDVI;NDWI"
    assert wrapper.button.text() == "…"


def test_list_in_the_dialog_fits_the_image_sensor_and_band_map(dialog, folder):
    image = write_raster(folder / "b.tif", np.ones((2, 4, 4), np.float32))
    wrappers = dialog.mainWidget().wrappers
    finder, remark = wrappers["INDICES"].describe_image()
    assert finder is None
    assert "Choose the image first" in remark
    context = QgsProcessingContext()
    wrappers["INPUT"].setParameterValue(str(image), context)
    finder, remark = wrappers["INDICES"].describe_image()
    assert finder is None
    assert "not recognised" in remark
    wrappers["BAND_MAP"].setParameterValue("N=2 R=1", context)
    finder, remark = wrappers["INDICES"].describe_image()
    assert finder.find(load_catalogue().indices["NDVI"]).missing == ()
    assert finder.find(load_catalogue().indices["NDWI"]).missing == ("G",)
    assert "N = Band 2" in remark
    wrappers["BAND_MAP"].setParameterValue("N=7", context)
    finder, remark = wrappers["INDICES"].describe_image()
    assert finder is None
    assert "BAND_MAP" in remark


def test_button_opens_the_list_and_takes_over_what_was_chosen(dialog, monkeypatch):
    from deep_learning_toolbox.ui import index_parameter

    class Picker(index_parameter.IndexPicker):
        def exec(self):
            item_of(self, "EVI").setCheckState(0, Qt.CheckState.Checked)
            return QDialog.DialogCode.Accepted

    monkeypatch.setattr(index_parameter, "IndexPicker", Picker)
    wrapper = dialog.mainWidget().wrappers["INDICES"]
    wrapper.setValue("NDVI")
    wrapper.button.click()
    assert wrapper.value() == "NDVI;EVI"


def test_cancelled_list_changes_nothing(dialog, monkeypatch):
    from deep_learning_toolbox.ui import index_parameter

    class Picker(index_parameter.IndexPicker):
        def exec(self):
            item_of(self, "EVI").setCheckState(0, Qt.CheckState.Checked)
            return QDialog.DialogCode.Rejected

    monkeypatch.setattr(index_parameter, "IndexPicker", Picker)
    wrapper = dialog.mainWidget().wrappers["INDICES"]
    wrapper.setValue("NDVI")
    wrapper.button.click()
    assert wrapper.value() == "NDVI"


def test_modeler_has_its_own_widget_which_takes_the_inputs_of_the_model(plugin, qgis_iface, monkeypatch):
    from processing.modeler.ModelerParametersDialog import ModelerParametersDialog
    from qgis.core import QgsProcessingModelAlgorithm
    from qgis.gui import QgsBrowserGuiModel, QgsProcessingModelerParameterWidget

    browser = QgsBrowserGuiModel()
    monkeypatch.setattr(qgis_iface, "browserModel", lambda: browser, raising=False)
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("deeplearning:spectralindices")
    dialog = ModelerParametersDialog(algorithm, QgsProcessingModelAlgorithm())
    wrapper = dialog.widget.widget.wrappers["INDICES"]
    assert isinstance(wrapper, QgsProcessingModelerParameterWidget)
    dialog.close()


def test_batch_dialog_has_a_line_in_each_row(plugin, qgis_iface, monkeypatch):
    from processing.gui.BatchAlgorithmDialog import BatchAlgorithmDialog
    from qgis.gui import QgsBrowserGuiModel

    browser = QgsBrowserGuiModel()
    monkeypatch.setattr(qgis_iface, "browserModel", lambda: browser, raising=False)
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("deeplearning:spectralindices")
    dialog = BatchAlgorithmDialog(algorithm)
    panel = dialog.mainWidget()
    column = panel.parameter_to_column["INDICES"]
    wrapper = panel.wrappers[0][column]
    wrapper.setParameterValue("NDVI;EVI", QgsProcessingContext())
    assert wrapper.parameterValue() == "NDVI;EVI"
    dialog.close()
