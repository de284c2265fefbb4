# SPDX-License-Identifier: GPL-2.0-or-later
"""The managed environment, built for real (venv and pip, offline) from wheels of a few hundred bytes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.runtime import launch, places
from deep_learning_toolbox.backend.runtime.lock import share
from deep_learning_toolbox.backend.runtime.setup import builds, environment, installer, marker, requirements
from deep_learning_toolbox.backend.runtime.setup.environment import BuildRequest, build_environment
from deep_learning_toolbox.backend.runtime.setup.gpu import Gpu, Graphics
from deep_learning_toolbox.backend.runtime.setup.marker import EnvironmentState, Marker, managed_environment, read_state
from deep_learning_toolbox.backend.runtime.setup.source import Source

from .wheel_maker import make_wheel

pytestmark = pytest.mark.skipif(os.name != "posix", reason="paths inside a POSIX environment")


def build(wheels, progress=lambda step: None, **options):
    return build_environment(BuildRequest(wheels=wheels, **options), progress).python


def has_module(name):
    code = f"import importlib.util; print(importlib.util.find_spec({name!r}) is not None)"
    done = subprocess.run([marker.managed_python(), "-I", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip() == "True"


def environments(home):
    return sorted(path.name for path in (home / "environments").glob("*"))


def install_from_two_indices(wheels, steps, monkeypatch):
    """An installation whose PyTorch comes from an index of its own."""
    monkeypatch.setattr(environment, "find_source", lambda *arguments: Source(builds.BUILDS[0], "http://127.0.0.1:9/cu130"))
    monkeypatch.setattr(installer, "torch_requirements", lambda: ["tinyengine==1.0"])
    return build(wheels, steps.append)


def test_an_environment_is_built_once_and_extras_are_added_to_it(wheels, home):
    steps = []
    assert read_state() is EnvironmentState.ABSENT
    python = build(wheels, steps.append)
    assert python == managed_environment() / "bin" / "python"
    assert managed_environment().parent == home / "environments"
    assert (read_state(), has_module("tinyengine"), has_module("tinytest")) == (EnvironmentState.READY, True, False)
    texts = list(dict.fromkeys(step.text.split()[0] for step in steps))
    assert [text for text in texts if text != "Unpacking"] == ["Making", "Updating", "Looking", "Testing"]
    fractions = [step.fraction for step in steps]
    assert fractions == sorted(fractions)
    log = (home / "logs" / "install.log").read_text(encoding="utf-8")
    assert "Successfully installed tinyengine-1.0" in log

    started = time.monotonic()
    assert build(wheels) == python
    assert time.monotonic() - started < 1
    assert build(wheels, extras=["test"]) == python
    assert has_module("tinytest")
    assert build(None) == python  # an environment with more than is asked for is complete
    assert environments(home) == [managed_environment().name]


def test_progress_never_goes_back_where_pytorch_has_an_index_of_its_own(quick, wheels, monkeypatch):
    steps = []
    install_from_two_indices(wheels, steps, monkeypatch)
    fractions = [step.fraction for step in steps]
    assert fractions == sorted(fractions)
    assert {"Looking for PyTorch (CUDA 13)", "Looking for the other libraries"} <= {step.text for step in steps}


def test_nothing_that_is_not_ours_is_touched(quick, wheels, home, tmp_path):
    shared = tmp_path / "shared"
    kept = ["downloads/thesis.txt", "environment-agency data/a.tif", "environment-12345678/mine.txt", "deep_learning_toolbox/b.txt"]
    for name in kept:
        (shared / name).parent.mkdir(parents=True)
        (shared / name).write_text("mine")
    (shared / "deep_learning_toolbox" / "environment-12345678").mkdir()  # without our owner file
    build(wheels, folder=shared)
    build(wheels, folder=shared, repair=True)
    environment.remove_environment()
    assert all((shared / name).read_text() == "mine" for name in kept)
    assert [path.name for path in (shared / "deep_learning_toolbox").glob("environment-*")] == ["environment-12345678"]


def test_two_homes_may_keep_their_environments_in_one_folder(quick, wheels, home, tmp_path, monkeypatch):
    first = build(wheels, folder=tmp_path / "shared")
    monkeypatch.setenv("DEEP_LEARNING_TOOLBOX_HOME", str(tmp_path / "second home"))
    second = build(wheels, folder=tmp_path / "shared")
    build(wheels, folder=tmp_path / "shared", repair=True)
    environment.remove_environment()
    assert (first.exists(), second.exists()) == (True, False)


def test_a_repair_stays_in_the_folder_that_was_chosen(quick, wheels, home, tmp_path):
    build(wheels, folder=tmp_path / "elsewhere")
    build(wheels, repair=True)
    assert managed_environment().parent == tmp_path / "elsewhere" / "deep_learning_toolbox"


def test_a_place_that_cannot_be_written_is_told_with_what_to_do(quick, wheels, home, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(ToolboxError, match=r"cannot be written .* choose another folder \(FOLDER\)"):
        build(wheels, folder=tmp_path / "file")
    monkeypatch.setenv("DEEP_LEARNING_TOOLBOX_HOME", str(tmp_path / "file" / "home"))
    for call in (lambda: build(wheels), environment.remove_environment):
        with pytest.raises(ToolboxError, match="another home folder by the environment variable DEEP_LEARNING_TOOLBOX_HOME"):
            call()


def test_a_missing_library_is_noticed_and_mended(quick, wheels, home):
    build(wheels)
    old = managed_environment()
    next(old.glob("lib/python3*/site-packages/tinyengine.py")).unlink()
    assert environment.find_fault() == "it lacks tinyengine"
    build(wheels)
    assert (environment.find_fault(), managed_environment() != old) == ("", True)


def test_cuda_that_was_asked_for_is_never_replaced_by_a_build_without_it(quick, wheels, home, monkeypatch):
    monkeypatch.setattr(installer, "PROOF", "print('2.0+cpu')")
    with pytest.raises(ToolboxError, match="CUDA was asked for, but what was installed is PyTorch's build “cpu”: give a folder"):
        build(wheels, device="cuda")
    assert read_state() is EnvironmentState.ABSENT


def test_the_marker_names_the_build_that_was_installed(quick, wheels, home):
    build(wheels)
    found = Marker.read()
    assert (found.build, found.python) == ("cu130", f"{sys.version_info[0]}.{sys.version_info[1]}")
    assert found.folder == f"environments/{managed_environment().name}"  # so that the home folder can be moved


def test_a_comment_does_not_outdate_an_environment_but_another_requirement_does(quick, wheels, small_requirements, home):
    build(wheels, extras=["test"])
    old = managed_environment()
    (small_requirements / "worker.txt").write_text("# changed\ntinyengine==1.0\n")
    assert read_state() is EnvironmentState.READY
    make_wheel(wheels, "tinyengine", version="2.0")
    (small_requirements / "worker.txt").write_text("tinyengine==2.0\n")
    assert read_state() is EnvironmentState.OUTDATED
    assert managed_environment() == old
    build(wheels)
    assert (read_state(), has_module("tinytest"), old.exists()) == (EnvironmentState.READY, False, False)


def test_a_repair_builds_anew_what_seems_well(quick, wheels, home):
    build(wheels)
    old = managed_environment()
    next(old.glob("lib/python3*/site-packages/tinyengine.py")).write_text("value = 2\n")
    assert build(wheels).parent.parent == old
    assert build(wheels, repair=True).parent.parent != old
    assert environments(home) == [managed_environment().name]


def test_an_environment_may_lie_in_another_folder(quick, wheels, home, tmp_path):
    python = build(wheels, folder=tmp_path / "groß und weit")
    assert python.is_relative_to(tmp_path / "groß und weit")
    assert (read_state(), build(wheels)) == (EnvironmentState.READY, python)
    build(wheels, folder=tmp_path / "elsewhere")
    assert not python.exists()


def test_removing_leaves_nothing_but_logs(quick, wheels, home):
    environment.remove_environment()  # does nothing
    build(wheels)
    environment.remove_environment()
    assert (read_state(), environments(home)) == (EnvironmentState.ABSENT, [])


def test_an_environment_in_which_a_worker_runs_is_not_removed(quick, wheels, home):
    build(wheels)
    old = managed_environment()
    running = share(old / places.IN_USE)
    with pytest.raises(ToolboxError, match="is in use or cannot be removed: wait until running tools have ended"):
        environment.remove_environment()
    build(wheels, repair=True)  # goes on beside it
    assert old.exists()
    assert managed_environment() != old
    running.close()
    build(wheels, repair=True)
    assert environments(home) == [managed_environment().name]


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"folder": 1}', "null"])
def test_a_damaged_marker_counts_as_no_environment(home, text):
    home.mkdir(parents=True, exist_ok=True)
    places.marker_file().write_text(text)
    assert read_state() is EnvironmentState.ABSENT


def test_cuda_is_not_served_by_a_build_without_it_but_the_cpu_by_any(quick, wheels, monkeypatch):
    build(wheels)
    python = marker.managed_python()
    assert build(wheels, device="cpu") == python
    replace(Marker.read(), build="cpu").write()
    assert build(wheels, device="cuda") != python
    assert Marker.read().device == "cuda"


def test_too_small_a_disk_is_refused_before_anything_is_written(wheels, home, monkeypatch):
    monkeypatch.setattr(builds, "BUILDS", tuple(replace(item, disk=10**18) for item in builds.BUILDS))
    with pytest.raises(ToolboxError, match=r"need 1000000000 GB of disk space .* free some, or choose another folder"):
        build(wheels)
    assert environments(home) == []


def test_a_card_that_no_build_serves_is_refused_when_cuda_is_asked_for(wheels, monkeypatch):
    monkeypatch.setattr(environment, "find_graphics", lambda: Graphics((Gpu("GeForce GT 730", (3, 5), 2048),), "470.1"))
    with pytest.raises(ToolboxError, match="no kernels for the GeForce GT 730"):
        build(wheels, device="cuda")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ([[3, 9, 18], []], r"is version 3\.9\.18: name a Python 3\.10 or later"),
        ([[3, 11, 2], ["ensurepip", "pip"]], "lacks its module ensurepip: .*apt install python3-venv"),
        ([[3, 11, 2], ["venv"]], "lacks its module venv: .*apt install python3-venv"),
        ([[3, 11, 2], ["ssl"]], "cannot load ssl, without which nothing can be downloaded: name another one"),
    ],
)
def test_an_unsuitable_base_is_refused(wheels, home, tmp_path, answer, told):
    base = tmp_path / "python3"
    base.write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\n")
    base.chmod(0o755)
    with pytest.raises(ToolboxError, match=told):
        build(wheels, python=base)
    assert environments(home) == []


def test_wrong_arguments_are_refused(wheels, tmp_path):
    with pytest.raises(ToolboxError, match="no extra “docs”; there are: installer, test, worker"):
        BuildRequest(extras=["docs"])
    with pytest.raises(ToolboxError, match="no folder of wheels"):
        BuildRequest(wheels=tmp_path / "none")
    with pytest.raises(ToolboxError, match="device “tpu” is unknown"):
        BuildRequest(device="tpu")


@pytest.mark.parametrize("by_path", [False, True])
def test_the_command_line_finds_and_reports(home, tmp_path, by_path):
    plugins = Path(launch.__file__).parents[3]
    shutil.copytree(plugins / "deep_learning_toolbox" / "backend", tmp_path / "clone ä" / "backend")
    for name in ("__init__.py", "metadata.txt"):
        shutil.copy(plugins / "deep_learning_toolbox" / name, tmp_path / "clone ä" / name)
    script = tmp_path / "clone ä" / "backend" / "runtime" / "setup" / "command.py"
    how = [str(script)] if by_path else ["-m", "deep_learning_toolbox.backend.runtime.setup.command"]
    command = [sys.executable, *how, "find", "--home", str(home)]
    variables = {**os.environ, "PYTHONPATH": str(plugins)}
    done = subprocess.run(command, capture_output=True, text=True, env=variables)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.strip() == f"There is no environment for this version in “{home}”: run this with “build”."
    (home / "environments" / "mine" / "bin").mkdir(parents=True)
    (home / "environments" / "mine" / "bin" / "python").touch()
    digest = requirements.hash_requirements(requirements.requirements_file("worker"))
    Marker("environments/mine", digest, "3.11", "0", "cpu").write()
    done = subprocess.run(command, capture_output=True, text=True, env=variables)
    assert (done.returncode, done.stdout.strip()) == (0, str(home / "environments" / "mine" / "bin" / "python"))
    done = subprocess.run([*command[:-3], "show", *command[-2:]], capture_output=True, text=True, env=variables)
    assert f"Home folder: {home}" in done.stdout.splitlines()


def test_the_home_folder_is_the_platforms_unless_named(monkeypatch, tmp_path):
    monkeypatch.delenv("DEEP_LEARNING_TOOLBOX_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/ä")
    monkeypatch.setattr(places.Path, "home", lambda: Path("/home/ä"))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    monkeypatch.setattr(sys, "platform", "linux")
    assert places.home_folder() == Path("/home/ä/.local/share/deep_learning_toolbox")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert places.home_folder() == Path("/data/deep_learning_toolbox")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert places.home_folder() == Path("/home/ä/Library/Application Support/deep_learning_toolbox")
    monkeypatch.setattr(sys, "platform", "win32")
    assert places.home_folder() == Path("/local/deep_learning_toolbox")
    assert places.python_in(Path("/local/e")) == Path("/local/e/Scripts/python.exe")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEEP_LEARNING_TOOLBOX_HOME", "build/home")
    assert places.home_folder() == tmp_path / "build" / "home"


def test_a_proof_that_fails_tells_its_last_words_and_windows_users_what_is_missing(quick, wheels, monkeypatch):
    monkeypatch.setattr(installer, "PROOF", "raise OSError('[WinError 126] module not found: c10.dll')")
    with pytest.raises(ToolboxError, match=r"do not work: OSError: .*c10\.dll; install Microsoft's Visual C\+\+"):
        build(wheels)
