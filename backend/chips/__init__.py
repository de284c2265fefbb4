# SPDX-License-Identifier: GPL-2.0-or-later
"""Chips: image and label cut for training. Grid, export with ArcGIS's metadata, our index, and the reader of chip folders."""
