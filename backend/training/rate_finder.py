# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds a learning rate by a trial: the rate rises from step to step until the loss no longer falls (Smith 2017, arXiv:1506.01186).

Smith's rule takes the rate at which the smoothed loss falls most steeply. The trial costs a twentieth of a training at most, so that
short trainings, whose trial would be noise, take the backbone's usual rate instead.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator

import numpy as np

from ..models.registry import SizedNetwork
from ..runtime.protocol import Event, info, progress
from .dataset import ChipStore
from .loop import Plan, Trainer

STEPS = 40
SHORTEST = 20 * STEPS  # steps of a training that is worth a trial
LOWEST, HIGHEST = 1 / 30, 10.0  # of the usual rate, where the trial begins and ends
SMOOTHING = 0.8  # of the exponential mean of the loss
DIVERGED = 3.0  # times the smallest loss so far


def find_rate(network: SizedNetwork, store: ChipStore, plan: Plan) -> Iterator[Event]:
    """Yields events, returns the peak rate to train with.

    Args:
        network: Stays as it is; a copy is trained.
        store: Scanned and split chips.
        plan: Of the training to come; its rate is the backbone's usual one.
    """
    usual = plan.learning_rate
    trial = Trainer(copy.deepcopy(network), store, plan, lambda: False)
    if trial.total_steps < SHORTEST:
        return usual
    rates, losses = [], []
    for step in range(STEPS):
        factor = LOWEST * (HIGHEST / LOWEST) ** (step / (STEPS - 1))
        steps = trial.try_rate(factor)
        loss = next(steps)
        if losses and loss > DIVERGED * min(losses):  # the rates before it are what was looked for
            break
        for _ in steps:
            pass  # the weights move
        if math.isfinite(loss):
            rates.append(usual * factor)
            losses.append(loss)
        yield progress(0.0, f"Looking for a learning rate, step {step + 1} of {STEPS}")
    rate = float(f"{choose_rate(rates, losses, usual):.2g}")
    yield info(f"Learning rate {rate:g}, where the loss fell fastest in a trial of {len(losses)} steps (usual: {usual:g}).")
    return rate


def choose_rate(rates: list[float], losses: list[float], usual: float) -> float:
    """The rate at which the smoothed loss falls most steeply against the logarithm of the rate; `usual` if it never falls."""
    if len(losses) < 3:
        return usual
    smooth, mean = [], 0.0
    for number, loss in enumerate(losses, 1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        smooth.append(mean / (1 - SMOOTHING**number))
    slopes = np.gradient(np.array(smooth), np.log(np.array(rates)))
    steepest = int(np.argmin(slopes))
    return float(rates[steepest]) if slopes[steepest] < 0 else usual
