# SPDX-License-Identifier: GPL-2.0-or-later
"""Seconds that loading the plugin adds to QGIS's start: import, classFactory and initProcessing, in a fresh QGIS each time.

Runs in the Python of QGIS, called by ``make bench``.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

RUNS = 7
LOAD = """
import time
from qgis.core import QgsApplication
application = QgsApplication([], False)
application.initQgis()
import numpy, osgeo.gdal  # QGIS's own plugins have loaded these by then
start = time.perf_counter()
import deep_learning_toolbox
plugin = deep_learning_toolbox.classFactory(None)
plugin.initProcessing()
print(time.perf_counter() - start)
"""


def main() -> None:
    """Prints the median and the extremes."""
    seconds = []
    for _ in range(RUNS):
        done = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, check=True)
        seconds.append(float(done.stdout.split()[-1]))
    median, low, high = statistics.median(seconds), min(seconds), max(seconds)
    sys.stdout.write(f"plugin load: median {median:.3f} s, {low:.3f} to {high:.3f} s in {RUNS} fresh starts (limit 0.3 s)\n")


if __name__ == "__main__":
    main()
