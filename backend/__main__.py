# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs one request without QGIS: ``python -m deep_learning_toolbox.backend request.json``, on a server as on a desktop."""

from __future__ import annotations

import sys

from .runtime.worker import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
