# SPDX-License-Identifier: GPL-2.0-or-later
"""Puts the plugin of this checkout into the user's default QGIS profile. Standard library only; Linux, macOS and Windows."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

NAME = "deep_learning_toolbox"


def profile_folders() -> list[Path]:
    """Plugin folders of the default profiles of QGIS 3 and 4 on this system, those that exist first."""
    home = Path.home()
    base = {
        "win32": Path(os.environ.get("APPDATA", home)) / "QGIS",
        "darwin": home / "Library" / "Application Support" / "QGIS",
    }.get(sys.platform, home / ".local" / "share" / "QGIS")
    profiles = [base / version / "profiles" / "default" for version in ("QGIS3", "QGIS4")]
    existing = [profile for profile in profiles if profile.exists()]
    return [profile / "python" / "plugins" for profile in existing or profiles[:1]]


def install() -> None:
    """Unpacks what `make package` would ship; an older copy is replaced only when the new one is whole."""
    root = Path(__file__).resolve().parent.parent
    with tempfile.TemporaryDirectory() as scratch:
        archive = Path(scratch) / "plugin.zip"
        subprocess.run(["git", "-C", str(root), "archive", f"--prefix={NAME}/", "-o", str(archive), "HEAD"], check=True)
        for folder in profile_folders():
            folder.mkdir(parents=True, exist_ok=True)
            fresh = folder / f".{NAME}-new"
            shutil.rmtree(fresh, ignore_errors=True)
            with zipfile.ZipFile(archive) as package:
                for member in package.namelist():
                    package.extract(member, fresh)
            target = folder / NAME
            if target.is_symlink():
                target.unlink()
            elif target.exists():
                shutil.rmtree(target)
            (fresh / NAME).rename(target)
            fresh.rmdir()
            sys.stdout.write(f"Installed in {target}\n")
    sys.stdout.write("Start QGIS, switch on Deep Learning Toolbox in Plugins > Manage and Install Plugins,\n")
    sys.stdout.write("then run Processing Toolbox > Deep Learning Toolbox > Set-up > Install deep learning libraries.\n")


if __name__ == "__main__":
    install()
