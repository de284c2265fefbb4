# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures: a home folder of the test's own, a job, and two kinds of stand-in workers for the client."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from deep_learning_toolbox import backend
from deep_learning_toolbox.backend import __version__
from deep_learning_toolbox.backend.runtime import client
from deep_learning_toolbox.backend.runtime.interpreter import Interpreter
from deep_learning_toolbox.backend.runtime.protocol import Request

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
