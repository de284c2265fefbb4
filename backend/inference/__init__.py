# SPDX-License-Identifier: GPL-2.0-or-later
"""Classifies rasters of any size: tile plan, blending, the streaming loop, and the writers of class rasters."""
