# SPDX-License-Identifier: GPL-2.0-or-later
"""The libraries of the environment, one text file of pip's form per purpose, and how they are read. Standard library only."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ....errors import ToolboxError

REQUIREMENTS = Path(__file__).parent
TORCH_PACKAGES = ("torch==", "torchvision==")  # pinned in worker.txt; they must come from one index


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


def torch_requirements() -> list[str]:
    """The pinned requirements of PyTorch, such as ``torch==2.14.1``."""
    return [line for line in read_requirements(requirements_file("worker")) if line.startswith(TORCH_PACKAGES)]
