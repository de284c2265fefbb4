# SPDX-License-Identifier: GPL-2.0-or-later
"""Windowed reading of rasters with one valid mask, band statistics, and the normalisation that training and inference share."""
