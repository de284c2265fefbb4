# SPDX-License-Identifier: GPL-2.0-or-later
"""What a training shows while it runs: pictures of a few held-out chips whenever it has improved, and the memory in use.

The pictures go into the job's folder, which is the working directory, and an event names them. Only where somebody records the
events there: on a server the folder of the request stays as it is.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import matplotlib.image
import torch
from torch import nn

from ..runtime.memory import process_memory
from ..runtime.protocol import EVENTS_FILE, Event, memory, samples
from .dataset import ChipStore
from .samples import choose_chips, join, list_classes, predict_samples, resize

FOLDER = "samples"
MOST_CHIPS = 4
SIDE = 160  # pixels of a picture's longer side
GAP = 4
KEPT_EPOCHS = 12  # whose pictures stay: the first, to compare with, and the newest
MEGABYTE = 2**20


class Preview:
    """Pictures of the same held-out chips from epoch to epoch.

    Args:
        store: Scanned and split chips.
        folder: Folder of the job.
    """

    def __init__(self, store: ChipStore, folder: Path) -> None:
        self._store = store
        self._folder = folder
        self._classes = list_classes(store)
        self._numbers: list[int] | None = None
        self._epochs: list[int] = []

    def show(self, network: nn.Module, epoch: int) -> Iterator[Event]:
        """Paints the chips with the network's prediction and yields the event that names the pictures.

        A disk that is full, or a folder that was removed, must not end a training: then there are no pictures.
        """
        if not (self._folder / EVENTS_FILE).is_file():
            return
        if self._numbers is None:
            self._numbers = choose_chips(self._store, MOST_CHIPS)
        found = predict_samples(self._store, network, self._numbers)
        files = []
        try:
            for place, sample in enumerate(found):
                parts = (sample.image, sample.paint_label(self._classes), sample.paint_prediction(self._classes))
                name = f"{FOLDER}/{epoch:05d}/{place}.png"
                _write_png(self._folder / name, join([resize(part, SIDE) for part in parts], GAP))
                files.append(name)
        except OSError:
            return
        self._forget_old(epoch)
        legend = [(entry.name, "#{:02x}{:02x}{:02x}".format(*entry.color)) for entry in self._classes]
        yield samples(epoch, files, [f"{sample.name}: {sample.accuracy:.0%}" for sample in found], legend)

    def _forget_old(self, epoch: int) -> None:
        """Removes the pictures of epochs in the middle."""
        self._epochs.append(epoch)
        while len(self._epochs) > KEPT_EPOCHS:
            shutil.rmtree(self._folder / FOLDER / f"{self._epochs.pop(1):05d}", ignore_errors=True)


def measure_memory(device: torch.device, name: str) -> Event:
    """The event that tells the memory in use: of the graphics card, else of this process."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return memory((total - free) / MEGABYTE, total / MEGABYTE, name)
    used, total = process_memory()
    return memory(used / MEGABYTE, total / MEGABYTE, "RAM")


def _write_png(path: Path, picture: object) -> None:
    """Writes a picture under a temporary name first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".partial")
    matplotlib.image.imsave(temporary, picture, format="png")
    temporary.replace(path)
