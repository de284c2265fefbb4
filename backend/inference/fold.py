# SPDX-License-Identifier: GPL-2.0-or-later
"""Folds batch normalisation into the convolutions before it: the same answers with fewer passes over the memory.

Which convolution feeds which normalisation is seen by running the network once, so that this works for any module tree. What
comes out is compared with what came out before; a network that does not survive this (one whose convolution is used twice, say)
stays as it is.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

# Of logits, which are numbers of about −10 to 10; float32 sums in another order differ by 1e-5 of the largest.
TOLERANCE = 1e-4


@torch.no_grad()  # weights made in inference mode could not be used outside it
def fold_batch_norm(network: nn.Module, example: Tensor) -> int:
    """Folds in place.

    Args:
        network: In evaluation mode.
        example: (N, bands, H, W) of a size that the network takes.

    Returns:
        How many normalisations were folded; 0 when there are none or the answers would change.
    """
    if not any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        return 0
    pairs, before = _watch(network, example)
    state = {conv: (conv.weight, conv.bias) for conv, _ in pairs}
    places = {module: (parent, name) for parent in network.modules() for name, module in parent.named_children()}
    for conv, norm in pairs:
        conv.weight, conv.bias = _fold(conv, norm)
        setattr(*places[norm], _rest_of(norm))
    after = network(example)
    if torch.allclose(before, after, rtol=TOLERANCE, atol=TOLERANCE * float(before.abs().max().clamp_min(1))):
        return len(pairs)
    for conv, norm in pairs:
        conv.weight, conv.bias = state[conv]
        setattr(*places[norm], norm)
    return 0


def _watch(network: nn.Module, example: Tensor) -> tuple[list[tuple[nn.Conv2d, nn.BatchNorm2d]], Tensor]:
    """Pairs of a convolution and the normalisation that gets its output, each used once; and the network's output."""
    made: list[tuple[nn.Conv2d, Tensor]] = []  # outputs are held, since a freed one's identity may return
    fed: list[tuple[nn.BatchNorm2d, Tensor]] = []

    def note_output(module: nn.Module, _: object, output: Tensor) -> None:
        made.append((module, output))  # type: ignore[arg-type]

    def note_input(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        fed.append((module, inputs[0]))  # type: ignore[arg-type]

    hooks = [module.register_forward_hook(note_output) for module in network.modules() if type(module) is nn.Conv2d]
    hooks += [module.register_forward_pre_hook(note_input) for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    try:
        output = network(example)
    finally:
        for hook in hooks:
            hook.remove()
    source = {id(tensor): conv for conv, tensor in made}
    pairs = [(source[id(tensor)], norm) for norm, tensor in fed if id(tensor) in source and norm.track_running_stats]
    convs, norms = [conv for conv, _ in made], [norm for norm, _ in fed]
    return [(conv, norm) for conv, norm in pairs if convs.count(conv) == 1 and norms.count(norm) == 1], output


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[nn.Parameter, nn.Parameter]:
    statistics = (norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)
    return fuse_conv_bn_weights(conv.weight, conv.bias, *statistics)


def _rest_of(norm: nn.BatchNorm2d) -> nn.Module:
    """What a normalisation does besides: timm's carries the activation."""
    rest = [getattr(norm, name) for name in ("drop", "act") if isinstance(getattr(norm, name, None), nn.Module)]
    return nn.Sequential(*rest) if rest else nn.Identity()
