# SPDX-License-Identifier: GPL-2.0-or-later
"""Fetches the weights of encoders into the toolbox's home, from fixed addresses, checked by their hash.

Runs in QGIS or a shell, never inside a training, which works without any network. The ImageNet files are those that timm names for
these networks (its release files, Apache-2.0); each carries the first eight digits of its SHA-256 in its name, which is what is
compared. Those for satellite imagery, with the whole SHA-256, stand in `satellite_files`. What is in a file is read later, by
`models.weights`, as tensors only. Standard library only.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

from ...errors import ToolboxError
from .network import Network
from .satellite_files import GROUP, SATELLITE_FILES

_RELEASES = "https://github.com/huggingface/pytorch-image-models/releases/download"
IMAGENET_FILES = {
    "resnet18": f"{_RELEASES}/v0.1-rsb-weights/resnet18_a1_0-d63eafa0.pth",
    "resnet34": f"{_RELEASES}/v0.1-rsb-weights/resnet34_a1_0-46f8f793.pth",
    "resnet50": f"{_RELEASES}/v0.1-rsb-weights/resnet50_a1_0-14fe96d1.pth",
    "resnet101": f"{_RELEASES}/v0.1-rsb-weights/resnet101_a1h-36d3f2aa.pth",
    "tf_efficientnet_lite0": f"{_RELEASES}/v0.1-weights/tf_efficientnet_lite0-0aa007d2.pth",
    "efficientnet_b0": f"{_RELEASES}/v0.1-weights/efficientnet_b0_ra-3dd342df.pth",
    "efficientnet_b2": f"{_RELEASES}/v0.1-weights/efficientnet_b2_ra-bcdf34b7.pth",
    "efficientnet_b4": f"{_RELEASES}/v0.1-weights/efficientnet_b4_ra2_320-7eb33cd5.pth",
    "mobilenetv2_100": f"{_RELEASES}/v0.1-weights/mobilenetv2_100_ra-b33bc2c4.pth",
    "mobilenetv3_small_100": f"{_RELEASES}/v0.1-weights/mobilenetv3_small_100_lamb-266a294c.pth",
    "mobilenetv3_large_100": f"{_RELEASES}/v0.1-weights/mobilenetv3_large_100_ra-f55367f5.pth",
}
_HASH = re.compile(r"-([0-9a-f]{8})\.pth$")
_TIMEOUT_SECONDS = 20
_PIECE_BYTES = 2**18
MOST_BYTES = 10**9


def parse_encoders(text: str) -> list[str]:
    """The encoders in a list such as ``resnet34;satellite``, where ``satellite`` stands for all that know satellite imagery.

    Raises:
        ToolboxError: No address is known for a name.
    """
    names = [name.strip() for name in re.split(r"[;,\s]+", text) if name.strip()]
    unknown = [name for name in names if name not in (*IMAGENET_FILES, *SATELLITE_FILES, GROUP)]
    if unknown:
        raise ToolboxError(
            f"ENCODERS: {', '.join(unknown)} cannot be fetched; choose among {', '.join(list_encoders())}, or give the weights of "
            "other backbones to the training as WEIGHTS_FILE."
        )
    return list(dict.fromkeys(each for name in names for each in (SATELLITE_FILES if name == GROUP else (name,))))


def list_encoders() -> list[str]:
    """Every name that ENCODERS takes."""
    return [*IMAGENET_FILES, GROUP, *SATELLITE_FILES]


def fetch_encoder(name: str, folder: Path, network: Network, progress: Callable[[float], None] = lambda share: None) -> Path:
    """The file with an encoder's weights, fetched unless it is there.

    Args:
        name: Key of `IMAGENET_FILES` or `SATELLITE_FILES`.
        folder: Where encoders are kept.
        network: Proxy and certificates.
        progress: Called with the share that is there, 0 to 1; an exception from it stops, leaving nothing.

    Raises:
        ToolboxError: The address cannot be reached, the file is not the expected one, or the folder cannot be written.
    """
    target = folder / f"{name}.pth"
    if target.exists() or target.with_suffix(".safetensors").exists():
        return target if target.exists() else target.with_suffix(".safetensors")
    address, expected = _find_source(name)
    part = folder / f"{name}.{os.getpid()}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with part.open("wb") as file:
            for piece in _download(address, network, progress):
                file.write(piece)
                digest.update(piece)
        if not digest.hexdigest().startswith(expected):
            raise ToolboxError(f"The file {address} is not the expected one (its hash differs); try again later.")
        part.replace(target)
    except (OSError, http.client.HTTPException) as fault:
        reason = getattr(fault, "reason", None) or fault
        raise ToolboxError(
            f"The weights of {name} cannot be fetched from {address} ({reason}); check the network, or put the file there as {target}."
        ) from fault
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return target


def _find_source(name: str) -> tuple[str, str]:
    """Address of an encoder's file and its SHA-256, or the first digits of it, which the ImageNet files carry in their names."""
    if name in SATELLITE_FILES:
        return SATELLITE_FILES[name]
    address = IMAGENET_FILES[name]
    match = _HASH.search(address)
    if match is None:
        raise ValueError(f"{address} carries no hash")
    return address, match[1]


def _download(address: str, network: Network, progress: Callable[[float], None]) -> Iterator[bytes]:
    """The pieces of a file; raises OSError when they are fewer or more than announced."""
    with network.opener().open(address, timeout=_TIMEOUT_SECONDS) as answer:
        size = int(answer.headers.get("Content-Length") or 0)
        done = 0
        while piece := answer.read(_PIECE_BYTES):
            done += len(piece)
            if done > MOST_BYTES:
                raise OSError(f"larger than {MOST_BYTES >> 20} MB")
            progress(done / size if size else 0.0)
            yield piece
        if size and done != size:
            raise OSError(f"the connection broke off after {done} of {size} bytes")
