# SPDX-License-Identifier: GPL-2.0-or-later
"""What is kept of a classification that may be interrupted, so that the same request goes on from the last finished row of tiles.

The rows written so far lie in the folders of the outputs under way, whose names carry a digest of everything that decides the
pixels: another request, model or image has another digest and starts anew. A run that ends well leaves nothing, and so does one
that its user cancels or that the disk is too small for; one that dies, ends because QGIS or the machine does, or because a drive can
no longer be read, can be repeated.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import nn

from ..imagery.raster import RasterReader, ReadFailedError
from ..models.definition import ModelDescription
from ..runtime.lock import exclusive, try_exclusive
from ..runtime.output_folder import partial_name
from ..runtime.protocol import CANCEL_FILE, Event, info
from ..runtime.ranks import Ranks
from .job import Job
from .settings import ClassifySettings
from .writer import RasterOutput

SECONDS_BETWEEN = 30.0  # a checkpoint writes what GDAL still holds, and opens the files again
STATE = "state.json"
FREE_TO_CHANGE = ("batch_size", "device", "mask")  # settings that leave the pixels as they are
DIGEST_LETTERS = 16
NAME_OF_WORK = re.compile(rf"[0-9a-f]{{{DIGEST_LETTERS}}}(\.\d+of\d+)?")  # what `name_work` gives


@dataclass(frozen=True)
class Work:
    """What decides the pixels of a run, and who does it.

    Attributes:
        settings: The request.
        model: The model.
        network: Its network.
        ranks: The processes that share the raster.
    """

    settings: ClassifySettings
    model: ModelDescription
    network: nn.Module
    ranks: Ranks


def digest_work(work: Work) -> str:
    """A short text that is the same when the same pixels would come out.

    Raises:
        ToolboxError: The raster cannot be read.
    """
    digest = hashlib.blake2b(digest_size=DIGEST_LETTERS // 2)
    given = {name: value for name, value in asdict(work.settings).items() if name not in FREE_TO_CHANGE}
    with RasterReader(work.settings.raster) as reader:
        files = [(name, os.stat(name).st_size, os.stat(name).st_mtime_ns) for name in reader.files if os.path.exists(name)]
    digest.update(repr((sorted(given.items()), work.model, files)).encode())
    if work.settings.mask:  # it lies in the job's folder, under a name that tells nothing
        digest.update(Path(work.settings.mask).read_bytes())
    for name, tensor in work.network.state_dict().items():
        # A checksum tells two trainings apart as well, and takes a fifth of a cryptographic hash's time.
        checksum = zlib.crc32(tensor.cpu().contiguous().flatten().numpy())
        digest.update(f"{name} {checksum}\n".encode())
    return digest.hexdigest()


class Unfinished:
    """Keeps the state of a job beside its outputs; a context manager around the run.

    Args:
        job: The job; continued when there is a state.
        outputs: Its outputs, open.
    """

    def __init__(self, job: Job, outputs: Sequence[RasterOutput]) -> None:
        self._job = job
        self._outputs = outputs
        self._path = outputs[0].partial / STATE
        self._written = time.monotonic()

    def __enter__(self) -> Unfinished:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # A stage is closed when the user cancels, which leaves a file, but also when QGIS or the machine goes down.
        # A RuntimeError is PyTorch's, of a driver that failed, for example.
        is_going_down = kind is not None and issubclass(kind, (GeneratorExit, KeyboardInterrupt, RuntimeError, ReadFailedError))
        if is_going_down and not Path(CANCEL_FILE).exists() and self._path.exists():
            for output in self._outputs:
                output.keep()

    def resume(self) -> Iterator[Event]:
        """Puts the job behind what is written already, and tells so."""
        if not all(output.is_continued for output in self._outputs) or not self._path.exists():
            return
        job = self._job
        try:
            state = json.loads(self._path.read_text(encoding="utf-8"))
        except ValueError:  # the machine went down before the disk had it: the rows are written anew
            return
        job.band, job.row, job.done, job.predictor.precision = (state[name] for name in ("band", "row", "done", "precision"))
        job.counts.update({int(value): count for value, count in state["counts"].items()})
        yield info(f"Going on with an interrupted run of the same request: {job.done:,} of {job.tile_count:,} tiles are done.")

    def save(self) -> None:
        """Writes the state if the last one is old enough: the rows first, then, under a temporary name, how far they go."""
        if time.monotonic() - self._written < SECONDS_BETWEEN:
            return
        for output in self._outputs:
            output.checkpoint()
        job = self._job
        state = {"band": job.band, "row": job.row, "done": job.done, "precision": job.predictor.precision, "counts": job.counts}
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps(state), encoding="utf-8")
        temporary.replace(self._path)
        self._written = time.monotonic()


def name_work(digest: str, rank: int, size: int) -> str:
    """What the folders of one process's work are called, in place of a job's id."""
    return digest if size == 1 else f"{digest}.{rank + 1}of{size}"


@contextlib.contextmanager
def hold(name: str) -> Iterator[None]:
    """Keeps a second run of the same request away from the same files; raises ToolboxError in the second."""
    lock = _lock_file(name)
    with exclusive(lock, "classifying the same raster into the same file"):
        yield
    with contextlib.suppress(OSError):
        lock.unlink()


def remove_others(path: Path, digest: str) -> None:
    """Removes what interrupted runs of other requests have left of an output, unless they are under way.

    Also where one was killed before its first checkpoint. Folders of other stages, whose names carry a job's id, are not touched.
    """
    for folder in path.absolute().parent.glob(f"{partial_name('*')}-{path.name}"):
        name = folder.name.removeprefix(partial_name("")).removesuffix(f"-{path.name}")
        if NAME_OF_WORK.fullmatch(name) and name.partition(".")[0] != digest:
            with try_exclusive(_lock_file(name)) as is_free:
                if is_free:
                    shutil.rmtree(folder, ignore_errors=True)


def _lock_file(name: str) -> Path:
    return Path(tempfile.gettempdir()) / f"deep-learning-toolbox-{name}.lock"
