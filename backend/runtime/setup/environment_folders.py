# SPDX-License-Identifier: GPL-2.0-or-later
"""The folders of environments: how they are named, which are ours, and how they are removed. Standard library only.

Only what carries our owner file, naming this home folder, is ever removed: the folder they lie in may be anybody's, and other users of
a computer may keep their environments in the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import uuid
from pathlib import Path

from ..lock import try_exclusive
from ..places import IN_USE, environments_folder, home_folder

OWNER_FILE = "deep_learning_toolbox.json"
_OWN_FOLDER = "deep_learning_toolbox"  # what we make in a folder that the user names
_NAME = re.compile(r"environment-[0-9a-f]{8}(-removed)?")


def environments_in(folder: Path | None) -> Path:
    """Where environments are kept in a folder that the user names; None = in the home folder."""
    return environments_folder() if folder is None else folder.absolute() / _OWN_FOLDER


def downloads_in(parent: Path) -> Path:
    """Where pip keeps what it has fetched for environments in ``parent``; a folder for each home."""
    return parent / f"downloads-{hashlib.sha256(str(home_folder()).encode()).hexdigest()[:8]}"


def make_environment_folder(parent: Path) -> Path:
    """Makes a new folder for an environment, with our owner file in it."""
    folder = parent / f"environment-{uuid.uuid4().hex[:8]}"
    folder.mkdir(parents=True)
    (folder / OWNER_FILE).write_text(json.dumps({"home": str(home_folder())}), encoding="utf-8")
    return folder


def clean(parent: Path, kept: Path | None) -> None:
    """Removes what interrupted builds and replaced environments of this home left, unless a worker still runs in it."""
    for folder in list(parent.glob("environment-*")) if parent.is_dir() else []:
        if folder != kept and _is_ours(folder):
            remove_folder(folder)


def remove_folder(folder: Path) -> bool:
    """Removes an environment of ours unless a worker runs in it; tells whether it is gone."""
    with try_exclusive(folder / IN_USE) as is_free:
        if is_free:
            # On Windows a folder with an open file cannot be renamed, so nothing is removed by halves.
            with contextlib.suppress(OSError):
                removed = folder if folder.name.endswith("-removed") else folder.replace(folder.with_name(f"{folder.name}-removed"))
                shutil.rmtree(removed, ignore_errors=True)
    return not folder.exists()


def _is_ours(folder: Path) -> bool:
    if not _NAME.fullmatch(folder.name) or not folder.is_dir():
        return False
    try:
        return bool(json.loads((folder / OWNER_FILE).read_text(encoding="utf-8"))["home"] == str(home_folder()))
    except (OSError, ValueError, KeyError, TypeError):  # somebody else's
        return False
