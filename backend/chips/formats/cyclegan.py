# SPDX-License-Identifier: GPL-2.0-or-later
"""CycleGAN: two kinds of images that need not show the same place, in the folders A (INPUT) and B (INPUT2).

Each is a complete export of its own. Further metadata lie beside both, by which the folder as a whole is recognised: they list the
chips of both kinds, and hold the band figures of both as those of a first and a second image.
"""

from __future__ import annotations

from .export_tiles import ExportTiles

KINDS = ("A", "B")


class CycleGan(ExportTiles):
    """No label files; the exporter puts each raster's chips into its kind's folder."""

    FOLDERS = tuple(f"{kind}/images" for kind in KINDS)
