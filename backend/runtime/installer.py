# SPDX-License-Identifier: GPL-2.0-or-later
"""The steps of an installation: virtual environment, PyTorch, the other libraries, a proof that they work.

Each step raises ToolboxError with pip's own reason; pip's output goes to the log. The user's pip settings (index, proxy,
certificates, constraints) are honoured. Standard library only; never imported by the worker.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from ..errors import ToolboxError
from .process import child_environment, installer_environment, kill_tree, start_process

REQUIREMENTS = Path(__file__).with_name("requirements")
# PyTorch's own index: its CPU build takes a tenth of the default build's gigabytes on Linux, which brings CUDA along.
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
CPU_BYTES, CUDA_BYTES = 3 * 10**9, 8 * 10**9  # disk space while installing: downloads, unpacked files
_REACH_SECONDS = 3
_TORCH_PACKAGES = ("torch==", "torchvision==")
_SHOWN_LINES = ("Downloading ", "Installing collected packages", "Building wheel")

# Imports everything the worker needs and multiplies two matrices: libraries that clash or lack a system library fail here.
PROOF = """
import matplotlib, numpy, pyogrio, rasterio, safetensors, segmentation_models_pytorch, shapely, timm, torch, torchvision
ones = torch.ones(64, 64)
if float((ones @ ones).sum()) != 64.0**3:
    raise SystemExit("PyTorch computes wrong sums on this machine")
"""


@dataclass(frozen=True)
class Installer:
    """Installs into one environment.

    Attributes:
        python: The environment's interpreter.
        log: File that pip's output is appended to.
        progress: Called with one line per step; an exception from it stops the installation.
        wheels: Folder to install from without any network, or None.
        device: auto, cpu or cuda: which build of PyTorch on Linux; auto takes CUDA's where there is an NVIDIA driver.
    """

    python: Path
    log: Path
    progress: Callable[[str], None]
    wheels: Path | None = None
    device: str = "auto"

    @property
    def wants_cpu_build(self) -> bool:
        """Whether the small build of PyTorch without CUDA will do (a question on Linux only)."""
        return sys.platform == "linux" and (self.device == "cpu" or (self.device == "auto" and not has_nvidia_driver()))

    def create_environment(self, base: Path, folder: Path) -> None:
        """Makes an empty virtual environment with pip."""
        self.progress(f"Making a Python environment in {folder} ...")
        self._run([str(base), "-I", "-m", "venv", str(folder)], "The Python environment cannot be made")

    def install_worker(self) -> None:
        """Installs what the worker needs."""
        requirements = REQUIREMENTS / "worker.txt"
        if self.wants_cpu_build and self.wheels is None and not self._has_own_index() and _is_reachable(CPU_INDEX):
            self.progress("Installing PyTorch (CPU build) from PyTorch's own index ...")
            pinned = [line for line in read_requirements(requirements) if line.startswith(_TORCH_PACKAGES)]
            try:
                # Only this step sees that index, so that it cannot shadow other packages.
                self._pip("install", "--index-url", CPU_INDEX, *pinned)
            except ToolboxError as fault:
                self.progress(f"That failed; going on with the usual index, a download of some 3 GB. ({fault})")
        self.progress("Installing the deep learning libraries ...")
        self._pip("install", "-r", str(requirements))

    def install_extra(self, name: str) -> None:
        """Installs ``requirements/<name>.txt`` beside, without changing what the worker needs."""
        self.progress(f"Installing what “{name}” needs ...")
        self._pip("install", "-r", str(requirements_file(name)), "-c", str(REQUIREMENTS / "worker.txt"))

    def prove(self) -> None:
        """Imports everything in a child and computes something; raises ToolboxError when that fails."""
        self.progress("Testing the libraries ...")
        command = [str(self.python), "-I", "-c", PROOF]
        self._run(command, "The installed libraries do not work", child_environment(self.python))

    def _has_own_index(self) -> bool:
        """Whether the user has told pip to use an index of their own, which then is the only one to be asked."""
        command = [str(self.python), "-I", "-m", "pip", "config", "list"]
        done = subprocess.run(command, env=installer_environment(), capture_output=True, text=True, check=False)
        keys = [line.partition("=")[0].rpartition(".")[2] for line in done.stdout.splitlines()]
        return "index-url" in keys or "no-index" in keys

    def _pip(self, *arguments: str) -> None:
        offline = [] if self.wheels is None else ["--no-index", "--find-links", str(self.wheels)]
        options = ["--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
        self._run([str(self.python), "-I", "-m", "pip", *arguments, *options, *offline], "The libraries cannot be installed")

    def _run(self, command: list[str], failure: str, environment: dict[str, str] | None = None) -> None:
        """Runs one command with its output in the log; raises ToolboxError that begins with ``failure`` when it fails."""
        environment = installer_environment() if environment is None else environment
        reasons = ["no reason given"]
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(command)}\n")
            process = start_process(
                command, environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            assert process.stdout is not None
            try:
                for raw in process.stdout:
                    line = raw.decode("utf-8", "replace").rstrip()
                    log.write(line + "\n")
                    if line.strip().startswith(_SHOWN_LINES):
                        self.progress(line.strip()[:120])
                    if line.startswith("ERROR:") or (line and not reasons[-1].startswith("ERROR:")):
                        reasons.append(line)
                code = process.wait()
            finally:
                kill_tree(process)
        if code:
            reason = next((line for line in reasons if line.startswith("ERROR:")), reasons[-1])
            raise ToolboxError(f"{failure}: {reason.removeprefix('ERROR:').strip()}. Details: {self.log}")


def requirements_file(extra: str) -> Path:
    """The requirements of an extra; raises ToolboxError, naming those there are, when there is none of that name."""
    known = {path.stem: path for path in sorted(REQUIREMENTS.glob("*.txt"))}
    if extra not in known:
        raise ToolboxError(f"There is no extra “{extra}”; there are: {', '.join(known)}.")
    return known[extra]


def read_requirements(path: Path) -> list[str]:
    """The requirements in a file, without comments and empty lines."""
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def hash_requirements(path: Path) -> str:
    """A short text that changes with the requirements, but not with their comments."""
    return hashlib.sha256("\n".join(read_requirements(path)).encode()).hexdigest()[:16]


def has_nvidia_driver() -> bool:
    """Whether an NVIDIA driver is there, also that of Windows seen from its Linux subsystem."""
    places = ("/proc/driver/nvidia/version", "/usr/lib/wsl/lib/libcuda.so.1")
    return any(Path(place).exists() for place in places) or shutil.which("nvidia-smi") is not None


def _is_reachable(url: str) -> bool:
    import urllib.error  # nearly half of the plugin's import time, and needed only here
    import urllib.request

    request = urllib.request.Request(url + "/torch/", method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=_REACH_SECONDS) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
