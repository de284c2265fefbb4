# SPDX-License-Identifier: GPL-2.0-or-later
"""A process that labels and is killed: draws, saves, draws more, undoes, changes and deletes, then waits for its end.

Arguments: the scene, the GeoPackage to make. Prints READY once all is drawn.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from qgis.core import QgsApplication

application = QgsApplication([], True)
application.initQgis()

from label_desk import LabelDesk, box  # noqa: E402 - needs QGIS to run

desk = LabelDesk(sys.argv[1])
desk.new(sys.argv[2], "Water", "Forest")
desk.labelling.choose(1)
for column in (0, 12, 24):
    desk.draw(box(column, 0))
desk.labelling.save()
first, second, third = sorted(feature.id() for feature in desk.layer.getFeatures())
desk.labelling.choose(2)
desk.draw(box(0, 30))
desk.draw(box(12, 30))
desk.draw(box(24, 30))
desk.dock.undo.click()  # the last one is gone
desk.editor.set_class([first], 2)
desk.editor.replace(second, box(12, 0, 5), desk.layer.crs())
desk.editor.delete([third])
desk.process()
sys.stdout.write("READY\n")
sys.stdout.flush()
time.sleep(600)
