# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes a private QGIS profile in which the plugin is switched on: ``profile.py FOLDER``. Standard library only."""

from __future__ import annotations

import sys
from pathlib import Path

SETTINGS = """[PythonPlugins]
deep_learning_toolbox=true
processing=true

[qgis]
checkVersion=false
newsFeed/enabled=false
"""


def make_profile(folder: Path) -> None:
    """Writes the settings of a default profile for QGIS 3 and 4, unless they exist (the user may have changed them)."""
    for name in ("QGIS3.ini", "QGIS4.ini"):
        path = folder / "profiles" / "default" / "QGIS" / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(SETTINGS, encoding="utf-8")


if __name__ == "__main__":
    make_profile(Path(sys.argv[1]))
