# SPDX-License-Identifier: GPL-2.0-or-later
"""Estimate classification: what “Classify pixels using deep learning” would take; for its dialog and for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qgis.core import QgsProcessingAlgorithm, QgsProcessingOutputNumber, QgsProcessingOutputString

from .base import Parameters
from .classify_pixels import ClassifyPixels

if TYPE_CHECKING:
    from qgis.PyQt.QtWidgets import QWidget


class EstimateClassification(ClassifyPixels):
    """Tiles, time, memory and disk of a classification; nothing is written."""

    STAGE = "estimate"
    KEEPS_REQUEST = False

    def name(self) -> str:
        return "estimateclassification"

    def displayName(self) -> str:
        return self.tr("Estimate classification")

    def flags(self) -> QgsProcessingAlgorithm.Flag:
        # In the Toolbox it would only stand in the way of the tool whose dialog calls it.
        return super().flags() | QgsProcessingAlgorithm.Flag.FlagHideFromToolbox

    def createCustomParametersWidget(self, parent: QWidget | None = None) -> QWidget | None:
        return None

    def help_text(self) -> str:
        return self.tr(
            "Tells what “Classify pixels using deep learning” would take with the same parameters: tiles, time, memory and disk. It "
            "runs the network on a few tiles; nothing is written. Tiles without data cost no time later, so it may well be less."
        )

    def initAlgorithm(self, configuration: Parameters | None = None) -> None:
        super().initAlgorithm(configuration)
        self.addOutput(QgsProcessingOutputNumber("TILES", self.tr("Tiles")))
        self.addOutput(QgsProcessingOutputNumber("OVERLAP_FACTOR", self.tr("Pixels computed for each pixel")))
        self.addOutput(QgsProcessingOutputNumber("SECONDS", self.tr("Time (seconds)")))
        self.addOutput(QgsProcessingOutputNumber("MEMORY_MB", self.tr("Memory for image data (MB)")))
        self.addOutput(QgsProcessingOutputNumber("OUTPUT_MB", self.tr("Disk, at most (MB)")))
        self.addOutput(QgsProcessingOutputString("SUMMARY", self.tr("Summary")))
