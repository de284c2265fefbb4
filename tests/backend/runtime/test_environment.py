# SPDX-License-Identifier: GPL-2.0-or-later
"""The managed environment, built for real (venv and pip, offline) from wheels of a few hundred bytes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.runtime import environment, installer, launch, places
from deep_learning_toolbox.backend.runtime.environment import EnvironmentState, build_environment, read_state
from deep_learning_toolbox.backend.runtime.lock import exclusive

pytestmark = pytest.mark.skipif(os.name != "posix", reason="paths inside a POSIX environment")


def make_wheel(folder, name, code="value = 1\n", version="1.0"):
    """Writes a wheel with one module."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(path, text)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """An empty virtual environment, to be copied where a test is not about making one."""
    folder = tmp_path_factory.mktemp("template") / "environment"
    subprocess.run([sys.executable, "-I", "-m", "venv", str(folder)], check=True)
    return folder


@pytest.fixture
def quick(monkeypatch, template):
    """Makes virtual environments by copying."""
    monkeypatch.setattr(
        installer.Installer,
        "create_environment",
        lambda self, base, folder: shutil.copytree(template, folder, symlinks=True, ignore_dangling_symlinks=True),
    )


@pytest.fixture
def wheels(tmp_path, monkeypatch, home):
    """A folder with two wheels, and requirements, proof and disk space to match them."""
    folder = tmp_path / "räder und mehr"
    folder.mkdir()
    make_wheel(folder, "tinyengine")
    make_wheel(folder, "tinytest")
    requirements = tmp_path / "requirements"
    requirements.mkdir()
    (requirements / "worker.txt").write_text("tinyengine==1.0  # the engine\n")
    (requirements / "test.txt").write_text("tinytest\n")
    monkeypatch.setattr(installer, "REQUIREMENTS", requirements)
    monkeypatch.setattr(installer, "PROOF", "import tinyengine; assert tinyengine.value == 1")
    monkeypatch.setattr(environment, "CPU_BYTES", 0)
    monkeypatch.setattr(environment, "CUDA_BYTES", 0)
    return folder


def has_module(name):
    code = f"import importlib.util; print(importlib.util.find_spec({name!r}) is not None)"
    done = subprocess.run([places.environment_python(), "-I", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip() == "True"


def test_an_environment_is_built_once_and_extras_are_added_to_it(wheels, home):
    lines = []
    assert read_state() is EnvironmentState.ABSENT
    python = build_environment(wheels=wheels, progress=lines.append)
    assert python == home / "environment" / "bin" / "python"
    assert (read_state(), has_module("tinyengine"), has_module("tinytest")) == (EnvironmentState.READY, True, False)
    assert [line.split()[0] for line in lines] == ["Making", "Installing", "Installing", "Testing"]
    log = (home / "logs" / "install.log").read_text(encoding="utf-8")
    assert "Successfully installed tinyengine-1.0" in log

    made = (python.parent.parent / "pyvenv.cfg").stat().st_mtime_ns
    started = time.monotonic()
    assert build_environment(wheels=wheels) == python
    assert time.monotonic() - started < 1
    build_environment(wheels=wheels, extras=["test"])
    assert has_module("tinytest")
    build_environment()  # an environment with more than is asked for is complete
    assert (python.parent.parent / "pyvenv.cfg").stat().st_mtime_ns == made
    assert (home / "logs" / "install.log").read_text(encoding="utf-8").count("-m venv") == 1

    # A comment does not outdate an environment; another requirement does.
    worker = installer.REQUIREMENTS / "worker.txt"
    worker.write_text("# changed\ntinyengine==1.0\n")
    assert read_state() is EnvironmentState.READY
    make_wheel(wheels, "tinyengine", version="2.0")
    worker.write_text("tinyengine==2.0\n")
    assert read_state() is EnvironmentState.OUTDATED
    build_environment(wheels=wheels)
    assert (read_state(), has_module("tinytest")) == (EnvironmentState.READY, False)
    environment.remove_environment()
    assert not (home / "environment").exists()


def test_a_failed_installation_leaves_nothing_and_tells_pips_reason(quick, wheels, home):
    (installer.REQUIREMENTS / "worker.txt").write_text("nosuchthing==1\n")
    with pytest.raises(ToolboxError, match=r"cannot be installed: .*nosuchthing==1.* Details: .*install\.log"):
        build_environment(wheels=wheels)
    assert not (home / "environment").exists()


def test_libraries_that_do_not_work_leave_nothing(quick, wheels, home, monkeypatch):
    monkeypatch.setattr(installer, "PROOF", "raise SystemExit('PyTorch computes wrong sums')")
    with pytest.raises(ToolboxError, match="installed libraries do not work: PyTorch computes wrong sums"):
        build_environment(wheels=wheels)
    assert not (home / "environment").exists()


def test_a_build_that_is_stopped_by_its_listener_leaves_nothing(quick, wheels, home):
    def stop(line):
        if line.startswith("Installing"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_environment(wheels=wheels, progress=stop)
    assert not (home / "environment").exists()


def test_a_failed_extra_leaves_the_environment_as_it_was(quick, wheels):
    build_environment(wheels=wheels)
    (wheels / "tinytest-1.0-py3-none-any.whl").unlink()
    with pytest.raises(ToolboxError, match=r"cannot be installed: .*tinytest"):
        build_environment(wheels=wheels, extras=["test"])
    assert read_state() is EnvironmentState.READY


def test_an_interrupted_build_counts_as_absent_and_is_replaced(quick, wheels, home):
    folder = home / "environment"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").write_text("half")
    (folder / "toolbox_environment.json").write_text('{"requirements": "12')
    assert read_state() is EnvironmentState.ABSENT
    build_environment(wheels=wheels)
    assert read_state() is EnvironmentState.READY


def test_a_second_builder_is_told_who_is_at_work(wheels, home):
    with (
        exclusive(home / "environment.lock", "testing"),
        pytest.raises(ToolboxError, match=rf"process \(id {os.getpid()}\) is installing"),
    ):
        build_environment(wheels=wheels)


def test_a_lock_dies_with_its_holder(home):
    code = f"""
