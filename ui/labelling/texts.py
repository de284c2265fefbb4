# SPDX-License-Identifier: GPL-2.0-or-later
"""Texts of the label dock in QGIS's language."""

from __future__ import annotations

from qgis.PyQt.QtCore import QCoreApplication


def tr(text: str) -> str:
    """The text in QGIS's language."""
    return QCoreApplication.translate("DeepLearningToolbox", text)
