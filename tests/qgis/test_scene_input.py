# SPDX-License-Identifier: GPL-2.0-or-later
"""The parameter INPUT of Prepare satellite scene: layers of the project and paths, in the dialog, in models and as values."""

import numpy as np
import pytest
from deep_learning_toolbox.algorithms.image_bands import read_image_bands
from qgis.core import (
    QgsApplication,
    QgsProcessingContext,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingModelParameter,
    QgsProcessingParameterRasterLayer,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QListView, QToolButton
from qgis_helpers import Log, refusal, run, write_raster


def make_tool():
    return QgsApplication.processingRegistry().createAlgorithmById("deeplearning:preparescene")


@pytest.fixture
def layers(folder):
    """Two raster layers of the project, called “my red” and “my nir”; their files are red.tif and nir.tif."""
    made = []
    for name in ("red", "nir"):
        path = write_raster(folder / f"{name}.tif", np.ones((1, 8, 8), np.float32), names=(name,))
        made.append(QgsRasterLayer(str(path), f"my {name}"))
    QgsProject.instance().addMapLayers(made)
    yield made
    QgsProject.instance().removeMapLayers([layer.id() for layer in made])


@pytest.fixture
def browser(plugin, qgis_iface, monkeypatch):
    """What QGIS's dialogs ask its window for."""
    from qgis.gui import QgsBrowserGuiModel

    model = QgsBrowserGuiModel()
    monkeypatch.setattr(qgis_iface, "browserModel", lambda: model, raising=False)


def test_dialog_offers_the_raster_layers_of_the_project(browser, layers):
    from processing.gui.AlgorithmDialog import AlgorithmDialog

    dialog = AlgorithmDialog(make_tool(), False)
    dialog.mainWidget().wrappers["INPUT"].wrappedWidget().findChild(QToolButton).click()
    lists = [view.model() for view in dialog.findChildren(QListView) if view.model() is not None]
    items = [model.index(row, 0) for model in lists for row in range(model.rowCount())]
    # The drop-down lists of other parameters are lists of the dialog, too, in some versions of QGIS; nothing can be ticked there.
    offered = [item.data() for item in items if item.data(Qt.ItemDataRole.CheckStateRole) is not None]
    assert [name.partition(" [")[0] for name in sorted(offered)] == ["my nir", "my red"]
    dialog.close()


def test_layers_ids_names_and_paths_may_be_mixed(layers, folder):
    given = [layers[1], layers[0].id(), str(folder / "red.tif")]
    assert make_tool().parameterDefinition("INPUT").sources(given, project_context()) == [
        str(folder / f"{name}.tif") for name in ("nir", "red", "red")
    ]
    run("preparescene", INPUT=[layers[1], "my red"], OUTPUT=folder / "stack.tif")
    assert read_image_bands(str(folder / "stack.tif")).names == ("nir", "red")


def project_context():
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    return context


@pytest.mark.parametrize(
    "value", ["scene.tar", "/a folder", ["B4.TIF", "B5.TIF"], ["x_MTL.txt"], "/vsizip/scene.zip/B4.jp2", "SENTINEL2_L2A:x:y"]
)
def test_paths_of_any_form_are_acceptable(value):
    assert make_tool().parameterDefinition("INPUT").checkValueIsAcceptable(value, QgsProcessingContext())
    assert make_tool().parameterDefinition("INPUT").checkValueIsAcceptable(value)


def test_dialog_adds_files_of_any_form():
    assert "*.*" in make_tool().parameterDefinition("INPUT").createFileFilter()


def test_vector_layer_among_the_rasters_is_refused_before_the_run(folder):
    points = QgsVectorLayer("Point?crs=EPSG:32617", "wells", "memory")
    parameters = {"INPUT": [points], "OUTPUT": str(folder / "stack.tif")}
    is_valid, message = make_tool().checkParameterValues(parameters, QgsProcessingContext())
    assert not is_valid
    assert "“wells”, which is no raster layer" in message
    assert "“wells”" in refusal("preparescene", **parameters)


def test_raster_of_a_model_and_a_file_are_accepted_in_the_modeler_and_stacked(browser, folder, layers):
    from processing.modeler.ModelerParametersDialog import ModelerParametersDialog

    model = QgsProcessingModelAlgorithm("stack", "tests")
    model.addModelParameter(QgsProcessingParameterRasterLayer("first"), QgsProcessingModelParameter("first"))
    dialog = ModelerParametersDialog(make_tool(), model)
    source = QgsProcessingModelChildParameterSource
    given = [source.fromModelParameter("first"), source.fromStaticValue(str(folder / "nir.tif"))]
    dialog.widget.widget.wrappers["INPUT"].setWidgetValue(given)
    child = dialog.createAlgorithm()
    dialog.close()
    assert child is not None
    output = QgsProcessingModelOutput("stack")
    output.setChildId("prepare")
    output.setChildOutputName("OUTPUT")
    child.setChildId("prepare")
    child.setModelOutputs({"stack": output})
    model.addChildAlgorithm(child)
    run_in_model(model, {"first": layers[0].id(), "prepare:stack": str(folder / "stack.tif")})
    assert read_image_bands(str(folder / "stack.tif")).names == ("red", "nir")


def run_in_model(model, parameters):
    context = project_context()  # must outlive the run
    _, fine = model.run(parameters, context, Log())
    assert fine
