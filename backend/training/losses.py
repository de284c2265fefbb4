# SPDX-License-Identifier: GPL-2.0-or-later
"""Losses that look at labelled pixels only.

Logits are (N, K, H, W) of any float type and are taken to 32 bits; targets are (N, H, W) class indices 0 … K-1, `IGNORE` where
nothing is known. The usual implementations divide by ignored pixels or give NaN on a batch without labels; these do neither.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

IGNORE = -1
MAX_CLASS_WEIGHT = 10.0
FOCUS = 2.0  # the exponent of the focal loss that its authors found best
EPSILON = 1e-6  # keeps the quotient of a class that is absent from both sides finite; such a class is then left out


def class_weights(pixels: Tensor) -> Tensor:
    """Weight of each class for the cross-entropy, float32 (K,), from its number of training pixels (K,).

    1 / √frequency, scaled so that the classes present have mean 1, at most 10; 0 for a class without pixels. Pixels (100, 400, 0)
    give 1/10 and 1/20, hence weights (4/3, 2/3, 0). The full inverse frequency over-predicts rare classes.
    """
    counts = pixels.double()
    weights = torch.where(counts > 0, counts.clamp(min=1).rsqrt(), 0.0)
    mean = weights.sum() / (counts > 0).sum().clamp(min=1)
    return (weights / mean.clamp(min=1e-30)).clamp(max=MAX_CLASS_WEIGHT).float()


def segmentation_loss(logits: Tensor, target: Tensor, weights: Tensor, kind: str) -> Tensor | None:
    """Mean loss of a batch, a scalar; None when no pixel is labelled, and the batch is to be skipped.

    Args:
        logits: (N, K, H, W).
        target: (N, H, W) int64.
        weights: (K,) class weights of the cross-entropy and the focal loss.
        kind: `ce`, `dice`, `focal`, or `ce_dice`, the sum of the first two.
    """
    labelled = target != IGNORE  # (N, H, W)
    if not bool(labelled.any()):
        return None
    one_hot = F.one_hot(target.clamp(min=0), logits.shape[1]).movedim(-1, 1) * labelled[:, None]  # (N, K, H, W)
    logits, one_hot = logits.float(), one_hot.float()
    if kind == "dice":
        return masked_dice(logits, one_hot)
    if kind == "ce_dice":
        return masked_cross_entropy(logits, one_hot, weights) + masked_dice(logits, one_hot)
    return masked_cross_entropy(logits, one_hot, weights, FOCUS if kind == "focal" else 0.0)


def masked_cross_entropy(logits: Tensor, one_hot: Tensor, weights: Tensor, focus: float = 0.0) -> Tensor:
    """Weighted mean over the labelled pixels of -log softmax at the label's class; 0 when their weights sum to 0.

    With a focus, each pixel's term is multiplied by (1 - p)^focus, so that pixels that are right already count little: the focal
    loss of Lin et al. 2017 (arXiv:1708.02002), in its form for several exclusive classes. With p = 0.9 and focus 2 a pixel counts
    0.01 of its cross-entropy.

    Written as a product with the one-hot labels, because PyTorch's own has no deterministic gradient on CUDA.
    """
    weighted = one_hot * weights[None, :, None, None]  # (N, K, H, W)
    total = weighted.sum()
    logarithms = logits.log_softmax(1)
    if focus:
        weighted = weighted * (1 - logarithms.exp()).clamp(min=0) ** focus
    return -(weighted * logarithms).sum() / total.clamp(min=EPSILON)


def masked_dice(logits: Tensor, one_hot: Tensor) -> Tensor:
    """1 - mean soft Dice over the classes that have labelled pixels in the batch; unlabelled pixels enter neither side.

    After Milletari et al. 2016 (doi:10.1109/3DV.2016.79) without squares in the denominator; pixels of the whole batch count
    together, since one chip seldom shows all classes.
    """
    probabilities = logits.softmax(1) * one_hot.sum(1, keepdim=True)
    hits = (probabilities * one_hot).sum((0, 2, 3))  # (K,)
    sizes = probabilities.sum((0, 2, 3)) + one_hot.sum((0, 2, 3))
    present = one_hot.sum((0, 2, 3)) > 0
    return 1 - (2 * hits / (sizes + EPSILON))[present].mean()
