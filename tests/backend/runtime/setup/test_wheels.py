# SPDX-License-Identifier: GPL-2.0-or-later
"""A folder of wheels: made on a computer with a network, enough for one without."""

from __future__ import annotations

import os

import pytest
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.runtime.setup import wheels as wheels_module
from deep_learning_toolbox.backend.runtime.setup.environment import BuildRequest, build_environment
from deep_learning_toolbox.backend.runtime.setup.gpu import Graphics
from deep_learning_toolbox.backend.runtime.setup.marker import EnvironmentState, read_state
from deep_learning_toolbox.backend.runtime.setup.wheels import WheelsRequest, fetch_wheels

pytestmark = pytest.mark.skipif(os.name != "posix", reason="paths inside a POSIX environment")


@pytest.fixture(autouse=True)
def no_graphics(monkeypatch):
    monkeypatch.setattr(wheels_module, "find_graphics", Graphics)


def test_a_folder_is_filled_once_and_serves_without_a_network(quick, index, small_requirements, tmp_path, monkeypatch):
    (small_requirements / "installer.txt").write_text("tinytest\n")  # in the place of a pip, which this index does not have
    steps = []
    folder = fetch_wheels(WheelsRequest(tmp_path / "für unterwegs", extras=["test"]), steps.append)
    names = ["tinyengine-1.0-py3-none-any.whl", "tinytest-1.0-py3-none-any.whl"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert steps[-1].text.startswith("The wheels are there")
    assert sorted(index.asked) == names
    fetch_wheels(WheelsRequest(folder, extras=["test"]))
    assert sorted(index.asked) == names
    index.shutdown()
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    build_environment(BuildRequest(wheels=folder, extras=["test"]))
    assert read_state() is EnvironmentState.READY


def test_an_unknown_build_and_a_place_that_cannot_be_written_are_refused(quick, index, tmp_path):
    with pytest.raises(ToolboxError, match="no build “cu1”"):
        fetch_wheels(WheelsRequest(tmp_path / "wheels", build="cu1"))
    (tmp_path / "file").touch()
    with pytest.raises(ToolboxError, match=r"cannot be made .* choose another place"):
        fetch_wheels(WheelsRequest(tmp_path / "file" / "wheels"))
