# SPDX-License-Identifier: GPL-2.0-or-later
"""A second training with all labels, once the held-out ones have told how good the network is.

Of few labels, those that are held out are missed. On the Landsat scene of the demo, with nineteen polygons of which eight were held
out (mean of three folds, 12 epochs, one seed), the mean accuracy of the classes on polygons that no training saw rose from 0.59 to
0.67 when all nineteen were trained on; overall accuracy stayed at 0.69. The figures that are reported stay those of the first
training, which never saw the held-out labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from torch import Tensor

from ..models.registry import SizedNetwork
from ..runtime.protocol import Event, info, warning
from .dataset import ChipStore
from .loop import Trainer
from .outcome import is_better
from .settings import TrainSettings

REFIT_BELOW = 200  # blocks: with more, a fifth of them is not missed, and a second training takes as long as the first


def wants_refit(settings: TrainSettings, store: ChipStore) -> bool:
    """Whether the request asks for it, or leaves it to the number of blocks of labels; a folder of its own is for validation only."""
    few = len(store.census) < REFIT_BELOW and settings.split != "folder"
    return settings.refit == "always" or (settings.refit == "auto" and few)


def prepare_refit(first: Trainer, start: Mapping[str, Tensor], is_stopped: Callable[[], bool]) -> Trainer:
    """The second training: on all labels, from the same start, with the batch that fitted.

    Args:
        first: The first training, whose network and plan are used.
        start: The network's weights before it.
        is_stopped: True once the user wants what there is.
    """
    network: SizedNetwork = first.network
    network.load_state_dict(start)
    first.store.use_all_labels()
    settings = replace(first.settings, batch_size=first.outcome.batch_size * first.plan.ranks.size)
    return Trainer(network, first.store, replace(first.plan, settings=settings, validates=False), is_stopped)


def announce_refit(first: Trainer) -> Event:
    """The line before the second training."""
    return info(
        f"Training again for {first.settings.max_epochs} epochs, now with the held-out labels too; the figures stay those of the "
        "first training."
    )


def judge_refit(first: Trainer, second: Trainer) -> Event | None:
    """A warning when the second training's weights are not to be used, None when they are.

    They are not when the network knows the held-out labels worse although it has now seen them: a training can fail by chance,
    above all a short one.
    """
    if not is_better(first.outcome.score, second.outcome.score, first.settings.monitor):
        return None
    return warning(
        "The second training did worse, even on labels that it had seen, so the network of the first is kept; a larger MAX_EPOCHS "
        "makes trainings steadier."
    )
