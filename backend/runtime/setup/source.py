# SPDX-License-Identifier: GPL-2.0-or-later
"""Where PyTorch comes from: its build, its index, and what is to be said about it; found before anything is installed.

So the sizes that are announced, and the free disk that is asked for, are those of the build that will really come. Standard library.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from ...errors import ToolboxError
from .builds import Build, choose_build, default_build
from .gpu import Graphics
from .network import Network
from .pip_settings import has_own_index
from .requirements import torch_requirements

_REACH_SECONDS = 5
_TRIES = 2
_MOST_PAGE_BYTES = 8 * 2**20


@dataclass(frozen=True)
class Source:
    """What will be installed.

    Attributes:
        build: The build of PyTorch; with wheels or an index of the user's own, the one that fits best, which they may or may not have.
        index: Address of PyTorch's own index, if it is taken from there; None = pip's default, the user's own, or a folder.
        note: Why it is not a better build, or where it comes from; empty when nothing is to be said.
    """

    build: Build
    index: str | None = None
    note: str = ""


def find_source(graphics: Graphics, device: str, wheels: Path | None, network: Network, python: Path) -> Source:
    """The build for a computer and its source.

    Args:
        graphics: The cards and the driver.
        device: auto, cpu or cuda.
        wheels: Folder to install from, or None.
        network: Proxy and certificates.
        python: An interpreter whose pip has the user's settings.

    Raises:
        ToolboxError: No build serves, or the one with CUDA is only to be had from an index that cannot be reached: a graphics card is
            not given up in silence.
    """
    choice = choose_build(graphics, device)
    if choice.blocked:
        raise ToolboxError(f"The deep learning libraries cannot be installed: {choice.reason}.")
    index = choice.build.index()
    if wheels is not None or index is None:
        return Source(choice.build, None, choice.reason)
    if has_own_index(python, network):
        return Source(choice.build, None, _join(choice.reason, "PyTorch comes from the index that pip is set to"))
    fault = _find_fault(index, network)
    if not fault:
        return Source(choice.build, index, choice.reason)
    substitute = default_build()
    if substitute is None or (choice.build.capabilities and not substitute.capabilities):
        raise ToolboxError(
            f"PyTorch's build for {choice.build.title} cannot be had: {fault}. Check the network and QGIS's proxy (Settings → Options "
            "→ Network) and try again, install from a folder of wheels, or choose the device CPU."
        )
    if choice.build.capabilities and not substitute.serves(max(graphics.gpus, key=lambda gpu: gpu.capability)):
        raise ToolboxError(
            f"PyTorch's build for {choice.build.title}, which the graphics card needs, cannot be had: {fault}. Try again, install "
            "from a folder of wheels, or choose the device CPU."
        )
    return Source(substitute, None, _join(choice.reason, f"the build for {substitute.title} comes, since {fault}"))


def _find_fault(index: str, network: Network) -> str:
    """What keeps an index of PyTorch from serving the pinned version, found by reading its page; empty when nothing does."""
    import urllib.error  # nearly half of the plugin's import time, and needed only here

    version = torch_requirements()[0].partition("==")[2]
    reason: object = ""
    for number in range(_TRIES):
        try:
            with network.opener().open(f"{index}/torch/", timeout=_REACH_SECONDS) as answer:
                page = answer.read(_MOST_PAGE_BYTES).decode("utf-8", "replace")
        except (urllib.error.URLError, OSError) as fault:
            reason = getattr(fault, "reason", fault)
            time.sleep(number)
        else:
            has_version = f"torch-{version}%2B" in page or f"torch-{version}+" in page
            return "" if has_version else f"{index} does not have version {version}"
    return f"{index} cannot be reached ({reason})"


def _join(*texts: str) -> str:
    return "; ".join(text for text in texts if text)
