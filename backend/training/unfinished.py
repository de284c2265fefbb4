# SPDX-License-Identifier: GPL-2.0-or-later
"""The state of a training that may be interrupted, in one file of the output folder, from which it goes on.

It is written after an epoch, under a temporary name first, so that a crash while writing leaves the one before. A training that
ends well removes it, and so does one that its user cancels; one that fails, dies, or ends because QGIS or the machine does, leaves it.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ..errors import ToolboxError
from ..runtime.failures import is_full_disk
from ..runtime.output_folder import partial_name
from ..runtime.protocol import CANCEL_FILE, Event, info, warning
from ..runtime.ranks import Ranks
from .dataset import ChipStore
from .settings import TrainSettings, parameter_name

UNFINISHED = ".unfinished.pt"
BEING_WRITTEN = partial_name("unfinished.pt")  # a name that an output folder takes for ours when a crash leaves it
SECONDS_BETWEEN = 30.0  # a state is several times the model's size; on a fast card an epoch is shorter than writing it
FREE_TO_CHANGE = ("resume", "device", "cache", "output")  # settings that do not change what is learned
SHOWN_DIFFERENCES = 4


class Unfinished:
    """Keeps the state of a training; a context manager that removes it when the user cancels the training.

    Args:
        folder: The output folder.
        settings: The request.
        store: Scanned and split chips.
        job_id: Of this run.
        writes: False for processes that only train along.
    """

    def __init__(self, folder: Path, settings: TrainSettings, store: ChipStore, job_id: str, writes: bool = True) -> None:
        self._path = folder / UNFINISHED
        self._job_id = job_id
        self._writes = writes
        self._described = _describe(settings, store)
        self._written = time.monotonic()

    def __enter__(self) -> Unfinished:
        if self._writes:
            with contextlib.suppress(OSError):
                self._path.with_name(BEING_WRITTEN).unlink(missing_ok=True)  # of a run that died while it wrote
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # A stage is closed when the user cancels, which leaves a file, but also when QGIS or the machine goes down.
        if kind is GeneratorExit and self._writes and Path(CANCEL_FILE).exists():
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    def load(self, wanted: bool) -> Iterator[Event]:
        """Tells what is there; returns the state to go on from, None to start anew.

        Args:
            wanted: The request asks to go on.

        Raises:
            ToolboxError: There is a state of a training with other settings or chips, or one that cannot be read.
        """
        if not self._path.is_file():
            if wanted:
                yield info("There is no unfinished training in OUTPUT, so the training starts with the first epoch.")
            return None
        if not wanted:
            yield info("OUTPUT holds an unfinished training, which is replaced; RESUME would go on with it.")
            return None
        try:
            found = torch.load(self._path, map_location="cpu", weights_only=True)
            described, state, job = found["described"], found["state"], str(found["job"])
            epoch = state["trainer"]["epoch"]
        except Exception as failure:  # whatever a damaged file makes PyTorch raise
            raise ToolboxError(f"The unfinished training {self._path} cannot be read; delete it or switch RESUME off.") from failure
        if differences := _compare(described, self._described):
            raise ToolboxError(
                f"The unfinished training in OUTPUT differs from this one ({'; '.join(differences)}); give the same settings and "
                "chips, or switch RESUME off to start anew."
            )
        left = self._path.with_name(partial_name(job))
        if self._writes and job != self._job_id and left.parent == self._path.parent:
            shutil.rmtree(left, ignore_errors=True)  # where the machine died, nobody has tidied up
        yield info(f"Going on after epoch {epoch} of the unfinished training.")
        return state

    def save(self, state: dict[str, Any]) -> Iterator[Event]:
        """Writes the state if the last one is old enough; a full disk is told, and the state before is left."""
        if not self._writes or time.monotonic() - self._written < SECONDS_BETWEEN:
            return
        temporary = self._path.with_name(BEING_WRITTEN)
        try:
            with temporary.open("wb") as target:
                torch.save({"described": self._described, "state": state, "job": self._job_id}, target)
            temporary.replace(self._path)
        except (OSError, RuntimeError) as failure:  # PyTorch's writer raises RuntimeError, in the course of the file's own failure
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            reason = "the disk is full" if is_full_disk(failure) else str(failure).splitlines()[0]
            yield warning(
                f"The state of the training cannot be saved in {self._path.parent} ({reason}); training "
                "goes on, but would start at an earlier epoch if it were interrupted. Free some space on that disk."
            )
        self._written = time.monotonic()


def refuse_disagreement(state: dict[str, Any] | None, ranks: Ranks) -> None:
    """Ends all processes where some go on from another state than others: their weights would never agree.

    Raises:
        ToolboxError: The ranks have found different states, or only some have found one.
    """
    found = ranks.gather(None if state is None else (state["first"] is None, state["trainer"]["epoch"]))
    if len(set(found)) > 1:
        raise ToolboxError(
            f"Not all of the {ranks.size} processes see the same unfinished training in OUTPUT; put the folder on a disk that all "
            "machines share, or switch RESUME off."
        )


def _describe(settings: TrainSettings, store: ChipStore) -> dict[str, str]:
    """What must be the same, name → text."""
    given = {parameter_name(name): str(value) for name, value in asdict(settings).items() if name not in FREE_TO_CHANGE}
    labels = {f"pixels of class {value}": str(sum(of_block.get(index, 0) for of_block in store.census.values()))
              for index, value in enumerate(store.class_values)}  # fmt: skip
    return {**given, "chips": str(len(store)), "bands": ", ".join(band.name for band in store.bands), **labels}


def _compare(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """What differs, in words; the first few."""
    names = [name for name in {**new, **old} if old.get(name) != new.get(name)]
    shown = [f"{name} {old.get(name, 'none')}, now {new.get(name, 'none')}" for name in names[:SHOWN_DIFFERENCES]]
    return shown + [f"and {len(names) - SHOWN_DIFFERENCES} more"] * (len(names) > SHOWN_DIFFERENCES)
