# SPDX-License-Identifier: GPL-2.0-or-later
"""A first map from a few labels by the public tool, saved or still being edited."""

import numpy as np
from qgis.core import QgsFeature, QgsPalettedRasterRenderer, QgsProject
from qgis_helpers import CRS, FOREST, LEFT, PIXEL, SIZE, TOP, WATER, Log, make_labels, make_scene, read_array, refusal, run, square


def test_classes_and_uncertainty_of_an_extent(folder):
    scene = make_scene(folder / "scene.tif")
    extent = f"{LEFT},{LEFT + SIZE * PIXEL},{TOP - 400},{TOP} [{CRS}]"
    outputs = run(
        "previewclasses", INPUT=scene, LABELS=make_labels(), EXTENT=extent,
        OUTPUT=folder / "Vorschau.tif", OUTPUT_UNCERTAINTY=folder / "unsure.tif",
    )  # fmt: skip
    shown, unsure = read_array(outputs["OUTPUT"]), read_array(outputs["OUTPUT_UNCERTAINTY"])
    assert shown.shape == unsure.shape == (40, SIZE)
    expected = np.where(np.arange(SIZE) < SIZE // 2, WATER, FOREST)
    assert (shown == expected).mean() > 0.97
    assert unsure.max() <= 100


def test_labels_that_are_not_saved_yet_count(folder):
    labels = make_labels()
    labels.dataProvider().deleteFeatures([feature.id() for feature in labels.getFeatures() if feature["Classvalue"] == FOREST])
    scene = make_scene(folder / "scene.tif")
    assert "only one class" in refusal("previewclasses", INPUT=scene, LABELS=labels, OUTPUT=folder / "preview.tif")
    labels.startEditing()
    feature = QgsFeature(labels.fields())
    feature.setAttributes([FOREST, "Forest"])
    feature.setGeometry(square(60, 20))
    labels.addFeature(feature)
    QgsProject.instance().addMapLayer(labels)
    outputs = run("previewclasses", INPUT=scene, LABELS=labels.id(), OUTPUT=folder / "preview.tif")
    assert set(np.unique(read_array(outputs["OUTPUT"]))) == {WATER, FOREST}
    labels.rollBack()


def test_a_loaded_preview_shows_the_classes_by_name(folder):
    import processing

    QgsProject.instance().clear()
    parameters = {"INPUT": str(make_scene(folder / "scene.tif")), "LABELS": make_labels(), "OUTPUT": str(folder / "preview.tif")}
    processing.runAndLoadResults("deeplearning:previewclasses", parameters, feedback=Log())
    layer = QgsProject.instance().mapLayersByName("Preview of classes")[0]
    assert isinstance(layer.renderer(), QgsPalettedRasterRenderer)
    assert {entry.value: entry.label for entry in layer.renderer().classes()} == {WATER: "Water", FOREST: "Forest"}
