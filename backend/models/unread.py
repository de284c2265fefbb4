# SPDX-License-Identifier: GPL-2.0-or-later
"""Takes the stages out of an encoder that the decoder does not read.

PSPNet reads an encoder down to an eighth of the image's size only. ResNets, EfficientNets and MobileNets are built with all their
stages nevertheless: nine tenths of the weights would never learn, and the latter two would even run them for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from torch import nn

RESNET_STAGES = 4  # layer1 is the second feature, after the stem


def drop_unread_stages(encoder: nn.Module) -> list[str]:
    """Removes the stages, in place; returns the beginnings of their tensors' names in the encoder."""
    dropped = []
    for parent, prefix, name in list(_find_unread(encoder)):
        if isinstance(parent, nn.Sequential):
            del parent[int(name)]
        else:
            setattr(parent, name, nn.Identity())
        dropped.append(f"{prefix}{name}.")
    return dropped


def _find_unread(encoder: nn.Module) -> Iterator[tuple[nn.Module, str, str]]:
    """Parent, its prefix and the name of each stage that is never read, the last one first."""
    if isinstance(getattr(encoder, "layer4", None), nn.Sequential):
        read = len(encoder.out_channels) - 2  # without the image itself and the stem
        for stage in range(RESNET_STAGES, read, -1):
            yield encoder, "", f"layer{stage}"
    features = getattr(encoder, "model", None)
    if isinstance(getattr(features, "blocks", None), nn.Sequential):
        info = features.feature_info
        deepest = re.fullmatch(r"blocks\.(\d+)", info.info[max(info.out_indices)]["module"])
        read = int(deepest[1]) + 1 if deepest else 0
        for stage in range(len(features.blocks) - 1, read - 1, -1):
            yield features.blocks, "model.blocks.", str(stage)
