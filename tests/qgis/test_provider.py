# SPDX-License-Identifier: GPL-2.0-or-later
"""What users and scripts see: ids, parameters, outputs. They never change once landed; new parameters need defaults."""

import json
import subprocess

import pytest
from qgis.core import (
    QgsApplication,
    QgsProcessingContext,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
)

FROZEN = {
    "checksetup": ({"OUTPUT_HTML"}, {"OUTPUT_HTML", "DEVICE", "TORCH_VERSION", "READY", "SUMMARY"}),
    "installbackend": ({"ACTION", "FOLDER", "WHEELS", "DEVICE", "PYTHON", "ENCODERS"}, {"PYTHON", "DEVICE", "SUMMARY"}),
    "preparescene": (
        {
            "INPUT", "BANDS", "SCALE", "MASK_CLOUDS", "MASK_CLASSES", "EXTENT", "RESOLUTION", "RESAMPLING", "OUTPUT_TYPE", "OVERVIEWS",
            "OUTPUT",
        },
        {"OUTPUT"},
    ),
    "spectralindices": (
        {"INPUT", "INDICES", "SENSOR", "BAND_MAP", "PARAMETERS", "APPEND", "OUT_OF_RANGE", "OVERVIEWS", "OUTPUT"},
        {"OUTPUT"},
    ),
    "createlabellayer": ({"SCHEMA", "CLASSES", "CRS", "OUTPUT"}, {"OUTPUT", "COUNT"}),
    "convertlabels": (
        {"INPUT", "CLASS_VALUE_FIELD", "CLASS_NAME_FIELD", "BUFFER", "OUTPUT"},
        {"OUTPUT", "LABELS", "CLASSES"},
    ),
    "segmentimage": ({"INPUT", "SEGMENT_SIZE", "COMPACTNESS", "BANDS", "EXTENT", "OUTPUT"}, {"OUTPUT", "SEGMENTS"}),
    "previewclasses": (
        {
            "INPUT", "LABELS", "CLASS_VALUE_FIELD", "CLASS_NAME_FIELD", "EXTENT", "BANDS", "SEED", "OUTPUT", "OUTPUT_UNCERTAINTY",
        },
        {"OUTPUT", "OUTPUT_UNCERTAINTY"},
    ),
    "exporttrainingdata": (
        {
            "INPUT", "LABELS", "LABEL_RASTER", "CLASS_VALUE_FIELD", "CLASS_NAME_FIELD", "BANDS", "CHIP_FORMAT", "METADATA_FORMAT",
            "TILE_SIZE_X", "TILE_SIZE_Y", "STRIDE_X", "STRIDE_Y", "EMPTY_TILES", "BUFFER_RADIUS", "MIN_LABELED_RATIO", "OUTPUT",
            "MORE_INPUTS", "MASK", "ROTATION_ANGLE", "REFERENCE_SYSTEM", "INPUT2", "INSTANCES", "INSTANCE_FIELD", "BLACKEN",
            "CROP_MODE", "MIN_OVERLAP_RATIO", "CELL_SIZE", "EXTENT", "APPEND",
        },
        {"OUTPUT", "CHIPS", "CLASSES"},
    ),
    "inspecttrainingdata": ({"INPUT", "OUTPUT", "OUTPUT_HTML"}, {"OUTPUT", "OUTPUT_HTML"}),
    "trainmodel": (
        {
            "INPUT", "MORE_INPUTS", "MODEL_TYPE", "BACKBONE", "WEIGHTS", "WEIGHTS_FILE", "PRETRAINED_MODEL", "MAX_EPOCHS",
            "BATCH_SIZE", "LEARNING_RATE", "CHIP_SIZE", "VALIDATION_PERCENT", "SPLIT", "UNLABELED", "CLASS_BALANCING", "LOSS",
            "AUGMENTATION", "EARLY_STOPPING", "MONITOR", "REFIT", "SEED", "DEVICE", "OUTPUT",
            "VALIDATION_INPUT", "IGNORE_CLASSES", "MIXUP", "FREEZE", "PRECISION", "RESUME", "DAMAGED_CHIPS",
        },
        {"OUTPUT", "MODEL", "OUTPUT_HTML", "SCORE", "EPOCHS"},
    ),
    "classifypixels": (
        {
            "INPUT", "MODEL", "TILE_SIZE", "OVERLAP", "BATCH_SIZE", "TEST_TIME_AUGMENTATION", "PREDICT_BACKGROUND", "EXTENT",
            "MEMORY", "DEVICE", "OUTPUT", "OUTPUT_CONFIDENCE", "OUTPUT_UNCERTAINTY", "OUTPUT_PROBABILITIES", "OUTPUT_POLYGONS", "MASK",
            "CELL_SIZE", "BAND_MAP", "MIN_REGION", "PRECISION", "POLYGONS_PER",
        },
        {"OUTPUT", "OUTPUT_CONFIDENCE", "OUTPUT_UNCERTAINTY", "OUTPUT_PROBABILITIES", "OUTPUT_POLYGONS", "DEVICE_USED"},
    ),
    "classifyfolder": (
        {
            "INPUT", "MODEL", "TILE_SIZE", "OVERLAP", "BATCH_SIZE", "TEST_TIME_AUGMENTATION", "PREDICT_BACKGROUND", "EXTENT",
            "MEMORY", "DEVICE", "OUTPUT", "MASK", "CELL_SIZE", "BAND_MAP", "MIN_REGION", "PRECISION",
        },
        {"OUTPUT", "OUTPUT_VRT", "CLASSIFIED", "DEVICE_USED"},
    ),
    "estimateclassification": (
        {
            "INPUT", "MODEL", "TILE_SIZE", "OVERLAP", "BATCH_SIZE", "TEST_TIME_AUGMENTATION", "PREDICT_BACKGROUND", "EXTENT",
            "MEMORY", "DEVICE", "OUTPUT", "OUTPUT_CONFIDENCE", "OUTPUT_UNCERTAINTY", "OUTPUT_PROBABILITIES", "OUTPUT_POLYGONS", "MASK",
            "CELL_SIZE", "BAND_MAP", "MIN_REGION", "PRECISION", "POLYGONS_PER",
        },
        {
            "OUTPUT", "OUTPUT_CONFIDENCE", "OUTPUT_UNCERTAINTY", "OUTPUT_PROBABILITIES", "OUTPUT_POLYGONS", "DEVICE_USED", "TILES",
            "OVERLAP_FACTOR", "SECONDS", "MEMORY_MB", "OUTPUT_MB", "SUMMARY",
        },
    ),
    "exportonnx": ({"MODEL", "TILE_SIZE", "OUTPUT"}, {"OUTPUT"}),
    "accuracypoints": (
        {
            "INPUT", "COUNT", "SAMPLING", "MIN_PER_CLASS", "MIN_DISTANCE", "MASK", "EXPECTED_ACCURACY", "MARGIN", "SEED", "OUTPUT",
        },
        {"OUTPUT", "POINTS"},
    ),
    "assessaccuracy": (
        {
            "INPUT", "REFERENCE", "CLASS_VALUE_FIELD", "REFERENCE_RASTER", "SECOND_MAP", "AREA_WEIGHTED", "UNLABELED", "OUTPUT",
            "OUTPUT_HTML", "OUTPUT_ERRORS",
        },
        {
            "OUTPUT", "OUTPUT_HTML", "OUTPUT_ERRORS", "OVERALL_ACCURACY", "OVERALL_MARGIN", "KAPPA", "MEAN_IOU", "MEAN_F1", "UNITS",
            "QUANTITY_DISAGREEMENT", "ALLOCATION_DISAGREEMENT", "MCNEMAR_P", "ACCURACY_CHANGE",
        },
    ),
    "Train and classify from labels": (
        {"INPUT", "LABELS", "CLASS_VALUE_FIELD", "TILE_SIZE", "BACKBONE", "MAX_EPOCHS", "classify:Class raster", "train:Model folder"},
        {"classify:Class raster", "train:Model folder"},
    ),
}  # fmt: skip
REQUIRED = {
    "checksetup": set(),
    "installbackend": set(),
    "preparescene": {"INPUT", "OUTPUT"},
    "spectralindices": {"INPUT", "INDICES", "OUTPUT"},
    "createlabellayer": {"OUTPUT"},
    "convertlabels": {"INPUT", "OUTPUT"},
    "segmentimage": {"INPUT", "OUTPUT"},
    "previewclasses": {"INPUT", "LABELS", "OUTPUT"},
    "exporttrainingdata": {"INPUT", "OUTPUT"},
    "inspecttrainingdata": {"INPUT"},
    "trainmodel": {"INPUT", "OUTPUT"},
    "classifypixels": {"INPUT", "MODEL", "OUTPUT"},
    "classifyfolder": {"INPUT", "MODEL", "OUTPUT"},
    "estimateclassification": {"INPUT", "MODEL", "OUTPUT"},
    "exportonnx": {"MODEL", "OUTPUT"},
    "accuracypoints": {"INPUT", "OUTPUT"},
    "assessaccuracy": {"INPUT", "OUTPUT"},
    "Train and classify from labels": {"INPUT", "LABELS", "classify:Class raster", "train:Model folder"},
}
# Parameters that go to the worker under another name, or are no setting of it.
RENAMED = {"UNLABELED": "unlabelled", "MEMORY": "memory_mb"}
RENAMED |= {"SECOND_MAP": "second_raster", "OUTPUT_HTML": "report", "OUTPUT_ERRORS": "errors"}
NOT_SETTINGS = {"BUFFER_RADIUS"}
STAGES = {
    "preparescene": ("imagery.scenes.settings", "SceneSettings"),
    "spectralindices": ("imagery.indices.settings", "IndicesSettings"),
    "segmentimage": ("labels.segments.settings", "SegmentSettings"),
    "exporttrainingdata": ("chips.settings", "ExportSettings"),
    "trainmodel": ("training.settings", "TrainSettings"),
    "classifypixels": ("inference.settings", "ClassifySettings"),
    "estimateclassification": ("inference.settings", "ClassifySettings"),
    "exportonnx": ("models.onnx_settings", "OnnxSettings"),
    "accuracypoints": ("assessment.settings", "PointsSettings"),
    "assessaccuracy": ("assessment.settings", "AssessSettings"),
}
WITHOUT_STAGE = ("classifyfolder", "checksetup", "inspecttrainingdata", "installbackend", "createlabellayer", "convertlabels",
                 "previewclasses")  # fmt: skip
