# SPDX-License-Identifier: GPL-2.0-or-later
"""Which side may import what, how long files may be, and that loading the plugin stays light."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import deep_learning_toolbox
import pytest

ROOT = Path(deep_learning_toolbox.__file__).resolve().parent
PACKAGE = "deep_learning_toolbox"
LONGEST_FILE = 400  # lines
# Libraries of the worker; QGIS's Python may lack them, or have others' versions.
HEAVY = {
    "torch", "torchvision", "timm", "segmentation_models_pytorch", "safetensors", "rasterio", "pyogrio", "shapely", "affine",
    "geopandas", "pandas", "sklearn", "scipy", "skimage", "cv2", "PIL", "matplotlib",
}  # fmt: skip
QGIS = {"qgis", "PyQt5", "PyQt6", "PySide2", "PySide6", "processing"}
LOADED_BY_QGIS = [
    ROOT / "__init__.py", ROOT / "plugin.py", ROOT / "backend" / "__init__.py", ROOT / "backend" / "errors.py",
    *sorted((ROOT / "algorithms").rglob("*.py")), *sorted((ROOT / "ui").rglob("*.py")),
    *sorted((ROOT / "backend" / "runtime").rglob("*.py")),
    # once a tool or the list of indices is opened
    *(ROOT / "backend" / "imagery" / name for name in ("__init__.py", "sensors.py")),
    *(ROOT / "backend" / "imagery" / "indices" / name for name in ("__init__.py", "formula.py", "catalogue.py", "inputs.py")),
]  # fmt: skip
BACKEND = sorted((ROOT / "backend").rglob("*.py"))
SHIPPED = [*LOADED_BY_QGIS, *(path for path in BACKEND if path not in LOADED_BY_QGIS)]
# They run in the worker and import PyTorch inside a function.
MAY_IMPORT_LATE = {"probe.py", "device.py", "ranks.py", "companions.py"}

LOAD = """
import json, sys
from qgis.core import QgsApplication
application = QgsApplication([], False)
application.initQgis()
before = set(sys.modules)
import deep_learning_toolbox
plugin = deep_learning_toolbox.classFactory(None)
plugin.initProcessing()
registry = QgsApplication.processingRegistry()
told = {"imported": sorted(set(sys.modules) - before)}
told["first"] = sorted(algorithm.name() for algorithm in plugin.provider.algorithms())
plugin.unload()
told["unloaded"] = registry.providerById("deeplearning") is None and plugin.provider is None
plugin.initProcessing()
told["again"] = sorted(algorithm.name() for algorithm in plugin.provider.algorithms())
plugin.unload()
application.exitQgis()
print(json.dumps(told))
"""


def relative(path):
    return str(path.relative_to(ROOT))


def imported_names(nodes):
    """Top-level names of the packages imported by these syntax nodes; imports within the toolbox do not count."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names


def parse(path):
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def outside_functions(tree):
    """The nodes that run when the module is imported."""
    waiting = list(ast.iter_child_nodes(tree))
    while waiting:
        node = waiting.pop()
        yield node
        is_for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if not is_for_types and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            waiting += ast.iter_child_nodes(node)


@pytest.fixture(scope="module")
def loaded():
    """What a fresh QGIS without windows tells about loading, unloading and loading the plugin again."""
    done = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.mark.parametrize("path", LOADED_BY_QGIS, ids=relative)
def test_what_qgis_loads_imports_no_library_of_the_worker(path):
    tree = parse(path)
    nodes = outside_functions(tree) if path.name in MAY_IMPORT_LATE else ast.walk(tree)
    assert imported_names(nodes) & HEAVY == set()


@pytest.mark.parametrize("path", BACKEND, ids=relative)
def test_backend_imports_nothing_of_qgis(path):
    assert imported_names(ast.walk(parse(path))) & QGIS == set()


@pytest.mark.parametrize("path", SHIPPED, ids=relative)
def test_qt_is_imported_through_qgis_only(path):
    assert imported_names(ast.walk(parse(path))) & {"PyQt5", "PyQt6", "PySide2", "PySide6"} == set()


@pytest.mark.parametrize("path", SHIPPED, ids=relative)
def test_imports_within_the_toolbox_are_relative(path):
    assert PACKAGE not in imported_names(ast.walk(parse(path)))


def test_scan_sees_the_files_that_matter():
    names = {relative(path) for path in SHIPPED}
    assert {"plugin.py", "algorithms/provider.py", "ui/actions.py", "backend/runtime/client.py"} <= names
    assert {"backend/training/train.py", "backend/inference/classify.py", "backend/chips/export.py"} <= names


def test_no_file_is_longer_than_agreed():
    folders = ("algorithms", "ui", "backend", "demo", "benchmarks", "tests")
    paths = [*ROOT.glob("*.py"), *(path for folder in folders for path in (ROOT / folder).rglob("*.py"))]
    lengths = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_loading_the_plugin_imports_no_library_of_the_worker(loaded):
    tops = {name.partition(".")[0] for name in loaded["imported"]}
    assert PACKAGE in tops
    assert tops & HEAVY == set()


def test_loading_the_plugin_imports_no_stage_of_the_backend(loaded):
    rooms = {name.split(".")[2] for name in loaded["imported"] if name.startswith(f"{PACKAGE}.backend.")}
    assert rooms <= {"errors", "runtime"}


def test_unloading_removes_the_provider_and_loading_again_brings_all_back(loaded):
    assert loaded["unloaded"]
    assert {"exporttrainingdata", "trainmodel", "classifypixels", "Train and classify from labels"} <= set(loaded["first"])
    assert loaded["again"] == loaded["first"]
