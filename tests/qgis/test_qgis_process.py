# SPDX-License-Identifier: GPL-2.0-or-later
"""A cold start of qgis_process with a profile of its own, as a script on a server would do it."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import deep_learning_toolbox
import pytest
from qgis.core import QgsCoordinateTransformContext, QgsVectorFileWriter
from qgis_helpers import FOREST, SMALL_CHIPS, WATER, label_pixels, make_labels, make_scene, read_array

TOOLS = {"preparescene", "spectralindices", "exporttrainingdata", "trainmodel", "classifypixels", "checksetup", "installbackend"}
TOOLS |= {"inspecttrainingdata", "createlabellayer", "convertlabels", "segmentimage", "previewclasses", "exportonnx", "classifyfolder"}
TOOLS |= {"accuracypoints", "assessaccuracy", "estimateclassification"}


@pytest.fixture(scope="module")
def qgis_process(tmp_path_factory):
    """Runs qgis_process with --json in a fresh profile in which the plugin was switched on; returns the finished process."""
    # Debian 12 wraps the program in a script that loses options, so the bare one first.
    program = shutil.which("qgis_process.bin") or shutil.which("qgis_process")
    assert program, "qgis_process is not on the PATH"
    environment = {**os.environ, "QGIS_CUSTOM_CONFIG_PATH": str(tmp_path_factory.mktemp("profile"))}
    plugins = tmp_path_factory.mktemp("plugins")
    (plugins / "deep_learning_toolbox").symlink_to(Path(deep_learning_toolbox.__file__).resolve().parent)
    environment["QGIS_PLUGINPATH"] = str(plugins)

    def call(*arguments):
        return subprocess.run([program, *arguments], capture_output=True, text=True, check=False, env=environment)

    enabled = call("plugins", "enable", "deep_learning_toolbox")
    assert enabled.returncode == 0, enabled.stdout + enabled.stderr
    return call


def read_json(done):
    """The JSON that a call printed; QGIS may print other lines before it."""
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout[done.stdout.index("{") :])


@pytest.fixture(scope="module")
def listed(qgis_process):
    """The provider as `qgis_process list` shows it."""
    return read_json(qgis_process("list", "--json"))["providers"]["deeplearning"]


def test_tools_and_model_are_listed_after_a_cold_start(listed):
    assert set(listed["algorithms"]) == {f"deeplearning:{name}" for name in (*TOOLS, "Train and classify from labels")}
    assert listed["name"] == "Deep Learning Toolbox"


def test_model_shows_its_inputs_and_outputs_after_a_cold_start(qgis_process):
    told = read_json(qgis_process("help", "deeplearning:Train and classify from labels", "--json"))
    assert {"INPUT", "LABELS", "CLASS_VALUE_FIELD"} <= set(told["parameters"])
    assert set(told["outputs"]) == {"classify:Class raster", "train:Model folder"}


def test_export_runs_from_the_command_line_with_json_output(qgis_process, folder):
    scene, labels = make_scene(folder / "scene.tif"), folder / "labels.gpkg"
    QgsVectorFileWriter.writeAsVectorFormatV3(
        make_labels(), str(labels), QgsCoordinateTransformContext(), QgsVectorFileWriter.SaveVectorOptions()
    )
    sizes = [f"{name}={value}" for name, value in SMALL_CHIPS.items()]
    inputs = [f"INPUT={scene}", f"LABELS={labels}", f"OUTPUT={folder / 'chips'}", "CLASS_VALUE_FIELD=Classvalue", *sizes]
    told = read_json(qgis_process("run", "deeplearning:exporttrainingdata", "--json", "--", *inputs))
    assert told["results"] == {"OUTPUT": str(folder / "chips"), "CHIPS": 9, "CLASSES": 2}
    assert told["algorithm_details"]["id"] == "deeplearning:exporttrainingdata"
    assert label_pixels(folder / "chips") == {WATER: 1024, FOREST: 1024}


def test_failed_tool_gives_an_exit_code_and_its_sentence(qgis_process, folder):
    scene = make_scene(folder / "scene.tif")
    inputs = [f"INPUT={scene}", f"LABEL_RASTER={scene}", f"OUTPUT={folder / 'notes.txt' / 'chips'}"]
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    done = qgis_process("run", "deeplearning:exporttrainingdata", "--json", "--", *inputs)
    assert done.returncode != 0
    assert "cannot be written" in done.stdout + done.stderr


def test_scene_is_prepared_from_a_folder_and_from_repeated_paths(qgis_process, folder):
    scene = make_scene(folder / "rasters" / "scene.tif")
    for inputs, bands in (([scene.parent], 2), ([scene, scene], 4)):
        given = [f"INPUT={path}" for path in inputs]
        told = read_json(qgis_process("run", "deeplearning:preparescene", "--json", "--", *given, f"OUTPUT={folder / 'stack.tif'}"))
        assert read_array(told["results"]["OUTPUT"]).shape[0] == bands
