# SPDX-License-Identifier: GPL-2.0-or-later
"""Which Python is chosen, and what is said about one that will not do."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.runtime import interpreter, pythons
from deep_learning_toolbox.backend.runtime.interpreter import find_interpreter, missing_packages, python_beside
from deep_learning_toolbox.backend.runtime.setup.marker import Marker
from deep_learning_toolbox.backend.runtime.setup.requirements import hash_requirements, requirements_file

pytestmark = pytest.mark.skipif(os.name != "posix", reason="interpreters made of shell scripts")

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch, home):
    monkeypatch.delenv("DEEP_LEARNING_TOOLBOX_PYTHON", raising=False)


@pytest.fixture
def make_python(tmp_path):
    """Makes a program that answers like a Python of the given version that lacks the given packages."""

    def make(name="python3", version=(3, 11, 2), missing=(), folder=tmp_path):
        folder.mkdir(parents=True, exist_ok=True)
        program = folder / name
        program.write_text(f"#!/bin/sh\necho run >> '{folder}/{name}.runs'\necho '{json.dumps([version, missing])}'\n")
        program.chmod(0o755)
        return program

    return make


@pytest.fixture
def managed(home, make_python):
    """Makes a whole managed environment as far as finding it goes."""

    def make(requirements=None, python="3.11"):
        program = make_python("python", folder=home / "environments" / "mine" / "bin")
        Marker("environments/mine", requirements or hash_requirements(requirements_file("worker")), python, "0.1.0", "cpu").write()
        return program

    return make


def test_the_order_is_variable_setting_environment_qgis(monkeypatch, make_python, managed):
    qgis = make_python("python-of-qgis")
    assert find_interpreter(None, str(qgis)) == interpreter.Interpreter(qgis, "QGIS's own Python")
    program = managed()
    assert find_interpreter("", str(qgis)).path == program
    setting = make_python("python-of-setting")
    found = find_interpreter(str(setting), str(qgis))
    assert (found.path, found.source) == (setting, "the setting deep_learning_toolbox/python")
    named = make_python("python-of-variable")
    monkeypatch.setenv("DEEP_LEARNING_TOOLBOX_PYTHON", str(named))
    found = find_interpreter(str(setting), str(qgis))
    assert (found.path, found.source) == (named, "the environment variable DEEP_LEARNING_TOOLBOX_PYTHON")


def test_a_named_interpreter_that_will_not_do_is_refused_not_passed_over(monkeypatch, make_python, managed, tmp_path):
    managed()
    monkeypatch.setenv("DEEP_LEARNING_TOOLBOX_PYTHON", str(make_python("python1", missing=["torch", "timm"])))
    with pytest.raises(
        ToolboxError, match=r"variable DEEP_LEARNING_TOOLBOX_PYTHON cannot be used: .*python1” lacks torch, timm\."
    ):
        find_interpreter(None)
    monkeypatch.delenv("DEEP_LEARNING_TOOLBOX_PYTHON")
    with pytest.raises(ToolboxError, match=r"setting deep_learning_toolbox/python .* there is no Python interpreter .*python9"):
        find_interpreter(str(tmp_path / "python9"))
    with pytest.raises(ToolboxError, match=r"is Python 3\.9\.18, and 3\.10 or later is needed"):
        find_interpreter(str(make_python("python2", version=(3, 9, 18))))


def test_a_program_that_is_no_python_is_never_started(make_python):
    qgis = make_python("qgis-bin.exe")
    with pytest.raises(ToolboxError, match="the name of its file should begin with “python”"):
        find_interpreter(str(qgis))
    assert not Path(f"{qgis}.runs").exists()


def test_an_interpreter_that_fails_is_reported_with_its_last_words(tmp_path):
    program = tmp_path / "python3"
    program.write_text("#!/bin/sh\necho 'libpython is missing' >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(ToolboxError, match=r"does not run \(libpython is missing\)"):
        missing_packages(program)


def test_an_environment_of_an_older_version_asks_for_the_install_tool(managed, make_python):
    managed(requirements="another")
    with pytest.raises(ToolboxError, match=r"is that of another version: run the tool .*deeplearning:installbackend"):
        find_interpreter(None, str(make_python()))


def test_an_environment_whose_base_was_replaced_is_reported(managed):
    managed(python="3.10")
    with pytest.raises(ToolboxError, match=r"built for Python 3\.10, and its base has become Python 3\.11: run the tool"):
        find_interpreter(None)


def test_without_any_python_the_message_names_the_install_tool(make_python):
    with pytest.raises(
        ToolboxError, match=r"libraries are not installed: run the tool .*deeplearning:installbackend.* lacks torch"
    ):
        find_interpreter(None, str(make_python(missing=["torch"])))


def test_an_interpreter_is_asked_once_until_its_file_changes(make_python):
    program = make_python(missing=["timm"])
    assert [missing_packages(program) for _ in range(3)] == [["timm"]] * 3
    assert Path(f"{program}.runs").read_text() == "run\n"
    make_python()
    os.utime(program, (time.time() + 10, time.time() + 10))
    assert missing_packages(program) == []


def test_missing_packages_of_a_real_python_are_found_isolated():
    report = pythons.inspect_python(Path(sys.executable), ("json", "no_such_package_anywhere"))
    assert report == (tuple(sys.version_info[:3]), ("no_such_package_anywhere",))


@pytest.mark.parametrize(
    ("platform", "executable", "place"),
    [
        ("linux", "usr/bin/python3", "usr/bin/python3"),
        ("linux", "usr/bin/qgis", f"prefix/bin/python{HERE}"),
        ("win32", "bin/qgis-bin.exe", "prefix/python.exe"),
        ("win32", "bin/qgis-bin.exe", "prefix/python3.exe"),
        ("darwin", "QGIS.app/Contents/MacOS/QGIS", "QGIS.app/Contents/MacOS/bin/python3"),
        ("darwin", "QGIS.app/Contents/MacOS/QGIS", "prefix/bin/python3"),
    ],
)
def test_the_python_inside_qgis_is_found_beside_it(tmp_path, make_python, platform, executable, place):
    program = tmp_path / executable
    qgis = make_python(program.name, folder=program.parent)
    expected = tmp_path / place
    make_python(expected.name, version=sys.version_info[:3], folder=expected.parent)
    assert python_beside(str(qgis), str(tmp_path / "prefix"), platform) == expected
    if not program.name.startswith("python"):
        assert not Path(f"{qgis}.runs").exists()


def test_a_stand_in_that_a_version_manager_put_on_the_path_is_not_taken_for_qgis_s(tmp_path, make_python):
    shim = make_python("python3", version=sys.version_info[:3], folder=tmp_path / "shims")
    own = make_python("python3", version=sys.version_info[:3], folder=tmp_path / "usr" / "bin")
    assert python_beside(str(shim), str(tmp_path / "usr"), "linux") == own


def test_a_python_of_another_version_beside_qgis_is_not_qgis_s(tmp_path, make_python):
    make_python("python3", version=(2, 7, 18), folder=tmp_path / "bin")
    assert python_beside(str(tmp_path / "qgis"), str(tmp_path), "linux") is None
