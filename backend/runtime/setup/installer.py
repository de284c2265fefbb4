# SPDX-License-Identifier: GPL-2.0-or-later
"""The steps of an installation: virtual environment, pip, PyTorch, the other libraries, a proof that they work.

Each step raises ToolboxError with the reason and the next step; the output of pip goes to the log. The user's pip settings (index,
proxy, certificates, constraints) are honoured. pip rather than a faster installer, because companies configure pip, and because it
tells how far a download is. Standard library only; never imported by the worker.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from ...errors import ToolboxError
from ..places import install_log, python_in
from ..process import child_environment, installer_environment
from .commands import Outcome, run_logged
from .network import Network
from .pip_output import PipProgress, explain_failure, has_damaged_download
from .requirements import read_requirements, requirements_file, torch_requirements
from .source import Source

_EXTRA_BYTES = 10**8  # what an extra may take to download, roughly
_REST_BYTES = 15 * 10**7  # the worker's libraries without PyTorch
# Where each step begins and ends in the whole, as measured on a fast network; on a slow one the download dominates, and its own
# remaining time is told in words. A fetch has a download, then the unpacking: begin, change, end.
SHARES = {"environment": 0.0, "pip": 0.03, "prove": 0.93}
WHOLE, FIRST_PART, SECOND_PART = (0.05, 0.65, 0.93), (0.05, 0.55, 0.83), (0.83, 0.88, 0.93)

# Imports everything the worker needs and multiplies two matrices: libraries that clash or lack a system library fail here.
PROOF = """
import matplotlib, numpy, pyogrio, rasterio, safetensors, segmentation_models_pytorch, shapely, timm, torch, torchvision
ones = torch.ones(64, 64)
if float((ones @ ones).sum()) != 64.0**3:
    raise SystemExit("PyTorch computes wrong sums on this machine")
print(torch.__version__)
"""
_VERSIONS = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]), sep=',')"


@dataclass(frozen=True)
class Step:
    """How far an installation is.

    Attributes:
        fraction: Share of the whole, 0 to 1.
        text: What is being done; changes a few times.
        detail: Numbers that run; may be empty.
    """

    fraction: float
    text: str
    detail: str = ""


Listener = Callable[[Step], None]


@dataclass
class Installer:
    """Installs into one environment.

    Attributes:
        folder: The environment's folder.
        log: File that the output of all commands is appended to.
        progress: Called several times a second; an exception from it stops the installation.
        downloads: Folder in which pip keeps what it has fetched, so that another attempt goes on from there.
        wheels: Folder to install from without any network, or None.
        network: Proxy and certificates.
    """

    folder: Path
    log: Path
    progress: Listener
    downloads: Path
    wheels: Path | None = None
    network: Network = field(default_factory=Network)
    _tells_progress: bool = False

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return python_in(self.folder)

    def create_environment(self, base: Path, has_ensurepip: bool) -> None:
        """Makes a virtual environment with a pip that tells its progress.

        Args:
            base: The interpreter to build on.
            has_ensurepip: It can put a pip into the environment by itself; else its own pip does that (Debian ships both apart).
        """
        text = f"Making a Python environment in {self.folder}"
        show = self._ticker("environment", text)
        options = [] if has_ensurepip else ["--without-pip"]
        outcome = self._run([str(base), "-I", "-m", "venv", *options, str(self.folder)], show)
        if outcome.code:
            raise ToolboxError(f"The Python environment cannot be made: {_last_words(outcome)}. Details: {self.log}")
        (pip,) = read_requirements(requirements_file("installer"))
        show = self._ticker("pip", "Updating pip")
        if has_ensurepip:
            outcome = self._pip(["install", "--upgrade", pip, "--retries", "1", "--timeout", "10"], show)
        else:
            outcome = self._pip(["--python", str(self.python), "install", pip], show, base)
            self._check_pip(outcome, "pip cannot be installed")
        # An index or a folder without a newer pip is no obstacle: the old one installs as well, but silently.
        self._tells_progress = outcome.code == 0

    def install_worker(self, source: Source) -> None:
        """Installs what the worker needs."""
        if source.index is None:
            self._fetch("the deep learning libraries", ["install", "-r", _worker_file()], source.build.download, WHOLE)
            return
        # Only this call sees PyTorch's index, so that it cannot shadow other packages.
        torch = ["install", "--index-url", source.index, *torch_requirements()]
        self._fetch(f"PyTorch ({source.build.title})", torch, source.build.download - _REST_BYTES, FIRST_PART)
        self._fetch("the other libraries", ["install", "-r", _worker_file()], _REST_BYTES, SECOND_PART)

    def download(self, folder: Path, source: Source, extras: Sequence[str]) -> None:
        """Puts the wheels of all that the worker needs into a folder."""
        into = ["download", "--dest", str(folder), "--only-binary", ":all:", "--find-links", str(folder)]
        if source.index is not None:
            torch = [*into, "--index-url", source.index, *torch_requirements()]
            self._fetch(f"PyTorch ({source.build.title})", torch, source.build.download, FIRST_PART)
        files = [requirements_file(name) for name in ("installer", "worker", *extras)]
        rest = [*into, *(part for file in files for part in ("-r", str(file)))]
        self._fetch("the wheels", rest, source.build.download, SECOND_PART if source.index else WHOLE)

    def install_extra(self, name: str) -> None:
        """Installs ``requirements/<name>.txt`` beside, without changing what the worker needs."""
        limits = ["-c", _worker_file()]
        self._fetch(f"what “{name}” needs", ["install", "-r", str(requirements_file(name)), *limits], _EXTRA_BYTES, WHOLE)

    def prove(self) -> str:
        """Imports everything in a child and computes something; returns PyTorch's version or raises ToolboxError."""
        return _prove(self.python, self.log, self._ticker("prove", "Testing the libraries"))

    def _fetch(self, what: str, arguments: list[str], expected: int, shares: tuple[float, float, float]) -> None:
        """Runs pip and tells how far it is; ``expected`` bytes are to come, ``shares`` is where this stands in the whole."""
        status = PipProgress(expected)
        begin, change, end = shares
        packages = None

        def show() -> None:
            nonlocal packages
            if status.unpacking:
                packages = self._count_packages() if packages is None else packages
                done = min(max(self._count_packages() - packages, 0), len(status.unpacking))
                fraction = change + (end - change) * done / len(status.unpacking)
                self.progress(Step(fraction, f"Unpacking {what}", f"{done} of {len(status.unpacking)} packages"))
            else:
                text = f"Downloading {what}" if status.downloaded else f"Looking for {what}"
                detail = " ".join((status.name, status.describe())).strip()
                self.progress(Step(begin + (change - begin) * status.fraction, text, detail))

        outcome = self._pip(arguments, show, on_line=status.read)
        self._check_pip(outcome, "The libraries cannot be installed")

    def _count_packages(self) -> int:
        """Packages that are unpacked: each has a folder of metadata, which pip writes last."""
        places = ("lib/python3*/site-packages", "Lib/site-packages")
        return sum(1 for place in places for _ in self.folder.glob(f"{place}/*.dist-info"))

    def _pip(
        self,
        arguments: list[str],
        show: Callable[[], None],
        python: Path | None = None,
        on_line: Callable[[str], None] = lambda line: None,
    ) -> Outcome:
        offline = [] if self.wheels is None else ["--no-index", "--find-links", str(self.wheels)]
        bar = "raw" if self._tells_progress else "off"
        options = ["--no-input", "--disable-pip-version-check", "--progress-bar", bar, "--cache-dir", str(self.downloads)]
        return self._run([str(python or self.python), "-I", "-m", "pip", *arguments, *options, *offline], show, on_line)

    def _run(self, command: list[str], show: Callable[[], None], on_line: Callable[[str], None] = lambda line: None) -> Outcome:
        return run_logged(command, self._variables(Path(command[0])), self.log, on_line, show)

    def _variables(self, python: Path) -> dict[str, str]:
        variables = {**installer_environment(python), **self.network.variables()}
        if self.wheels is None:
            return variables
        # From the folder and from nowhere else: pip's settings may name further places, on the network among them.
        kept = {name: value for name, value in variables.items() if not name.upper().startswith("PIP_")}
        return {**kept, "PIP_CONFIG_FILE": os.devnull}

    def _ticker(self, step: str, text: str) -> Callable[[], None]:
        return lambda: self.progress(Step(SHARES[step], text))

    def _check_pip(self, outcome: Outcome, failure: str) -> None:
        if outcome.code:
            if has_damaged_download(outcome.lines):
                shutil.rmtree(self.downloads, ignore_errors=True)
            through = f" through the {self.network.describe()}" if self.network.proxy else ""
            reason = explain_failure(outcome.lines, self.wheels is not None)
            raise ToolboxError(f"{failure}{through}: {reason}. Details: {self.log}")


