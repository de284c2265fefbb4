# SPDX-License-Identifier: GPL-2.0-or-later
"""The memory that a classification takes, beside what it tells before."""

import re
import subprocess
import sys

import numpy as np
import pytest
from deep_learning_toolbox.backend.runtime import launch

from ..rasters import write_raster

# A process of its own, whose peak is that of the run; its network is one multiplication per class and needs next to nothing.
RUN = """
import runpy, sys
from pathlib import Path
runpy.run_path(sys.argv[1], run_name="launch")
import torch
from deep_learning_toolbox.backend.imagery.normalise import BandStatistics
from deep_learning_toolbox.backend.inference.classify import classify_with
from deep_learning_toolbox.backend.inference.settings import ClassifySettings
from deep_learning_toolbox.backend.labels.schema import ClassSchema
from deep_learning_toolbox.backend.models.definition import ModelDescription
from deep_learning_toolbox.backend.runtime.ranks import Ranks

def peak_mb():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024

bands = tuple(BandStatistics(f"B{band}", 0, 9, 0.0, 1.0, -9, 9, 9) for band in range(6))
classes = ClassSchema.from_dicts([{"value": value} for value in range(1, 6)])
description = ModelDescription("m", "unet", "resnet18", bands, classes, False, 256)
network = torch.nn.Conv2d(6, 5, 1)
with torch.inference_mode():
    network(torch.zeros(1, 6, 64, 64)).softmax(1)  # loads what PyTorch loads at its first use
asked = ClassifySettings(sys.argv[2], "m.dlpk", sys.argv[3], tile_size=512, overlap=64, batch_size=1, precision="fp32")
before = peak_mb()
for event in classify_with(asked, description, network, Ranks()):
    if "MB of memory, the result" in event.get("message", ""):
        print(event["message"])
print(peak_mb() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak is read from /proc")
def test_memory_is_told_within_a_quarter(tmp_path):
    values = np.broadcast_to(np.uint8(1), (6, 1408, 4000))
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "DEFLATE"}
    source = write_raster(tmp_path / "image.tif", values, names=[f"B{band}" for band in range(6)], **tiles)
    command = [sys.executable, "-c", RUN, launch.__file__, source, str(tmp_path / "out" / "classes.tif")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told, taken = done.stdout.splitlines()
    (announced,) = re.findall(r"takes (\d+) MB of memory", told)
    assert float(taken) == pytest.approx(float(announced), rel=0.25)
