# SPDX-License-Identifier: GPL-2.0-or-later
"""NVIDIA graphics cards and their driver, as ``nvidia-smi`` tells them: what a build of PyTorch is chosen by.

Imported by QGIS; standard library only.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_FIELDS = "name,compute_cap,memory.total,driver_version"
_TIMEOUT_SECONDS = 15  # the driver may have to be loaded first
_PLACES = (
    "/usr/lib/wsl/lib/nvidia-smi",  # Windows' driver, seen from its Linux subsystem
    r"C:\Windows\System32\nvidia-smi.exe",
    r"C:\Program Files\NVIDIA Corporation\NVSMI\nvidia-smi.exe",
)


@dataclass(frozen=True)
class Gpu:
    """A graphics card.

    Attributes:
        name: As people know it.
        capability: Compute capability, e.g. (8, 9): which instructions it has.
        memory_mib: Its memory in MiB.
    """

    name: str
    capability: tuple[int, int]
    memory_mib: int


@dataclass(frozen=True)
class Graphics:
    """What there is to compute on beside the CPU.

    Attributes:
        gpus: NVIDIA cards in the driver's order.
        driver: Version of the driver, such as 580.65.06; empty without one.
        problem: Why the cards cannot be told although there seems to be a driver; empty when nothing is wrong.
    """

    gpus: tuple[Gpu, ...] = ()
    driver: str = ""
    problem: str = ""

    @property
    def driver_number(self) -> int:
        """The driver's main version, 0 without one."""
        number = self.driver.partition(".")[0]
        return int(number) if number.isdigit() else 0

    def describe(self) -> str:
        """One line for people."""
        if self.problem:
            return f"an NVIDIA driver that does not work ({self.problem})"
        if not self.gpus:
            return "no NVIDIA graphics card"
        cards = (f"{gpu.name} (compute capability {gpu.capability[0]}.{gpu.capability[1]}, {gpu.memory_mib} MiB)" for gpu in self.gpus)
        return f"{', '.join(cards)}; driver {self.driver}"


def find_graphics() -> Graphics:
    """The NVIDIA cards of this computer; takes some 100 ms where there is a driver."""
    program = _find_program()
    if program is None:
        return Graphics()
    command = [program, f"--query-gpu={_FIELDS}", "--format=csv,noheader,nounits"]
    flags = subprocess.CREATE_NO_WINDOW if sys.platform == "win32" else 0
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT_SECONDS, check=False, creationflags=flags
        )
    except (OSError, subprocess.SubprocessError) as fault:
        return Graphics(problem=f"nvidia-smi does not run: {fault}")
    text = done.stdout.decode("utf-8", "replace")
    return parse_graphics(text if done.returncode == 0 else text + done.stderr.decode("utf-8", "replace"), done.returncode)


def parse_graphics(text: str, code: int) -> Graphics:
    """What the output and exit code of nvidia-smi mean.

    Args:
        text: Rows of name, compute capability, memory in MiB and driver version; or what it complains about.
        code: Its exit code, 0 for rows.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    gpus, driver = [], ""
    for row in csv.reader(lines, skipinitialspace=True):
        try:
            name, capability, memory, version = (cell.strip() for cell in row)
            major, minor = capability.split(".")
            # Some cards, parts of a card (MIG) among them, do not tell their memory: “[N/A]”.
            gpus.append(Gpu(name, (int(major), int(minor)), int(memory) if memory.isdigit() else 0))
            driver = version
        except ValueError:  # a remark, such as one about a card that fails beside others
            continue
    if gpus:
        return Graphics(tuple(gpus), driver)
    if "not a valid field" in text:
        return Graphics(problem="it is so old that it cannot tell the compute capability; update it from NVIDIA's site")
    if code == 6 or "No devices were found" in text:  # 6 is nvidia-smi's own code for it
        return Graphics(problem="it finds no card")
    if lines and code != 0:
        return Graphics(problem=lines[0].rstrip("."))
    return Graphics(problem=f"its answer is not understood: {lines[0][:80]}" if lines else "it names no card")


def _find_program() -> str | None:
    found = shutil.which("nvidia-smi") or next((place for place in _PLACES if os.path.isfile(place)), None)
    if found or not Path("/proc/driver/nvidia/version").exists():
        return found
    return "nvidia-smi"  # a driver without its program: running it tells so
