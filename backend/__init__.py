# SPDX-License-Identifier: GPL-2.0-or-later
"""Engine of the Deep Learning Toolbox: everything that needs PyTorch and rasterio.

Runs in the worker process, under the interpreter of the managed environment. Never imports qgis or PyQt. The sub-package
``runtime`` uses the standard library only, because the QGIS process imports it too.
"""

from __future__ import annotations

from pathlib import Path


def _read_version() -> str:
    """Version of the toolbox, from the plugin's metadata.txt, the only place that states it."""
    metadata = Path(__file__).resolve().parent.parent / "metadata.txt"
    for line in metadata.read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "version":
            return value.strip()
    raise ValueError(f"{metadata.name} states no version")


__version__ = _read_version()
