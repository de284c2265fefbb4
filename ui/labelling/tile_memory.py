# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the tiles of a label layer and their progress are kept: in a file beside the labels, so that every project finds them.

A layer that lies in no file, or in a folder where nothing can be written, has them in the project.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from qgis.core import QgsProject

SCOPE = "DeepLearningToolbox"


class TileMemory:
    """A text for one label layer.

    Args:
        project: Keeps what cannot be kept beside the labels.
        key: Id of the layer; empty for none, which remembers nothing.
        file: Where the text lies beside the labels; None when they lie in no file.
    """

    def __init__(self, project: QgsProject, key: str, file: Path | None = None) -> None:
        self._project, self._entry, self._file = project, f"label_tiles/{key}" if key else "", file

    def read(self) -> str:
        """The text; empty when there is none. A copy in the project is the newer one: it was written when the file could not be."""
        if not self._entry:
            return ""
        kept = self._project.readEntry(SCOPE, self._entry)[0]
        if kept or self._file is None:
            return kept
        try:
            return self._file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):  # none yet, or not readable: the tiles can be made anew
            return ""

    def write(self, text: str) -> None:
        """Keeps a text instead of the one before; a crash leaves either."""
        if not self._entry:
            return
        if self._file is not None:
            partial = self._file.with_name(f"{self._file.name}.partial")
            try:
                partial.write_text(text, encoding="utf-8")
                os.replace(partial, self._file)
            except OSError:
                with contextlib.suppress(OSError):
                    partial.unlink()
            else:
                self._project.removeEntry(SCOPE, self._entry)
                return
        self._project.writeEntry(SCOPE, self._entry, text)

    def forget(self) -> None:
        """Keeps nothing any more."""
        if not self._entry:
            return
        self._project.removeEntry(SCOPE, self._entry)
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.unlink()
