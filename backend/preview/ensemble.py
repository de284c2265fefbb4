# SPDX-License-Identifier: GPL-2.0-or-later
"""Some small networks on the features of single pixels, trained together in seconds.

Each member is shown another part of the labels, whole features at a time (bagging; Breiman 1996, doi:10.1007/BF00058655), so that
where they disagree, labels are missing. The members run as one batched matrix product.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

MEMBERS = 5
HIDDEN = 64
STEPS, BATCH = 300, 512
LEARNING_RATE, WEIGHT_DECAY, DROPOUT = 3e-3, 1e-2, 0.2
SHOWN_SHARE = 0.7  # of the labelled features, to each member
SMOOTHING = 0.05


class Ensemble(nn.Module):
    """Logits of all members.

    Args:
        features: Features of a pixel.
        classes: Number of classes.
        generator: Source of the first weights.
    """

    def __init__(self, features: int, classes: int, generator: torch.Generator) -> None:
        super().__init__()
        sides = [features, HIDDEN, HIDDEN, classes]
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for entering, leaving in pairwise(sides):
            weight = torch.randn(MEMBERS, entering, leaving, generator=generator) * (2 / entering) ** 0.5
            self.weights.append(nn.Parameter(weight))
            self.biases.append(nn.Parameter(torch.zeros(MEMBERS, 1, leaving)))

    def forward(self, pixels: Tensor) -> Tensor:
        """(members, pixels, classes) logits of (members, pixels, features)."""
        for place, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if place:
                pixels = nn.functional.dropout(pixels.relu(), DROPOUT, self.training)
            pixels = torch.baddbmm(bias, pixels, weight)
        return pixels

    @torch.inference_mode()
    def predict(self, pixels: Tensor) -> Tensor:
        """(pixels, classes) probabilities of (pixels, features), averaged over the members."""
        return self(pixels.expand(MEMBERS, -1, -1)).softmax(2).mean(0)


def train_ensemble(pixels: Tensor, classes: Tensor, owners: Tensor, count: int, seed: int) -> Ensemble:
    """Trains an ensemble.

    Args:
        pixels: (pixels, features) float32.
        classes: (pixels,) class index, 0 to ``count`` − 1; each class occurs.
        owners: (pixels,) number of the labelled feature that each comes from.
        count: Number of classes.
        seed: Of all draws.
    """
    generator = torch.Generator().manual_seed(seed)
    model = Ensemble(pixels.shape[1], count, generator)
    chances = torch.stack([_chances(classes, owners, count, generator) for _ in range(MEMBERS)])  # (members, pixels)
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, STEPS)
    criterion = nn.CrossEntropyLoss(label_smoothing=SMOOTHING)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # of the dropout
        for _ in range(STEPS):
            drawn = torch.multinomial(chances, BATCH, replacement=True, generator=generator)  # (members, batch)
            loss = criterion(model(pixels[drawn]).flatten(0, 1), classes[drawn].flatten())
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def _chances(classes: Tensor, owners: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Chance of each pixel to be drawn for one member: each class alike, and within it each feature that the member is shown."""
    chances = torch.zeros(len(classes))
    for index in range(count):
        features = owners[classes == index].unique()
        order = torch.randperm(len(features), generator=generator)
        shown = features[order[: max(round(SHOWN_SHARE * len(features)), 1)]]
        for owner in shown:
            found = (classes == index) & (owners == owner)
            chances[found] = 1 / (len(shown) * int(found.sum()))
    return chances
