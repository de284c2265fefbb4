# SPDX-License-Identifier: GPL-2.0-or-later
"""checksetup: says which Python works, why, and on what device a computation ran; what is missing is its result, no failure."""

import subprocess

import pytest
from qgis.core import QgsProcessingException
from qgis_helpers import Log, refusal, run


@pytest.fixture(scope="module")
def checked(plugin, tmp_path_factory):
    """Outputs, log and report of one check with everything in place."""
    log = Log()
    report = tmp_path_factory.mktemp("Prüfung 1") / "report.html"
    return run("checksetup", log, OUTPUT_HTML=report), log, report.read_text(encoding="utf-8")


def test_versions_are_those_of_the_worker(checked, worker_python):
    outputs, _, _ = checked
    command = [str(worker_python), "-c", "import torch; print(torch.__version__)"]
    assert outputs["TORCH_VERSION"] == subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert outputs["READY"] is True


def test_device_is_named(checked):
    outputs, log, _ = checked
    assert outputs["DEVICE"]
    assert any(line.startswith("Device: ") and outputs["DEVICE"] in line for line in log.infos)


def test_log_and_report_name_the_interpreter_and_why_it_is_used(checked, worker_python):
    _, log, report = checked
    assert f"Python: {worker_python} (the environment variable DEEP_LEARNING_TOOLBOX_PYTHON)" in log.infos
    assert str(worker_python) in report
    assert "DEEP_LEARNING_TOOLBOX_PYTHON" in report
    assert checked[0]["TORCH_VERSION"].partition("+")[0] in report  # the package's version goes without the build


def test_missing_libraries_are_the_result_of_the_check(plugin, folder, monkeypatch):
    monkeypatch.delenv("DEEP_LEARNING_TOOLBOX_PYTHON")
    monkeypatch.setenv("DEEP_LEARNING_TOOLBOX_HOME", str(folder / "home"))
    log = Log()
    outputs = run("checksetup", log, OUTPUT_HTML=folder / "report.html")
    assert (outputs["READY"], outputs["DEVICE"], outputs["TORCH_VERSION"]) == (False, "", "")
    assert any("Result: Not ready" in line and "Install deep learning libraries" in line for line in log.infos)
    assert "Install deep learning libraries" in (folder / "report.html").read_text(encoding="utf-8")


def test_python_without_pytorch_is_the_result_of_the_check_with_its_name(plugin, monkeypatch):
    monkeypatch.setenv("DEEP_LEARNING_TOOLBOX_PYTHON", "/nowhere/python3")
    log = Log()
    assert run("checksetup", log)["READY"] is False
    assert any("/nowhere/python3" in line for line in log.infos)


def test_report_that_cannot_be_written_is_refused(plugin, folder):
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    assert "cannot be written" in refusal("checksetup", OUTPUT_HTML=folder / "notes.txt" / "report.html")
    assert (folder / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_cancelled_check_is_no_result(plugin):
    log = Log()
    log.cancel()
    with pytest.raises(QgsProcessingException, match="cancelled"):
        run("checksetup", log)
