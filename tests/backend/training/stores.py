# SPDX-License-Identifier: GPL-2.0-or-later
"""Chip stores without a training."""

from __future__ import annotations

from deep_learning_toolbox.backend.training.dataset import ChipStore
from deep_learning_toolbox.backend.training.settings import TrainSettings
from deep_learning_toolbox.backend.training.split import split_blocks


def settings_of(*folders, **changes):
    """Settings that read these chip folders."""
    first, *more = map(str, folders)
    return TrainSettings(folder=first, output="not written", more_folders=more, **changes)


def split_store(folder, percent):
    """The scanned chips of a folder, so many per cent of their labels held out."""
    store = ChipStore(settings_of(folder))
    list(store.scan())
    store.apply_split(split_blocks(store.census, percent, 0))
    return store