DEFAULTS = """
import dataclasses, importlib, json, sys
module, name = sys.argv[1:]
settings = getattr(importlib.import_module("deep_learning_toolbox.backend." + module), name)
fields = {f.name: f.default for f in dataclasses.fields(settings) if f.default is not dataclasses.MISSING}
print(json.dumps(fields))
"""


def algorithm(name):
    return QgsApplication.processingRegistry().algorithmById(f"deeplearning:{name}")


def is_optional(parameter):
    return bool(parameter.flags() & QgsProcessingParameterDefinition.Flag.FlagOptional)


def test_provider_lists_the_frozen_tools(provider):
    assert {entry.name() for entry in provider.algorithms()} == set(FROZEN)


@pytest.mark.parametrize("name", FROZEN)
def test_parameters_and_outputs_keep_their_names(provider, name):
    parameters, outputs = FROZEN[name]
    assert {parameter.name() for parameter in algorithm(name).parameterDefinitions()} == parameters
    assert {output.name() for output in algorithm(name).outputDefinitions()} == outputs


@pytest.mark.parametrize("name", REQUIRED)
def test_only_the_agreed_parameters_must_be_given(provider, name):
    required = {
        parameter.name()
        for parameter in algorithm(name).parameterDefinitions()
        if parameter.defaultValue() is None and not is_optional(parameter)
    }
    assert required == REQUIRED[name]


