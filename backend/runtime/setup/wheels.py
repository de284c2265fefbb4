# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes a folder of wheels from which the libraries are installed on a computer without network. Standard library only.

It has to run on the same kind of system and with the same Python version as that computer has, because what a library needs
depends on both; pip decides by the Python that runs it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import ToolboxError
from ..places import install_log
from ..pythons import check_base
from .builds import find_build
from .gpu import find_graphics
from .installer import Installer, Listener, Step
from .network import Network
from .pip_settings import has_own_index
from .source import Source, find_source


@dataclass(frozen=True)
class WheelsRequest:
    """What a folder of wheels is to hold.

    Attributes:
        folder: The folder; created, and filled up if it has some of the files.
        python: A Python of the version that the other computer's QGIS has; None = the one that runs this.
        build: Name of the build of PyTorch for the other computer; None = this computer's.
        extras: Names of further requirement files.
        network: Proxy and certificates.
    """

    folder: Path
    python: Path | None = None
    build: str | None = None
    extras: Sequence[str] = ()
    network: Network = field(default_factory=Network)


def fetch_wheels(request: WheelsRequest, progress: Listener = lambda step: None) -> Path:
    """Fills the folder and returns it; what is there already is not fetched again.

    Raises:
        ToolboxError: An unsuitable Python, an unknown build, a folder that cannot be written, or a failed download.
    """
    base, has_ensurepip = check_base(request.python)
    source = _find_source(request, base)
    folder = request.folder.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        install_log().parent.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise ToolboxError(f"The folder of wheels cannot be made ({fault}); choose another place.") from fault
    with tempfile.TemporaryDirectory(prefix="deep_learning_toolbox_") as scratch:
        place = Path(scratch)
        installer = Installer(place / "environment", install_log(), progress, place / "downloads", network=request.network)
        installer.create_environment(base, has_ensurepip)
        installer.download(folder, source, request.extras)
    progress(Step(1.0, f"The wheels are there ({source.note})" if source.note else "The wheels are there"))
    return folder


def _find_source(request: WheelsRequest, base: Path) -> Source:
    """The source of the build that was named, else of this computer's."""
    if request.build is None:
        return find_source(find_graphics(), "auto", None, request.network, base)
    build = find_build(request.build)
    if build is None:
        raise ToolboxError(f"There is no build “{request.build}” of PyTorch.")
    return Source(build, None if has_own_index(base, request.network) else build.index())
