# SPDX-License-Identifier: GPL-2.0-or-later
"""Where PyTorch comes from: decided before anything is installed, and never by giving up a graphics card in silence."""

from __future__ import annotations

import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.runtime.setup import builds, pip_settings, source
from deep_learning_toolbox.backend.runtime.setup.gpu import Gpu, Graphics
from deep_learning_toolbox.backend.runtime.setup.network import Network
from deep_learning_toolbox.backend.runtime.setup.requirements import torch_requirements
from deep_learning_toolbox.backend.runtime.setup.source import find_source

PASCAL = Graphics((Gpu("GeForce GTX 1080", (6, 1), 8192),), "580.1")
ADA = Graphics((Gpu("GeForce RTX 4070", (8, 9), 12288),), "580.1")
PYTHON = Path(sys.executable)


@pytest.fixture
def computer(monkeypatch):
    """A Linux or Windows PC whose pip has no settings and whose network ends at PyTorch's index."""

    def make(system="linux", machine="x86_64", fault="the index cannot be reached"):
        monkeypatch.setattr(builds.sys, "platform", system)
        monkeypatch.setattr(builds.platform, "machine", lambda: machine)
        monkeypatch.setattr(source, "has_own_index", lambda python, network: False)
        monkeypatch.setattr(source, "_find_fault", lambda index, network: fault)

    return make


def find(graphics, device="auto", wheels=None):
    return find_source(graphics, device, wheels, Network(), PYTHON)


def test_the_small_build_is_replaced_by_the_large_one_and_that_is_what_is_announced(computer):
    computer()
    found = find(Graphics())
    assert (found.build.name, found.index) == ("cu130", None)
    assert "the build for CUDA 13 comes, since the index cannot be reached" in found.note
    computer(fault="")
    found = find(Graphics())
    assert (found.build.name, found.index) == ("cpu", f"{builds.PYTORCH_INDEX}/cpu")


@pytest.mark.parametrize(("graphics", "system", "machine"), [(PASCAL, "linux", "x86_64"), (ADA, "win32", "AMD64")])
def test_a_card_is_not_given_up_when_its_build_cannot_be_had(computer, graphics, system, machine):
    computer(system, machine)
    with pytest.raises(ToolboxError, match=r"cannot be had: the index cannot be reached.* or choose the device CPU"):
        find(graphics)
    assert find(graphics, wheels=Path("wheels")).build.capabilities
    computer(system, machine, fault="")
    assert find(graphics).index.startswith(builds.PYTORCH_INDEX)


def test_a_card_that_the_default_index_serves_needs_no_other(computer):
    computer()
    assert find(ADA) == source.Source(builds.BUILDS[0])


def test_an_index_of_the_users_own_is_the_only_one_asked(computer, monkeypatch):
    computer()
    monkeypatch.setattr(source, "has_own_index", lambda python, network: True)
    monkeypatch.setattr(source, "_find_fault", lambda index, network: pytest.fail("PyTorch's index was asked"))
    found = find(PASCAL)
    assert (found.build.name, found.index) == ("cu126", None)
    assert "PyTorch comes from the index that pip is set to" in found.note


def test_what_cannot_be_served_is_refused(computer):
    computer("darwin", "x86_64")
    with pytest.raises(ToolboxError, match=r"cannot be installed: .*Intel Macs"):
        find(Graphics())


@pytest.fixture
def page():
    """An index on the loopback whose page about PyTorch has the given text."""
    content = [b""]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content[0])

        def log_message(self, format, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield lambda text: content.__setitem__(0, text.encode()) or f"http://127.0.0.1:{server.server_address[1]}/cu126"
    server.shutdown()
    server.server_close()


def test_the_index_is_asked_whether_it_has_the_pinned_version(page):
    version = torch_requirements()[0].partition("==")[2]
    assert source._find_fault(page(f"<a>torch-{version}%2Bcu126-cp311.whl</a>"), Network()) == ""
    assert f"does not have version {version}" in source._find_fault(page("<a>torch-1.0%2Bcu126-cp311.whl</a>"), Network())
    assert "cannot be reached (" in source._find_fault("http://127.0.0.1:9/cu126", Network())


def test_pips_settings_are_read(monkeypatch):
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name in ("PIP_INDEX_URL", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "http://127.0.0.1:9/more")
    assert not pip_settings.has_own_index(PYTHON, Network())
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    assert pip_settings.has_own_index(PYTHON, Network())
