# SPDX-License-Identifier: GPL-2.0-or-later
"""Check set-up: which Python runs the deep learning, why, and on what device it really computes."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from qgis.core import (
    Qgis,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputBoolean,
    QgsProcessingOutputString,
    QgsProcessingParameterFileDestination,
)

from ..backend.errors import ToolboxError
from ..backend.runtime.client import JobCancelled
from ..backend.runtime.setup.diagnostics import describe_readiness, diagnose
from ..backend.runtime.setup.gpu import find_graphics
from .base import Parameters, ToolboxAlgorithm
from .job import Job
from .network_settings import describe_network


class CheckSetup(ToolboxAlgorithm):
    """Reports on the worker; what is missing is its result, not a failure."""

    ICON = "setup.svg"

    OUTPUT_HTML = "OUTPUT_HTML"
    DEVICE = "DEVICE"
    TORCH_VERSION = "TORCH_VERSION"
    READY = "READY"
    SUMMARY = "SUMMARY"

    def name(self) -> str:
        return "checksetup"

    def displayName(self) -> str:
        return self.tr("Check set-up")

    def group(self) -> str:
        return self.tr("Set-up")

    def groupId(self) -> str:
        return "setup"

    def tags(self) -> list[str]:
        return self.tr("diagnostics,gpu,cuda,pytorch,version,install").split(",")

    def help_text(self) -> str:
        return self.tr(
            "Tells which Python runs the deep learning and why, the versions of its libraries, which graphics card and driver there "
            "are, and on which device a real computation ran. Needs no input and changes nothing."
        )

    def initAlgorithm(self, configuration: Parameters | None = None) -> None:
        self.add(
            QgsProcessingParameterFileDestination(
                self.OUTPUT_HTML, self.tr("Report"), self.tr("HTML files (*.html)"), None, True, False
            ),
            self.tr("Optional page with everything that this tool finds out."),
        )
        self.addOutput(QgsProcessingOutputString(self.DEVICE, self.tr("Device")))
        self.addOutput(QgsProcessingOutputString(self.TORCH_VERSION, self.tr("Version of PyTorch")))
        self.addOutput(QgsProcessingOutputBoolean(self.READY, self.tr("Ready")))
        self.addOutput(QgsProcessingOutputString(self.SUMMARY, self.tr("What is ready, or why nothing is")))

    def processAlgorithm(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        graphics = find_graphics()
        rows = {"QGIS": Qgis.version(), **diagnose(describe_network(), graphics)}
        outputs: dict[str, Any] = {self.DEVICE: "", self.TORCH_VERSION: "", self.READY: False}
        try:
            job = Job.start("probe", feedback)
            rows["Python"] = f"{job.interpreter.path} ({job.interpreter.source})"
            found = job.run({"device": "auto"})
            outputs.update({name: found[name] for name in outputs})
            rows["Device"] = found["DEVICE"] + (f" ({found['REASON']})" if found["REASON"] else "")
            rows.update(found["PACKAGES"])
            rows["Result"] = describe_readiness(found, graphics)
        except JobCancelled as failure:
            raise QgsProcessingException(str(failure)) from failure
        except ToolboxError as failure:
            rows["Result"] = self.tr("Not ready: {}").format(failure)
        outputs[self.SUMMARY] = rows["Result"]
        for name, value in rows.items():
            feedback.pushInfo(f"{name}: {value}")
        report = self.output_path(parameters, self.OUTPUT_HTML, context)
        if report:
            write_report(Path(report), rows)
            outputs[self.OUTPUT_HTML] = report
        return outputs


def write_report(path: Path, rows: dict[str, str]) -> None:
    """Writes the findings as a page; raises QgsProcessingException when the place cannot be written."""
    cells = ((html.escape(name), html.escape(value)) for name, value in rows.items())
    lines = "".join(f"<tr><th align=left>{name}</th><td>{value}</td></tr>\n" for name, value in cells)
    head = "<!DOCTYPE html>\n<html><head><meta charset=utf-8><title>Deep Learning Toolbox</title></head>\n"
    page = f"{head}<body>\n<table>\n{lines}</table>\n</body></html>\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        part.write_text(page, encoding="utf-8")
        part.replace(path)
    except OSError as failure:
        raise QgsProcessingException(f"The report {path} cannot be written ({failure}); choose another place.") from failure
