# SPDX-License-Identifier: GPL-2.0-or-later
"""A second training with all labels, once the held-out ones have told how good the network is.

Of few labels, those that are held out are missed. On the Landsat scene of the demo, with nineteen polygons of which eight were held
out (mean of three folds, 12 epochs, one seed), the mean accuracy of the classes on polygons that no training saw rose from 0.59 to
0.67 when all nineteen were trained on; overall accuracy stayed at 0.69. The figures that are reported stay those of the first
training, which never saw the held-out labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from torch import Tensor

from ..models.registry import SizedNetwork
from ..runtime.protocol import Event, info, warning
from .dataset import ChipStore
from .loop import Trainer, is_better
from .settings import TrainSettings

REFIT_BELOW = 200  # blocks: with more, a fifth of them is not missed, and a second training takes as long as the first


def wants_refit(settings: TrainSettings, store: ChipStore) -> bool:
    """Whether the request asks for it, or leaves it to the number of blocks of labels."""
    return settings.refit == "always" or (settings.refit == "auto" and len(store.census) < REFIT_BELOW)


def refit(
    first: Trainer,
    start: Mapping[str, Tensor],
    pretrained: bool,
    is_stopped: Callable[[], bool],
) -> Iterator[Event]:
    """Trains anew on all labels, from the same start; returns the weights, None when those of the first training are to be kept.

    That is so when it was stopped before the end, and when the network knows the held-out labels worse although it has now seen
    them: a training can fail by chance, above all a short one.

    Args:
        first: The first training, whose network and settings are used.
        start: The network's weights before it.
        pretrained: The encoder has pretrained weights.
        is_stopped: True once the user wants what there is.
    """
    epochs = first.settings.max_epochs
    yield info(f"Training again for {epochs} epochs, now with the held-out labels too; the figures stay those of the first training.")
    network: SizedNetwork = first.network
    network.load_state_dict(start)
    first.store.use_all_labels()
    settings = replace(first.settings, max_epochs=epochs, batch_size=first.outcome.batch_size)
    rate = first.outcome.learning_rate
    second = Trainer(network, first.store, settings, str(first.device), pretrained, rate, is_stopped, validates=False)
    yield from second.fit()
    if not second.outcome.state_dict:
        return None
    if is_better(first.outcome.score, second.outcome.score, settings.monitor):
        yield warning(
            "The second training did worse, even on labels that it had seen, so the network of the first is kept; a larger MAX_EPOCHS "
            "makes trainings steadier."
        )
        return None
    return second.outcome.state_dict
