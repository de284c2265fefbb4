# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage ``classify_folder``: many rasters and one model in, a class raster for each and a mosaic of them out. Runs in the worker.

Each raster is classified by itself, as by ``classify``, and moved to its final name when it is done. One that fails is told and does
not end the run; the others are whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ToolboxError
from ..models.package import load_model
from ..runtime.device import choose_device
from ..runtime.protocol import Event, device, info, progress, result, warning
from ..runtime.ranks import Ranks
from .classify import classify_with
from .describe import describe_model
from .folder_settings import FolderSettings
from .mosaic import write_mosaic

MOSAIC = "mosaic.vrt"


@dataclass
class Failures:
    """The rasters that could not be classified."""

    names: list[str] = field(default_factory=list)
    reason: str = ""


def classify_folder(settings: FolderSettings, job_id: str) -> Iterator[Event]:
    """Classifies rasters one after the other.

    Yields:
        Events; the result's outputs are OUTPUT (the folder), OUTPUT_VRT (the mosaic; missing when the rasters have no common grid),
        CLASSIFIED (how many) and DEVICE_USED.

    Raises:
        ToolboxError: The model cannot be used, or no raster could be classified.
    """
    chosen = choose_device(str(settings.options.get("device", "auto")))
    yield device(chosen.name, chosen.torch_device, chosen.reason)
    model, network = load_model(settings.model)
    yield info(describe_model(model))
    Path(settings.output).mkdir(parents=True, exist_ok=True)
    failures = Failures()
    written: list[Path] = []
    for number, item in enumerate(settings.items):
        yield info(f"Raster {number + 1} of {len(settings.items)}: {item['raster']}")
        try:
            for event in classify_with(settings.request_for(item), model, network, Ranks(device=chosen.torch_device)):
                if event["event"] == "progress":
                    share = (number + event["fraction"]) / len(settings.items)
                    event = progress(share, f"Raster {number + 1} of {len(settings.items)}: {event['message']}")
                yield event
        except ToolboxError as failure:
            failures.names.append(Path(item["raster"]).name)
            failures.reason = failures.reason or str(failure)
            yield warning(f"{item['raster']} is left out. {failure}")
        else:
            written.append(Path(item["output"]))
    yield from _conclude(settings, written, failures, chosen.name)


def _conclude(settings: FolderSettings, written: list[Path], failures: Failures, device_name: str) -> Iterator[Event]:
    """Tells what failed, joins what did not, and yields the result."""
    if not written:
        raise ToolboxError(f"None of the {len(settings.items)} rasters could be classified. The first: {failures.reason}")
    if failures.names:
        yield warning(f"{len(failures.names)} of {len(settings.items)} rasters were left out: {', '.join(failures.names)}.")
    outputs: dict[str, Any] = {"OUTPUT": settings.output, "CLASSIFIED": len(written), "DEVICE_USED": device_name}
    mosaic = Path(settings.output) / MOSAIC
    try:
        write_mosaic(written, mosaic)
        outputs["OUTPUT_VRT"] = str(mosaic)
    except ToolboxError as failure:
        mosaic.unlink(missing_ok=True)  # of an earlier run
        yield warning(f"There is no mosaic. {failure}")
    yield info(f"{len(written)} of {len(settings.items)} rasters were classified.")
    yield result(outputs)
