# SPDX-License-Identifier: GPL-2.0-or-later
"""Spectral indices: the catalogue, the safe evaluator of formulas, and the stage ``indices``."""
