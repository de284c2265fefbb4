# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds the network of a training and gives it its first weights: pretrained ones, those of a model, or random ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import ToolboxError
from ..models.catalogue import check_batch
from ..models.package import read_package
from ..models.registry import SizedNetwork, build_network
from ..models.transfer import transfer_weights
from ..models.weights import load_encoder_weights
from ..runtime.protocol import Event, info, warning
from .announce import list_names
from .dataset import ChipStore
from .settings import TrainSettings


@dataclass(frozen=True)
class Start:
    """A network that is ready to be trained.

    Attributes:
        settings: The request, with the model type and the backbone in use.
        network: On the CPU.
        pretrained: Its encoder has learned something.
        origin: A sentence on its weights.
    """

    settings: TrainSettings
    network: SizedNetwork
    pretrained: bool
    origin: str


def start_network(settings: TrainSettings, store: ChipStore) -> Iterator[Event]:
    """Tells where the weights come from; returns a `Start`."""
    if settings.pretrained_model is not None:
        model, state_dict = read_package(settings.pretrained_model)
        settings = settings.with_network(model.architecture, model.backbone)
        if faults := check_batch(model.architecture, settings.batch_size):
            raise ToolboxError(" ".join(faults))
        network = _build(settings, store)
        origin = transfer_weights(network, model, state_dict, store.bands, list_names(store))
        yield info(f"{origin} Model type {model.architecture} and backbone {model.backbone} are the model's.")
        if settings.weights not in ("auto", "none"):
            yield warning(f"WEIGHTS={settings.weights} is not used, since the network starts from PRETRAINED_MODEL.")
        return Start(settings, network, True, origin)
    network = _build(settings, store)
    loaded = load_encoder_weights(network, settings.backbone, settings.weights, settings.weights_file, settings.cache, store.bands)
    yield warning(loaded.description) if loaded.warning else info(loaded.description)
    if settings.freeze and not loaded.pretrained:
        yield warning("FREEZE keeps a backbone that knows nothing yet, so the model will be poor; switch it off or choose WEIGHTS.")
    return Start(settings, network, loaded.pretrained, loaded.description)


def _build(settings: TrainSettings, store: ChipStore) -> SizedNetwork:
    return build_network(settings.model_type, settings.backbone, len(store.bands), len(store.class_values))
