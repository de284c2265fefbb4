# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds networks from the names in `catalogue`.

Enters: two names, the number of bands and of classes. Leaves: a module that maps any H × W to logits of the same H × W. Weights
are random here; `weights` loads pretrained encoders, `package` trained networks. segmentation-models-pytorch is imported when
the first network is built, since that takes seconds.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import ToolboxError
from .catalogue import ARCHITECTURES, ENCODERS, check_choice, is_convolutional
from .unread import drop_unread_stages

__all__ = ["ARCHITECTURES", "ENCODERS", "OUTPUT_STRIDE", "SizedNetwork", "build_network", "check_choice", "is_convolutional"]

OUTPUT_STRIDE = 32  # all encoders halve the image five times; the loss of a smaller stride would be a few padded pixels
SMALLEST_SIDE = 64  # at 32 the deepest map has one pixel, and batch normalisation cannot train on one value per channel
MAX_CHANNELS = 500
MAX_CLASSES = 65_535


class SizedNetwork(nn.Module):
    """A segmentation network for images of any size.

    The image is padded at its right and lower edge with zeros, which after normalisation is what nodata pixels are, and the
    logits are cut back.

    Attributes:
        unread: Beginnings of the names of tensors that packages of version 1 hold for stages that this network does without.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.unread = tuple(f"network.encoder.{name}" for name in drop_unread_stages(self.encoder))

    @property
    def encoder(self) -> nn.Module:
        """The part that pretrained weights fit."""
        return self.network.encoder

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, classes, H, W), float, of normalised images (N, bands, H, W)."""
        # Plain numbers also while the network is traced for an export, where a division of shapes would round otherwise.
        rows, columns = int(image.shape[-2]), int(image.shape[-1])
        padded = nn.functional.pad(image, (0, _padding(columns), 0, _padding(rows)))  # (N, bands, H', W'), multiples of 32
        return self.network(padded)[..., :rows, :columns]


def _padding(side: int) -> int:
    """Pixels to add so that `side` is a multiple of 32 and at least 64: 65 → 31, 32 → 32."""
    wanted = max(SMALLEST_SIDE, -(-side // OUTPUT_STRIDE) * OUTPUT_STRIDE)
    return wanted - side


def build_network(architecture: str, backbone: str, channels: int, classes: int) -> SizedNetwork:
    """A network with random weights (torch's global generator).

    Args:
        architecture: Key of `ARCHITECTURES`.
        backbone: Key of `ENCODERS`.
        channels: Number of bands, 1 to 500.
        classes: Number of output channels, 1 to 65,535.

    Raises:
        ToolboxError: A name that is not in the lists (the message gives the choices), a pair that does not fit, a count out of
        range.
    """
    faults = check_choice(architecture, backbone)
    if not 1 <= channels <= MAX_CHANNELS:
        faults.append(f"A network needs 1 to {MAX_CHANNELS} bands, not {channels}.")
    if not 1 <= classes <= MAX_CLASSES:
        faults.append(f"A network needs 1 to {MAX_CLASSES} classes, not {classes}.")
    if faults:
        raise ToolboxError(" ".join(faults))
    import segmentation_models_pytorch as smp

    build = getattr(smp, ARCHITECTURES[architecture].smp_class)
    network = build(ENCODERS[backbone].smp_name, encoder_weights=None, in_channels=channels, classes=classes)
    return SizedNetwork(network).to(torch.float32)
