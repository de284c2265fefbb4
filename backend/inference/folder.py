# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage ``classify_folder``: many rasters and one model in, a class raster for each and a mosaic of them out. Runs in the worker.

Each raster is classified by itself, as by ``classify``, and moved to its final name when it is done. One that fails is told and does
not end the run; the others are whole. Several devices, or processes of torchrun, take turns: each has whole rasters of its own.
"""

from __future__ import annotations

import traceback
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from torch import nn

from ..errors import ToolboxError
from ..models.definition import ModelDescription
from ..models.package import load_model
from ..runtime.companions import companions, own_device
from ..runtime.device import choose_device
from ..runtime.failures import explain
from ..runtime.protocol import Event, device, info, progress, result, warning
from ..runtime.ranks import Ranks, join_ranks
from .classify import LONGEST_WAIT, classify_with
from .describe import describe_model
from .folder_settings import FolderSettings
from .mosaic import write_mosaic
from .shares import meet

MOSAIC = "mosaic.vrt"


def classify_folder(settings: FolderSettings, job_id: str) -> Iterator[Event]:
    """Classifies rasters one after the other, or several at a time on as many devices.

    Yields:
        Events; the result's outputs are OUTPUT (the folder), OUTPUT_VRT (the mosaic; missing when the rasters have no common grid),
        CLASSIFIED (how many) and DEVICE_USED.

    Raises:
        ToolboxError: The model cannot be used, or no raster could be classified.
    """
    with ExitStack() as stack:
        stack.enter_context(companions("classify_folder", settings, job_id))
        chosen = choose_device(own_device(settings.device))
        ranks = stack.enter_context(join_ranks(chosen.torch_device, LONGEST_WAIT))
        yield device(chosen.name, chosen.torch_device, chosen.reason)
        model, network = load_model(settings.model)
        yield info(describe_model(model))
        Path(settings.output).mkdir(parents=True, exist_ok=True)
        faults: dict[int, str] = {}
        for number in range(ranks.rank, len(settings.items), ranks.size):
            faults[number] = yield from _classify_item(settings, number, model, network, ranks.device)
        of_all = yield from meet(lambda: ranks.gather(faults))
        is_first = ranks.is_first
    if not is_first:
        yield result({})
        return
    for number, fault in sorted((number, fault) for others in of_all[1:] for number, fault in others.items() if fault):
        yield warning(_describe_fault(settings, number, fault))
    everything = {number: fault for part in of_all for number, fault in part.items()}
    yield from _conclude(settings, everything, chosen.name)


def _classify_item(
    settings: FolderSettings, number: int, model: ModelDescription, network: nn.Module, torch_device: str
) -> Generator[Event, None, str]:
    """Classifies one raster in this process; returns what is wrong with it, an empty text when nothing is."""
    item = settings.items[number]
    title = f"Raster {number + 1} of {len(settings.items)}"
    yield info(f"{title}: {item['raster']}")
    try:
        for event in classify_with(settings.request_for(item), model, network, Ranks(device=torch_device)):
            if event["event"] == "progress":
                event = progress((number + event["fraction"]) / len(settings.items), f"{title}: {event['message']}")
            yield event
    except Exception as failure:  # one raster's, whatever it is: the others do not suffer from it
        if not isinstance(failure, ToolboxError):
            traceback.print_exc()
        fault = str(explain(failure, [item["output"]])["message"])
        yield warning(_describe_fault(settings, number, fault))
        return fault
    return ""


def _describe_fault(settings: FolderSettings, number: int, fault: str) -> str:
    return f"{settings.items[number]['raster']} is left out. {fault}"


def _conclude(settings: FolderSettings, faults: Mapping[int, str], device_name: str) -> Iterator[Event]:
    """Tells what failed, joins what did not, and yields the result; ``faults`` has an entry, maybe empty, for each raster."""
    left_out = [number for number in sorted(faults) if faults[number]]
    written = [Path(settings.items[number]["output"]) for number in sorted(faults) if not faults[number]]
    if not written:
        raise ToolboxError(f"None of the {len(settings.items)} rasters could be classified. The first: {faults[left_out[0]]}")
    if left_out:
        names = ", ".join(Path(settings.items[number]["raster"]).name for number in left_out)
        yield warning(f"{len(left_out)} of {len(settings.items)} rasters were left out: {names}.")
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
