# SPDX-License-Identifier: GPL-2.0-or-later
"""The plugin in a real QGIS without windows, loaded as QGIS loads it; jobs run in the real worker."""

import gc
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
# The tests must neither read nor change the settings of whoever runs them.
os.environ["QGIS_CUSTOM_CONFIG_PATH"] = tempfile.mkdtemp(prefix="toolbox-profile-")
# Batches this small gain nothing from threads, which moreover wait for each other on a busy machine.
os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parent))

import pytest
import qgis_helpers as helpers

_exit_status = pytest.StashKey[int]()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    session.config.stash[_exit_status] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    """Ends the process with pytest's own status; the interpreter's last collection would touch objects of a QGIS that is gone."""
    if _exit_status in config.stash and not hasattr(config, "workerinput"):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash[_exit_status])


@pytest.fixture(scope="session")
def worker_python():
    """The interpreter of the worker, as the toolbox finds it on this machine."""
    from deep_learning_toolbox.backend.runtime.interpreter import find_interpreter

    return find_interpreter(None).path


@pytest.fixture(scope="session", autouse=True)
def private_home(tmp_path_factory, worker_python):
    """A home folder of the tests' own, with the worker of the real one."""
    home = tmp_path_factory.mktemp("home")
    before = {name: os.environ.get(name) for name in ("DEEP_LEARNING_TOOLBOX_HOME", "DEEP_LEARNING_TOOLBOX_PYTHON")}
    os.environ["DEEP_LEARNING_TOOLBOX_HOME"] = str(home)
    os.environ["DEEP_LEARNING_TOOLBOX_PYTHON"] = str(worker_python)
    yield home
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


@pytest.fixture(scope="session", autouse=True)
def plugin(qgis_app, qgis_processing):
    """The plugin, made by its factory, with its provider registered."""
    import deep_learning_toolbox

    plugin = deep_learning_toolbox.classFactory(None)
    plugin.initProcessing()
    yield plugin
    plugin.unload()
    # QGIS ends right after this. Its objects must be collected before, and none later: that crashed 3.22 in one run of three.
    gc.collect()
    gc.disable()


@pytest.fixture
def provider(plugin):
    """The one that is registered now; tests of loading and unloading replace it."""
    return plugin.provider


@pytest.fixture
def folder(tmp_path):
    """A folder with blanks and umlauts in its path."""
    path = tmp_path / "Müller & Söhne" / "Gebäude 1"
    path.mkdir(parents=True)
    return path


@pytest.fixture(scope="session")
def scene(tmp_path_factory):
    """A two-band scene of water and forest, see `qgis_helpers.make_scene`."""
    return helpers.make_scene(tmp_path_factory.mktemp("scene") / "scene.tif")


@pytest.fixture(scope="session")
def chips(plugin, scene, tmp_path_factory):
    """Folder of chips of the scene."""
    output = tmp_path_factory.mktemp("chips") / "chips"
    helpers.run("exporttrainingdata", INPUT=scene, LABELS=helpers.make_labels(), OUTPUT=output, **helpers.SMALL_CHIPS)
    return output


@pytest.fixture(scope="session")
def trained(chips, tmp_path_factory):
    """Outputs of a short training with the scene's chips."""
    output = tmp_path_factory.mktemp("model") / "model"
    return helpers.run("trainmodel", INPUT=chips, OUTPUT=output, **{**helpers.QUICK_TRAINING, "MAX_EPOCHS": 2})


@pytest.fixture(scope="session")
def model(trained):
    """A model for the scene's two bands."""
    return trained["MODEL"]