@pytest.mark.parametrize("name", [*STAGES, *WITHOUT_STAGE])
def test_every_input_has_a_help_text_in_panel_and_tooltip(provider, name):
    tool = algorithm(name)
    inputs = [parameter for parameter in tool.parameterDefinitions() if not parameter.isDestination()]
    assert [parameter.name() for parameter in inputs if len(parameter.help()) < 15] == []
    assert all(parameter.help() in parameter.toolTip() for parameter in inputs)
    assert all(parameter.help() in tool.shortHelpString() for parameter in inputs)


@pytest.mark.parametrize("name", [*STAGES, "installbackend"])
def test_choices_are_given_as_words(provider, name):
    enums = [entry for entry in algorithm(name).parameterDefinitions() if isinstance(entry, QgsProcessingParameterEnum)]
    for parameter in enums:
        assert parameter.usesStaticStrings()
        assert parameter.defaultValue() in parameter.options()


@pytest.mark.parametrize("name", STAGES)
def test_defaults_are_those_of_the_settings_in_the_backend(provider, worker_python, name):
    command = [str(worker_python), "-c", DEFAULTS, *STAGES[name]]
    settings = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    compared = {}
    for parameter in algorithm(name).parameterDefinitions():
        field = RENAMED.get(parameter.name(), parameter.name().lower())
        if parameter.name() not in NOT_SETTINGS and field in settings:
            compared[field] = parameter.defaultValue() or (None if settings[field] is None else type(settings[field])())
    assert compared == {field: settings[field] for field in compared}
    assert len(compared) >= (1 if name == "exportonnx" else 3)


