# SPDX-License-Identifier: GPL-2.0-or-later
"""The recipe of a first tutorial, to compare with: Adam at a fixed rate, cross-entropy, whole chips, nothing else."""

from __future__ import annotations

import numpy as np
import torch
from deep_learning_toolbox.backend.models.registry import SizedNetwork
from deep_learning_toolbox.backend.training.dataset import ChipStore
from deep_learning_toolbox.backend.training.losses import IGNORE

RATE, BATCH = 1e-3, 8


def train_plainly(network: SizedNetwork, store: ChipStore, steps: int, seed: int) -> None:
    """Trains in place on all labels, in random batches of whole chips, for so many steps."""
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    store.use_all_labels()
    optimiser = torch.optim.Adam(network.parameters(), RATE)
    loss_of = torch.nn.CrossEntropyLoss(ignore_index=IGNORE)
    network.train()
    for _ in range(steps):
        chips = store.get(random.choice(len(store), BATCH).tolist(), validation=False)
        target = torch.stack([chip.target for chip in chips]).long()
        if not bool((target != IGNORE).any()):
            continue
        optimiser.zero_grad()
        loss_of(network(torch.stack([chip.image for chip in chips])), target).backward()
        optimiser.step()
    network.eval()
