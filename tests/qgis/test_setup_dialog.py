# SPDX-License-Identifier: GPL-2.0-or-later
"""The set-up dialog: what it shows, that it runs the tools in the background, and that a failure leaves it usable."""

import gc

import pytest
from deep_learning_toolbox.backend.runtime.interpreter import SETTING
from deep_learning_toolbox.backend.runtime.setup.environment_folders import make_environment_folder
from deep_learning_toolbox.backend.runtime.setup.marker import Marker
from deep_learning_toolbox.ui import tool_task
from deep_learning_toolbox.ui.setup_dialog import SetupDialog
from qgis.core import QgsSettings
from qgis.PyQt.QtGui import QGuiApplication
from qgis.PyQt.QtWidgets import QDialog, QMessageBox
from qgis_helpers import wait_until


@pytest.fixture
def home(folder, monkeypatch):
    """An empty home folder of the toolbox."""
    monkeypatch.setenv("DEEP_LEARNING_TOOLBOX_HOME", str(folder / "home"))
    monkeypatch.delenv("DEEP_LEARNING_TOOLBOX_PYTHON")
    yield folder / "home"
    QgsSettings().remove(SETTING)


@pytest.fixture
def dialog(plugin, home):
    """The dialog, opened, after it has looked around."""
    dialog = SetupDialog(None)
    dialog.open_fresh()
    wait_until(lambda: "not installed" in headline(dialog))
    yield dialog
    dialog.stop()
    wait_until(lambda: dialog.run is None)
    dialog.close()


def headline(dialog):
    return dialog.form._headline.text()


def choose_wheels(dialog, folder):
    (folder / "wheels").mkdir()
    dialog.form._source.setCurrentIndex(1)
    dialog.form._place.setFilePath(str(folder / "wheels"))


def test_it_shows_what_was_found_and_what_would_be_installed(dialog, home):
    assert dialog.form._rows["Environment"].text() == "not installed"
    assert dialog.form._rows["Free disk space"].text().endswith(" GB")
    assert "download of about" in dialog.form._plan.text()
    assert str(home) in dialog.form._plan.text()
    assert dialog.form._rows["QGIS"].text().startswith("3.")
    assert (dialog.form.install.isEnabled(), dialog.form.repair.isEnabled(), dialog.form.remove.isEnabled()) == (True, False, False)


def test_choices_change_the_plan_and_the_parameters(dialog, folder):
    form = dialog.form
    chosen = {"ACTION": "install", "DEVICE": "auto", "FOLDER": "", "PYTHON": ""}
    assert form.parameters("install") == {**chosen, "ENCODERS": "resnet34"}
    form._device.setCurrentIndex(2)
    wait_until(lambda: "the device CPU was asked for" in form._plan.text())
    form._folder.setFilePath(str(folder))
    wait_until(lambda: str(folder) in form._plan.text())
    form._python.setFilePath("/nowhere/python3")
    wait_until(lambda: "there is no Python interpreter “/nowhere/python3”" in form._plan.text())
    choose_wheels(dialog, folder)
    assert form.parameters("repair")["WHEELS"] == str(folder / "wheels")
    assert "ENCODERS" not in form.parameters("repair")  # the network is not used at all
    assert "command.py" in form._hint.text()
    form._source.setCurrentIndex(2)
    form._place.setFilePath("/usr/bin/python3")
    assert form.parameters("install") == {"ACTION": "use", "PYTHON": "/usr/bin/python3"}


def test_a_failure_tells_the_reason_opens_the_log_and_frees_the_buttons(dialog, folder):
    choose_wheels(dialog, folder)
    dialog.form.install.click()
    assert (dialog.run is not None, dialog.form.install.isEnabled(), dialog.form.cancel.isHidden()) == (True, False, False)
    wait_until(lambda: dialog.run is None)
    assert headline(dialog) == "That did not succeed"
    assert "the folder of wheels has no torch" in dialog.form._subline.text()
    assert not dialog.form.log_group.isCollapsed()
    assert "Making a Python environment" in dialog.form.log.toPlainText()
    assert dialog.form._rows["QGIS"].text().startswith("3.")
    assert (dialog.form.install.isEnabled(), dialog.form.cancel.isHidden()) == (True, True)


def test_cancelling_says_that_nothing_has_changed(dialog, folder):
    choose_wheels(dialog, folder)
    dialog.form.install.click()
    dialog.form.cancel.click()
    wait_until(lambda: dialog.run is None)
    assert "cancelled; what was there before is unchanged" in dialog.form._subline.text()


def test_wrong_choices_are_refused_at_once(dialog):
    dialog.form._source.setCurrentIndex(2)
    dialog.form.install.click()
    assert (dialog.run, dialog.form._subline.text()) == (None, "Choose the Python to use.")
    dialog.form._source.setCurrentIndex(1)
    dialog.form.install.click()
    assert (dialog.run, dialog.form._subline.text()) == (None, "Choose the folder of wheels.")


def test_a_python_that_has_everything_is_ready_after_its_proof_while_qgis_goes_on(dialog, worker_python):
    dialog.form._source.setCurrentIndex(2)
    dialog.form._place.setFilePath(str(worker_python))
    dialog.form.install.click()
    dialog.close()  # does not stop it
    blocked = wait_until(lambda: dialog.run is None)
    assert headline(dialog).startswith("Ready")
    assert QgsSettings().value(SETTING) == str(worker_python)
    assert blocked < 2


def test_diagnostics_are_copied_with_the_log(dialog, home):
    dialog.form.log.appendPlainText("what happened")
    dialog.form.copy.click()
    text = QGuiApplication.clipboard().text()
    assert text.startswith("QGIS: 3.")
    assert f"Home folder: {home}" in text
    assert "what happened\n" in text


def test_removing_asks_first(dialog, home, monkeypatch):
    make_environment_folder(home / "environments")
    answers = [QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes]
    monkeypatch.setattr(QMessageBox, "question", lambda *arguments: answers.pop(0))
    dialog._remove()
    assert dialog.run is None
    dialog._remove()
    wait_until(lambda: dialog.run is None)
    assert headline(dialog) == "The environment was removed."
    assert list((home / "environments").iterdir()) == []


def test_choices_of_the_environment_there_is_are_kept_for_its_update(dialog, home, folder):
    place = folder / "groß" / "deep_learning_toolbox" / "environment-12345678"
    (place / "bin").mkdir(parents=True)
    (place / "bin" / "python").touch()
    Marker(str(place), "older requirements", "3.11", "0.0.1", "cpu", "cpu").write()
    dialog.open_fresh()
    wait_until(lambda: "have to be updated" in headline(dialog))
    chosen = dialog.form.parameters("install")
    assert (chosen["DEVICE"], chosen["FOLDER"], dialog.form.install.text()) == ("cpu", str(folder / "groß"), "Update")


def test_unloading_in_the_middle_of_a_run_does_no_harm(plugin, home, folder):
    dialog = SetupDialog(None)
    dialog.open_fresh()
    wait_until(lambda: "not installed" in headline(dialog))
    choose_wheels(dialog, folder)
    dialog.form.install.click()
    wait_until(lambda: "Making a Python" in dialog.form.log.toPlainText())
    dialog.stop()
    dialog.close()
    dialog.deleteLater()
    dialog = None
    gc.collect()
    wait_until(lambda: not tool_task._RUNNING)
    assert list((home / "environments").glob("environment-*")) == []


def test_it_is_a_dialog_that_does_not_block_qgis(dialog):
    assert isinstance(dialog, QDialog)
    assert not dialog.isModal()
