# SPDX-License-Identifier: GPL-2.0-or-later
"""Labelling objects on the canvas: tools emit geometry, the editor changes the layer, the dock shows."""