def test_model_types_are_those_of_the_registry(provider, worker_python):
    code = "from deep_learning_toolbox.backend.models.catalogue import ARCHITECTURES; print(';'.join(ARCHITECTURES))"
    listed = subprocess.run([str(worker_python), "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert algorithm("trainmodel").parameterDefinition("MODEL_TYPE").options() == listed.split(";")


def test_choices_of_the_export_are_those_of_the_backend(provider):
    from deep_learning_toolbox.backend.chips import names

    for parameter, words in (
        ("CHIP_FORMAT", names.CHIP_FORMATS),
        ("METADATA_FORMAT", names.METADATA_FORMATS),
        ("REFERENCE_SYSTEM", names.REFERENCE_SYSTEMS),
        ("CROP_MODE", names.CROP_MODES),
    ):
        assert tuple(algorithm("exporttrainingdata").parameterDefinition(parameter).options()) == words


def test_backbones_in_the_help_are_those_of_the_registry(provider, worker_python):
    code = "from deep_learning_toolbox.backend.models.catalogue import ENCODERS; print(', '.join(ENCODERS))"
    listed = subprocess.run([str(worker_python), "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert listed in algorithm("trainmodel").parameterDefinition("BACKBONE").help()


def test_numbers_are_taken_as_text(provider, chips, tmp_path):
    parameters = {"INPUT": str(chips), "MAX_EPOCHS": "5", "LEARNING_RATE": "0.01", "OUTPUT": str(tmp_path / "model")}
    assert algorithm("trainmodel").checkParameterValues(parameters, QgsProcessingContext()) == (True, "")


def test_provider_writes_files_only_and_prefers_tif_and_gpkg(provider):
    assert not provider.supportsNonFileBasedOutput()
    assert provider.supportedOutputRasterLayerExtensions()[0] == "tif"
    assert provider.supportedOutputVectorLayerExtensions()[0] == "gpkg"


def test_provider_shows_name_version_and_icon(provider):
    from deep_learning_toolbox.backend import __version__

    assert provider.name() == "Deep Learning Toolbox"
    assert provider.longName() == f"Deep Learning Toolbox {__version__}"
    assert not provider.icon().pixmap(24, 24).isNull()


def test_every_tool_has_an_icon_of_its_own(provider):
    shown = {*STAGES, "inspecttrainingdata"} - {"estimateclassification"}  # the Toolbox does not show that one
    tools = [entry for entry in provider.algorithms() if entry.name() in shown]
    assert len({entry.svgIconPath() for entry in tools}) == len(tools)
    assert all(not entry.icon().pixmap(16, 16).isNull() for entry in tools)
