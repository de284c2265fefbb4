# SPDX-License-Identifier: GPL-2.0-or-later
"""A first look while labelling: a small pixel model, trained in seconds on the labels so far, shown for a part of the raster."""