def prove_python(python: Path, progress: Listener) -> list[str]:
    """Has a Python that is not ours import everything and compute; returns what differs from what the toolbox was tested with.

    Raises:
        ToolboxError: Something cannot be imported, or computes wrongly.
    """
    install_log().parent.mkdir(parents=True, exist_ok=True)
    _prove(python, install_log(), lambda: progress(Step(0.0, "Testing the libraries")))
    pins = [line.split("==") for line in read_requirements(requirements_file("worker")) if "==" in line]
    outcome = run_logged([str(python), "-I", "-c", _VERSIONS, *(name for name, _ in pins)], child_environment(python), install_log())
    found = outcome.lines[-1].split(",") if outcome.code == 0 and outcome.lines else []
    pairs = zip(pins, found)
    return [
        f"{name} is {version}, and the toolbox was tested with {pin}: models may give other maps."
        for (name, pin), version in pairs
        if version.partition("+")[0] != pin
    ]


def _prove(python: Path, log: Path, show: Callable[[], None]) -> str:
    """Runs the proof and returns PyTorch's version; raises ToolboxError when it fails."""
    outcome = run_logged([str(python), "-I", "-c", PROOF], child_environment(python), log, on_tick=show)
    if outcome.code:
        hint = "; install Microsoft's Visual C++ redistributable, then try again" if _lacks_runtime(outcome) else ""
        raise ToolboxError(f"The libraries of “{python}” do not work: {_last_words(outcome)}{hint}. Details: {log}")
    return outcome.lines[-1].strip()


def _worker_file() -> str:
    return str(requirements_file("worker"))


def _last_words(outcome: Outcome) -> str:
    return next((line.strip() for line in reversed(outcome.lines) if line.strip()), f"exit code {outcome.code}")


def _lacks_runtime(outcome: Outcome) -> bool:
    """Whether a library of Windows' C++ runtime is missing: an unloadable DLL, or the system's code for it."""
    return outcome.code & 0xFFFFFFFF == 0xC0000135 or any("WinError 126" in line or "WinError 127" in line for line in outcome.lines)
