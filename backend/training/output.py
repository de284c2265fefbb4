# SPDX-License-Identifier: GPL-2.0-or-later
"""What lies in the output folder of a training run."""

from __future__ import annotations

from pathlib import Path

from ..runtime.output_folder import OutputFolder
from .unfinished import UNFINISHED

REPORT = "model_metrics.html"
CHARACTERISTICS = "ModelCharacteristics"
CHECKPOINTS = "checkpoints"


def model_path(folder: Path) -> Path:
    """The model package of a training run: it bears the folder's name."""
    return folder / f"{folder.name}.dlpk"


def open_output(path: Path, job_id: str) -> OutputFolder:
    """The output folder of a training run, to be entered; the model package makes it complete."""
    return OutputFolder(path, job_id, (REPORT, CHARACTERISTICS, CHECKPOINTS, UNFINISHED), model_path(path.absolute()).name)
