# SPDX-License-Identifier: GPL-2.0-or-later
"""Starts the worker from a plain file path, which is all that QGIS hands to ``python -I``.

The package is loaded under its own name from wherever this file lies, so the plugin's folder may be a link (links are not
resolved: the link, not its target, carries the right name) or a clone of any name. ``sys.path`` stays as it is: the plugins'
folder on it would let other plugins shadow libraries. Loading happens on import and not only in a main run, because child
processes of the worker (data loaders on Windows and macOS) import this file again before they unpickle our classes.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys

PACKAGE = "deep_learning_toolbox"


def load_package() -> None:
    """Makes the toolbox importable as ``deep_learning_toolbox``; does nothing when it already is loaded."""
    if PACKAGE in sys.modules:
        return
    folder = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    spec = importlib.util.spec_from_file_location(
        PACKAGE, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"the toolbox cannot be loaded from {folder}")
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)


load_package()

if __name__ == "__main__":
    sys.exit(importlib.import_module(PACKAGE + ".backend.runtime.worker").main(sys.argv[1:]))
