# SPDX-License-Identifier: GPL-2.0-or-later
"""Refuses an output that would replace a file which is read for it, by whatever name: another spelling, a link, a part of a VRT."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ..errors import ToolboxError


def refuse_overwriting(output: str, sources: Iterable[str]) -> None:
    """Compares the output with all sources as files, not as names.

    Args:
        output: File to be written; need not exist.
        sources: What is read: files or other GDAL sources, of which those that are no files are passed over.

    Raises:
        ToolboxError: The output is one of the sources.
    """
    if not os.path.exists(output):
        return
    for source in sources:
        if os.path.exists(source) and os.path.samefile(output, source):
            raise ToolboxError(f"The output {output} is one of the files that are read ({source}); choose another name.")
