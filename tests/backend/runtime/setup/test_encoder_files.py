# SPDX-License-Identifier: GPL-2.0-or-later
"""Fetching the weights of encoders from a server on the loopback: whole and as expected, or not at all."""

from __future__ import annotations

import hashlib
import http.server
import re
import threading

import pytest
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.models.catalogue import ENCODERS
from deep_learning_toolbox.backend.runtime.setup import encoder_files
from deep_learning_toolbox.backend.runtime.setup.encoder_files import IMAGENET_FILES, fetch_encoder, parse_encoders
from deep_learning_toolbox.backend.runtime.setup.network import Network
from deep_learning_toolbox.backend.runtime.setup.satellite_files import SATELLITE_FILES

CONTENT = bytes(range(256)) * 4000
DIGEST = hashlib.sha256(CONTENT).hexdigest()[:8]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if DIGEST in self.path or "-00000000" in self.path else 404)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:1000] if "short" in self.path else CONTENT)

    def log_message(self, format, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    """Addresses on the loopback for the encoders: right, wrong content, broken off, missing."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    root = f"http://127.0.0.1:{server.server_address[1]}"
    files = {
        "resnet18": f"{root}/net-{DIGEST}.pth",
        "resnet34": f"{root}/net-00000000.pth",
        "resnet50": f"{root}/short-{DIGEST}.pth",
        "efficientnet_b0": f"{root}/absent-00000001.pth",
        "efficientnet_b2": f"http://127.0.0.1:9/net-{DIGEST}.pth",
    }
    monkeypatch.setattr(encoder_files, "IMAGENET_FILES", files)
    whole = hashlib.sha256(CONTENT).hexdigest()
    satellite = {
        "resnet18_landsat8": (f"{root}/net-{DIGEST}.pth", whole),
        "resnet50_landsat8": (f"{root}/net-{DIGEST}.pth", whole[:-1] + ("0" if whole[-1] != "0" else "1")),
    }
    monkeypatch.setattr(encoder_files, "SATELLITE_FILES", satellite)
    yield server
    server.shutdown()
    server.server_close()


def test_a_file_is_fetched_once_with_its_progress(server, tmp_path):
    shares = []
    path = fetch_encoder("resnet18", tmp_path / "encoders", Network(), shares.append)
    assert (path, path.read_bytes()) == (tmp_path / "encoders" / "resnet18.pth", CONTENT)
    assert (shares, shares[-1]) == (sorted(shares), 1)
    server.shutdown()
    assert fetch_encoder("resnet18", tmp_path / "encoders", Network()) == path


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("resnet34", "is not the expected one"),
        ("resnet50_landsat8", "is not the expected one"),
        ("resnet50", r"broke off|IncompleteRead|more expected"),
        ("efficientnet_b0", "Not Found"),
        ("efficientnet_b2", "refused.*; check the network, or put the file there as"),
    ],
)
def test_what_is_not_the_expected_file_leaves_nothing(server, tmp_path, name, told):
    with pytest.raises(ToolboxError, match=told):
        fetch_encoder(name, tmp_path, Network())
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_is_stopped_leaves_nothing(server, tmp_path):
    def stop(share):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_encoder("resnet18", tmp_path, Network(), stop)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_the_user_is_kept(server, tmp_path):
    (tmp_path / "resnet34.safetensors").write_bytes(b"mine")
    assert fetch_encoder("resnet34", tmp_path, Network()).read_bytes() == b"mine"


def test_names_are_checked_before_anything_is_fetched():
    assert parse_encoders(" resnet34; resnet50 ,") == ["resnet34", "resnet50"]
    assert parse_encoders("") == []
    with pytest.raises(ToolboxError, match=r"resnet99, pvt_v2_b0 cannot be fetched; choose among resnet18, .* as WEIGHTS_FILE"):
        parse_encoders("resnet34;resnet99;pvt_v2_b0")


def test_satellite_encoders_are_fetched_by_their_whole_hash_and_named_as_a_group(server, tmp_path):
    assert fetch_encoder("resnet18_landsat8", tmp_path, Network()).read_bytes() == CONTENT
    assert parse_encoders("resnet34;satellite;resnet18_landsat8") == ["resnet34", "resnet18_landsat8", "resnet50_landsat8"]


def test_satellite_addresses_name_a_commit_and_carry_their_hash():
    for address, digest in SATELLITE_FILES.values():
        assert re.fullmatch(r"https://[^ ]+/resolve/[0-9a-f]{40}/[^/ ]+\.pth", address)
        assert re.fullmatch(r"[0-9a-f]{64}", digest)
        assert encoder_files._HASH.search(address)[1] == digest[:8]


def test_addresses_are_fixed_and_carry_their_hash():
    assert set(IMAGENET_FILES) <= set(ENCODERS)
    for address in IMAGENET_FILES.values():
        assert address.startswith("https://")
        assert encoder_files._HASH.search(address)


def test_addresses_are_those_that_timm_names():
    timm = pytest.importorskip("timm")
    for name, address in IMAGENET_FILES.items():
        known = timm.get_pretrained_cfg(ENCODERS[name].smp_name.removeprefix("tu-")).url
        assert known.rpartition("/releases/")[2] == address.rpartition("/releases/")[2], name
