# SPDX-License-Identifier: GPL-2.0-or-later
"""Texts of the tools in QGIS's language. Values are put in afterwards: ``tr("{} is empty.").format(name)``."""

from __future__ import annotations

from qgis.PyQt.QtCore import QCoreApplication


def tr(text: str) -> str:
    """The text in QGIS's language; the text itself where there is no translation."""
    return QCoreApplication.translate("DeepLearningToolbox", text)
