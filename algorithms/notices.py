# SPDX-License-Identifier: GPL-2.0-or-later
"""What tools tell whoever listens, in whatever thread they run; they know no widgets."""

from __future__ import annotations

from qgis.core import QgsProcessingFeedback
from qgis.PyQt.QtCore import QObject, pyqtSignal


class Notices(QObject):
    """Signals of the tools; Qt delivers them in the listener's thread."""

    job_started = pyqtSignal(str, str)  # a job's stage and folder, in which its events can be followed
    backend_missing = pyqtSignal()  # a tool could not run since the deep learning libraries are missing


NOTICES = Notices()


class DetailedFeedback(QgsProcessingFeedback):
    """A feedback that also takes the numbers that run within a step, which would flood the log of Processing's dialog."""

    detail = pyqtSignal(str)
