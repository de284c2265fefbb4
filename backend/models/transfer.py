# SPDX-License-Identifier: GPL-2.0-or-later
"""Starts a network from a trained model of the same architecture whose bands or classes may differ (PRETRAINED_MODEL)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ..errors import ToolboxError
from ..imagery.band_statistics import BandStatistics
from ..imagery.sensors import name_meanings
from .definition import ModelDescription
from .registry import SizedNetwork

HEAD = "network.segmentation_head."


def transfer_weights(
    network: SizedNetwork,
    model: ModelDescription,
    state_dict: Mapping[str, Tensor],
    bands: Sequence[BandStatistics],
    class_names: Sequence[str],
) -> str:
    """Copies a model's tensors into the network, in place; returns a sentence on what was kept.

    The first convolution follows the bands (`match_bands`), the last layer the classes (`match_classes`): what it knows of a class
    that both have is kept, and a new class starts from random weights.

    Args:
        network: A fresh one of the model's architecture and backbone.
        model: The trained model.
        state_dict: Its tensors.
        bands: The new network's bands.
        class_names: The new network's classes, in channel order, with the background if there is one.

    Raises:
        ToolboxError: The bands cannot be matched, or the tensors are not those of the architecture.
    """
    sources, how = match_bands(bands, model)
    stem = next(name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)) + ".weight"
    adapted = dict(state_dict)
    if stem in adapted:
        adapted[stem] = _rearrange(adapted[stem], sources)
    channels, head = match_classes(class_names, model)
    own = network.state_dict()
    for name in [name for name in adapted if name.startswith(HEAD) and name in own and len(adapted[name]) == len(model.class_names)]:
        adapted[name] = _pick_rows(adapted[name], channels, own[name])
    fitting = {name: tensor for name, tensor in adapted.items() if name in own and own[name].shape == tensor.shape}
    if missing := set(own) - set(fitting):
        raise ToolboxError(
            f"The weights of the pretrained model {model.name} do not fit its own architecture: {len(missing)} of {len(own)} "
            "tensors are missing or have another shape; use the original file."
        )
    network.load_state_dict(fitting, strict=False)
    return f"The network goes on from {model.name}: {how}; {head}."


def match_bands(bands: Sequence[BandStatistics], model: ModelDescription) -> tuple[list[int | None], str]:
    """For each band the model's channel to start from (None = the mean of all), and a sentence on it.

    Raises:
        ToolboxError: No band has a name or a meaning that the model knows, and the numbers of bands differ.
    """
    if len({band.name.casefold() for band in model.bands}) == len(model.bands):
        sources = _find_sources(bands, model)
        if any(source is not None for source in sources):
            pairs = [
                (band.name, source if source is None else model.bands[source].name)
                for band, source in zip(bands, sources, strict=True)
            ]
            new = ", ".join(name for name, source in pairs if source is None)
            meant = ", ".join(f"{name} = {source}" for name, source in pairs if source and source.casefold() != name.casefold())
            unused = ", ".join(band.name for place, band in enumerate(model.bands) if place not in sources)
            parts = ["bands are matched by name" + (f" and by what names mean ({meant})" if meant else "")]
            parts.append(f"{new} start from the mean of the others" if new else "")
            parts.append(f"the model's {unused} have no match" if unused else "")
            return sources, ", ".join(filter(None, parts))
    if len(bands) == len(model.bands):
        return list(range(len(bands))), "bands are matched by their order, since no names agree"
    raise ToolboxError(
        f"The pretrained model {model.name} has the bands {', '.join(band.name for band in model.bands)}; the chips have "
        f"{', '.join(band.name for band in bands)}: none agrees. Export chips with the model's bands."
    )


def _find_sources(bands: Sequence[BandStatistics], model: ModelDescription) -> list[int | None]:
    """For each band the model's channel of that name or, where none has it, of that meaning: red is B04 of Sentinel-2."""
    known = [band.name.casefold() for band in model.bands]
    names = [band.name.casefold() for band in bands]
    sources = [known.index(name) if name in known else None for name in names]
    theirs = name_meanings([band.name for band in model.bands], [band.wavelength for band in model.bands])
    ours = name_meanings([band.name for band in bands], [band.wavelength for band in bands])
    for place, meaning in enumerate(ours):
        if sources[place] is None and meaning and ours.count(meaning) == theirs.count(meaning) == 1:
            source = theirs.index(meaning)
            sources[place] = None if source in sources else source
    return sources


def match_classes(names: Sequence[str], model: ModelDescription) -> tuple[list[int | None], str]:
    """For each class the model's channel of the same name (None = a new one), and a sentence on it.

    Names count and not values, since a 1 may be water here and buildings there. A name that stands twice tells nothing.
    """
    known = [name.strip().casefold() for name in model.class_names]
    wanted = [name.strip().casefold() for name in names]
    channels = [known.index(name) if known.count(name) == wanted.count(name) == 1 else None for name in wanted]
    if channels == list(range(len(known))):
        return channels, "the classes are the same, so the last layer is kept"
    unused = ", ".join(name for place, name in enumerate(model.class_names) if place not in channels)
    if not any(channel is not None for channel in channels):
        return channels, f"none of the model's classes ({unused}) is among these, so the last layer starts anew"
    kept = ", ".join(name for name, channel in zip(names, channels, strict=True) if channel is not None)
    new = ", ".join(name for name, channel in zip(names, channels, strict=True) if channel is None)
    parts = [f"the last layer keeps what it knows of {kept}", f"{new} start anew" if new else ""]
    parts.append(f"the model's {unused} have no match" if unused else "")
    return channels, ", ".join(filter(None, parts))


def _pick_rows(tensor: Tensor, channels: Sequence[int | None], fresh: Tensor) -> Tensor:
    """The last layer's weights or offsets (new classes, …): of the model where it knows the class, else the fresh ones."""
    return torch.stack([fresh[row] if channel is None else tensor[channel] for row, channel in enumerate(channels)])


def _rearrange(kernel: Tensor, sources: Sequence[int | None]) -> Tensor:
    """Kernel (filters, new bands, rows, columns) from (filters, old bands, rows, columns), scaled by their ratio."""
    channels = [kernel.mean(dim=1) if source is None else kernel[:, source] for source in sources]
    return torch.stack(channels, dim=1) * (kernel.shape[1] / len(sources))
