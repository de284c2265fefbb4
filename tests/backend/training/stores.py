# SPDX-License-Identifier: GPL-2.0-or-later
"""Chip stores without a training."""

from __future__ import annotations

from deep_learning_toolbox.backend.training.settings import TrainSettings


def settings_of(*folders, **changes):
    """Settings that read these chip folders."""
    first, *more = map(str, folders)
    return TrainSettings(folder=first, output="not written", more_folders=more, **changes)