import sys, time; sys.path.insert(0, {str(Path(launch.__file__).parents[3])!r})
from pathlib import Path
from deep_learning_toolbox.backend.runtime.lock import exclusive
with exclusive(Path({str(home / "lock")!r}), "testing"):
    print("held", flush=True)
    time.sleep(60)
"""
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(ToolboxError, match=f"id {holder.pid}"), exclusive(home / "lock", "testing"):
        pass
    holder.kill()
    holder.wait()
    with exclusive(home / "lock", "testing"):
        assert (home / "lock").read_text() == str(os.getpid())


def test_too_small_a_disk_is_refused_before_anything_is_written(wheels, home, monkeypatch):
    monkeypatch.setattr(environment, "CPU_BYTES", 10**18)
    monkeypatch.setattr(environment, "CUDA_BYTES", 10**18)
    with pytest.raises(ToolboxError, match="need 1000000000 GB of disk space"):
        build_environment(wheels=wheels)
    assert not (home / "environment").exists()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ([[3, 9, 18], []], r"is version 3\.9\.18: name a Python 3\.10 or later"),
        ([[3, 11, 2], ["ensurepip"]], "lacks its module ensurepip: .*apt install python3-venv"),
    ],
)
def test_an_unsuitable_base_is_refused(wheels, home, tmp_path, answer, told):
    base = tmp_path / "python3"
    base.write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\n")
    base.chmod(0o755)
    with pytest.raises(ToolboxError, match=told):
        build_environment(python=base, wheels=wheels)
    assert not (home / "environment").exists()


def test_wrong_arguments_are_refused(wheels, tmp_path):
    with pytest.raises(ToolboxError, match="no extra “docs”; there are: test, worker"):
        build_environment(extras=["docs"])
    with pytest.raises(ToolboxError, match="no folder of wheels"):
        build_environment(wheels=tmp_path / "none")
    with pytest.raises(ToolboxError, match="device “tpu” is unknown"):
        build_environment(device="tpu")


@pytest.fixture
def pip_calls(monkeypatch, wheels, home):
    """What would be run, instead of running it; PyTorch's index answers, no NVIDIA driver is there."""
    calls = []
    (installer.REQUIREMENTS / "worker.txt").write_text("torch==2\ntorchvision==1\ntimm==1\n")
    monkeypatch.setattr(installer.Installer, "_run", lambda self, command, failure, environment=None: calls.append(command[4:]))
    monkeypatch.setattr(installer.Installer, "_has_own_index", lambda self: False)
    monkeypatch.setattr(installer, "_is_reachable", lambda url: True)
    monkeypatch.setattr(installer, "has_nvidia_driver", lambda: False)
    monkeypatch.setattr(sys, "platform", "linux")
    return calls


