# SPDX-License-Identifier: GPL-2.0-or-later
"""Classes, and labels (features or class rasters) burned into label windows on a raster's grid."""
