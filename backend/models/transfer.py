# SPDX-License-Identifier: GPL-2.0-or-later
"""Starts a network from a trained model of the same architecture whose bands or classes may differ (PRETRAINED_MODEL)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ..errors import ToolboxError
from ..imagery.band_statistics import BandStatistics
from .definition import ModelDescription
from .registry import SizedNetwork

HEAD = "network.segmentation_head."


def transfer_weights(
    network: SizedNetwork,
    model: ModelDescription,
    state_dict: Mapping[str, Tensor],
    bands: Sequence[BandStatistics],
    class_values: Sequence[int],
) -> str:
    """Copies a model's tensors into the network, in place; returns a sentence on what was kept.

    The first convolution follows the bands (`match_bands`). The last layer is kept when the classes are the same, and stays
    random otherwise.

    Args:
        network: A fresh one of the model's architecture and backbone.
        model: The trained model.
        state_dict: Its tensors.
        bands: The new network's bands.
        class_values: The new network's classes, in channel order.

    Raises:
        ToolboxError: The bands cannot be matched, or the tensors are not those of the architecture.
    """
    sources, how = match_bands(bands, model)
    stem = next(name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)) + ".weight"
    adapted = dict(state_dict)
    if stem in adapted:
        adapted[stem] = _rearrange(adapted[stem], sources)
    keeps_head = tuple(class_values) == model.class_values
    own = network.state_dict()
    fitting = {
        name: tensor
        for name, tensor in adapted.items()
        if (keeps_head or not name.startswith(HEAD)) and name in own and own[name].shape == tensor.shape
    }
    wanted = {name for name in own if keeps_head or not name.startswith(HEAD)}
    if missing := wanted - set(fitting):
        raise ToolboxError(
            f"The weights of the pretrained model {model.name} do not fit its own architecture: {len(missing)} of {len(wanted)} "
            "tensors are missing or have another shape; use the original file."
        )
    network.load_state_dict(fitting, strict=False)
    theirs = ", ".join(f"{entry.value} {entry.name}" for entry in model.classes.classes)
    head = (
        "the classes are the same, so the last layer is kept"
        if keeps_head
        else f"the classes differ (the model's are {theirs}), so the last layer starts anew"
    )
    return f"The network goes on from {model.name} ({len(fitting)} of {len(own)} tensors): {how}; {head}."


def match_bands(bands: Sequence[BandStatistics], model: ModelDescription) -> tuple[list[int | None], str]:
    """For each band the model's channel to start from (None = the mean of all), and a sentence on it.

    Raises:
        ToolboxError: No band has a name that the model knows, and the numbers of bands differ.
    """
    known = [band.name.casefold() for band in model.bands]
    names = [band.name.casefold() for band in bands]
    if len(set(known)) == len(known):
        sources = [known.index(name) if name in known else None for name in names]
        if any(source is not None for source in sources):
            new = [band.name for band, source in zip(bands, sources, strict=True) if source is None]
            unused = [band.name for place, band in enumerate(model.bands) if place not in sources]
            text = "bands are matched by name" + (f", {', '.join(new)} start from the mean of the others" if new else "")
            return sources, text + (f", the model's {', '.join(unused)} have no match" if unused else "")
    if len(names) == len(known):
        return list(range(len(names))), "bands are matched by their order, since no names agree"
    raise ToolboxError(
        f"The pretrained model {model.name} has the bands {', '.join(band.name for band in model.bands)}; the chips have "
        f"{', '.join(band.name for band in bands)}: none agrees. Export chips with the model's bands."
    )


def _rearrange(kernel: Tensor, sources: Sequence[int | None]) -> Tensor:
    """Kernel (filters, new bands, rows, columns) from (filters, old bands, rows, columns), scaled by their ratio."""
    channels = [kernel.mean(dim=1) if source is None else kernel[:, source] for source in sources]
    return torch.stack(channels, dim=1) * (kernel.shape[1] / len(sources))