def install(**options):
    installer.Installer(Path("python"), Path("log"), lambda line: None, **options).install_worker()


def test_only_pytorch_comes_from_its_cpu_index(pip_calls):
    install()
    assert pip_calls[0][:5] == ["install", "--index-url", installer.CPU_INDEX, "torch==2", "torchvision==1"]
    assert pip_calls[1][:2] == ["install", "-r"]
    assert installer.CPU_INDEX not in pip_calls[1]


@pytest.mark.parametrize(
    ("change", "options"),
    [
        ({"has_nvidia_driver": lambda: True}, {}),
        ({"_is_reachable": lambda url: False}, {}),
        ({}, {"device": "cuda"}),
        ({}, {"wheels": Path("wheels")}),
    ],
)
def test_the_usual_index_serves_otherwise(pip_calls, monkeypatch, change, options):
    for name, value in change.items():
        monkeypatch.setattr(installer, name, value)
    install(**options)
    assert [call[:2] for call in pip_calls] == [["install", "-r"]]
    assert ("--no-index" in pip_calls[0]) == ("wheels" in options)


def test_an_index_of_the_users_own_is_the_only_one_asked(monkeypatch):
    own = installer.Installer(Path(sys.executable), Path("log"), lambda line: None)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name in ("PIP_INDEX_URL", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "http://127.0.0.1:9/more")
    assert not own._has_own_index()
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    assert own._has_own_index()


def test_an_unreachable_index_is_found_out_quickly():
    started = time.monotonic()
    assert not installer._is_reachable("http://127.0.0.1:9/whl")
    assert time.monotonic() - started < 4


@pytest.mark.parametrize("by_path", [False, True])
def test_the_command_line_finds_and_reports(home, tmp_path, by_path):
    plugins = Path(launch.__file__).parents[3]
    shutil.copytree(plugins / "deep_learning_toolbox" / "backend" / "runtime", tmp_path / "clone ä" / "backend" / "runtime")
    for name in ("__init__.py", "metadata.txt", "backend/__init__.py", "backend/errors.py"):
        shutil.copy(plugins / "deep_learning_toolbox" / name, tmp_path / "clone ä" / name)
    script = tmp_path / "clone ä" / "backend" / "runtime" / "environment.py"
    how = [str(script)] if by_path else ["-m", "deep_learning_toolbox.backend.runtime.environment"]
    command = [sys.executable, *how, "find", "--home", str(home)]
    variables = {**os.environ, "PYTHONPATH": str(plugins)}
    done = subprocess.run(command, capture_output=True, text=True, env=variables)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.strip() == f"There is no environment in “{home / 'environment'}”: run this with “build”."
    (home / "environment" / "bin").mkdir(parents=True)
    (home / "environment" / "bin" / "python").touch()
    environment.Marker(installer.hash_requirements(installer.requirements_file("worker")), "3.11", "0").write()
    done = subprocess.run(command, capture_output=True, text=True, env=variables)
    assert (done.returncode, done.stdout.strip()) == (0, str(home / "environment" / "bin" / "python"))


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
    assert places.environment_python() == Path("/local/deep_learning_toolbox/environment/Scripts/python.exe")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEEP_LEARNING_TOOLBOX_HOME", "build/home")
    assert places.home_folder() == tmp_path / "build" / "home"
