# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures: a home folder of the test's own, a job, and two kinds of stand-in workers for the client."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest
from deep_learning_toolbox import backend
from deep_learning_toolbox.backend import __version__
from deep_learning_toolbox.backend.runtime import client
from deep_learning_toolbox.backend.runtime.interpreter import Interpreter
from deep_learning_toolbox.backend.runtime.protocol import Request
from deep_learning_toolbox.backend.runtime.setup import builds, environment, installer, requirements
from deep_learning_toolbox.backend.runtime.setup import source as source_module
from deep_learning_toolbox.backend.runtime.setup.gpu import Graphics
from deep_learning_toolbox.backend.runtime.setup.network import Network

from .setup.wheel_maker import Index, make_wheel

PLUGINS = Path(backend.__file__).parents[2]

# What a script that stands in for the worker starts with; it knows the protocol, but none of our code.
SCRIPT = f"""
import json, os, signal, subprocess, sys, time
from pathlib import Path

def say(**event):
    sys.stdout.buffer.write(json.dumps(event).encode() + b"\\n")
    sys.stdout.buffer.flush()

def greet():
    say(event="started", schema=1, version="{__version__}", stage="fake")

"""

# Runs the real worker with one stage of the test's; the test's text defines the generator function ``stage``.
STAGE_SCRIPT = """
import os, subprocess, sys, time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, {plugins!r})
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.runtime import stages, worker
from deep_learning_toolbox.backend.runtime.protocol import info, progress, result, warning

@dataclass(frozen=True)
class Settings:
    output: str = "out"
    steps: int = 3

{body}

class FakeStage:
    load_settings = staticmethod(lambda: Settings)
    load_function = staticmethod(lambda: stage)

stages.STAGES["fake"] = FakeStage
sys.exit(worker.main(sys.argv[1:]))
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The toolbox's home folder, in a path with a blank and an umlaut."""
    folder = tmp_path / "häuslicher Ordner"
    monkeypatch.setenv("DEEP_LEARNING_TOOLBOX_HOME", str(folder))
    return folder


@pytest.fixture
def job_folder(tmp_path):
    folder = tmp_path / "jöb folder"
    folder.mkdir()
    return folder


@pytest.fixture
def make_request():
    def make(stage="fake", version=__version__, **settings):
        return Request(stage=stage, settings=settings, job_id="1a2b", version=version)

    return make


@pytest.fixture
def this_python():
    return Interpreter(Path(sys.executable), "the tests")


@pytest.fixture
def use_script(tmp_path, monkeypatch):
    """Makes the client start a script instead of the worker."""

    def use(body, prelude=SCRIPT):
        script = tmp_path / "fälscher skript.py"
        script.write_text(prelude + body, encoding="utf-8")
        monkeypatch.setattr(
            client, "launch_command", lambda python, request: [str(python), str(script), str(request), "--watch-stdin"]
        )
        return script

    return use


@pytest.fixture
def stage_script():
    """Text of a script that runs the real worker with the given generator function ``stage``."""
    return lambda body: STAGE_SCRIPT.format(plugins=str(PLUGINS), body=body)


@pytest.fixture
def use_stage(use_script, stage_script):
    """Makes the client start the real worker with a stage of the test's."""
    return lambda body: use_script(stage_script(body), prelude="")


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """An environment with the pip that the installer would fetch, to be copied where a test is not about making one."""
    folder = tmp_path_factory.mktemp("template") / "environment"
    subprocess.run([sys.executable, "-I", "-m", "venv", "--without-pip", str(folder)], check=True)
    pip = metadata.distribution("pip")
    for name in ("pip", f"pip-{pip.version}.dist-info"):
        shutil.copytree(pip.locate_file(name), next(folder.glob("lib/python3*/site-packages")) / name)
    return folder


@pytest.fixture
def quick(monkeypatch, template):
    """Makes virtual environments by copying."""

    def copy(self, base, has_ensurepip):
        shutil.copytree(template, self.folder, symlinks=True, ignore_dangling_symlinks=True, dirs_exist_ok=True)
        self._tells_progress = True

    monkeypatch.setattr(installer.Installer, "create_environment", copy)


@pytest.fixture
def small_requirements(tmp_path, monkeypatch, home):
    """Requirements, proof, disk space and graphics of a computer on which one tiny library is all that the worker needs."""
    folder = tmp_path / "requirements"
    folder.mkdir()
    (folder / "worker.txt").write_text("tinyengine==1.0  # the engine\n")
    (folder / "test.txt").write_text("tinytest\n")
    (folder / "installer.txt").write_text("pip>=1000  # nobody has that\n")
    monkeypatch.setattr(requirements, "REQUIREMENTS", folder)
    monkeypatch.setattr(installer, "PROOF", "import tinyengine; assert tinyengine.value == 1; print('2.0+cu130')")
    monkeypatch.setattr(builds, "BUILDS", tuple(replace(build, disk=0) for build in builds.BUILDS))
    monkeypatch.setattr(environment, "find_graphics", Graphics)
    monkeypatch.setattr(environment, "REQUIRED_PACKAGES", ("tinyengine",))
    monkeypatch.setattr(source_module, "_find_fault", lambda index, network: "it is not there")  # no test asks PyTorch's own index
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name in [name for name in os.environ if name.startswith("PIP_") and name != "PIP_CONFIG_FILE"]:
        monkeypatch.delenv(name)
    return folder


@pytest.fixture
def wheels(tmp_path, small_requirements):
    """A folder with the wheels of these requirements."""
    folder = tmp_path / "räder und mehr"
    folder.mkdir()
    make_wheel(folder, "tinyengine")
    make_wheel(folder, "tinytest")
    return folder


@pytest.fixture
def index(wheels, monkeypatch):
    """A package index with these wheels, which is the one that pip asks."""
    server = Index(wheels)
    monkeypatch.setenv("PIP_INDEX_URL", server.address)
    for name, value in Network(certificates=server.certificates).variables().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_RESUME_RETRIES", "0")
    yield server
    server.shutdown()
    server.server_close()
