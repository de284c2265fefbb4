# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of what the worker can do.

A stage is one generator function that takes its settings dataclass and the job id and yields events, a ``result`` last. Nothing
is imported before it is asked for: the settings are checked before the function's module, and with it PyTorch, is loaded.
"""

from __future__ import annotations

from collections.abc import Generator
from importlib import import_module
from typing import Any, Callable, NamedTuple, cast

from ..errors import ToolboxError
from .protocol import Event

StageFunction = Callable[[Any, str], Generator[Event, None, None]]


class Stage(NamedTuple):
    """Where a stage is found; module names are relative to ``backend``."""

    module: str
    function: str
    settings_module: str
    settings: str

    def load_settings(self) -> type:
        """The stage's settings dataclass; imports nothing heavy."""
        return cast(type, getattr(import_module(self.settings_module, _BACKEND), self.settings))

    def load_function(self) -> StageFunction:
        """The stage's generator function; may import PyTorch."""
        return cast(StageFunction, getattr(import_module(self.module, _BACKEND), self.function))


_BACKEND = __package__.rpartition(".")[0]

STAGES = {
    "probe": Stage(".runtime.probe", "probe", ".runtime.probe", "ProbeSettings"),
    "segment": Stage(".labels.segments.segment", "segment_image", ".labels.segments.settings", "SegmentSettings"),
    "export": Stage(".chips.export", "export_chips", ".chips.settings", "ExportSettings"),
    "inspect": Stage(".chips.inspection.folder", "inspect_chips", ".chips.inspection.settings", "InspectSettings"),
    "onnx": Stage(".models.onnx_export", "export_onnx", ".models.onnx_settings", "OnnxSettings"),
    "train": Stage(".training.train", "train", ".training.settings", "TrainSettings"),
    "classify": Stage(".inference.classify", "classify", ".inference.settings", "ClassifySettings"),
    "classify_folder": Stage(
        ".inference.folder", "classify_folder", ".inference.folder_settings", "FolderSettings"
    ),
    "estimate": Stage(".inference.estimate", "estimate", ".inference.settings", "ClassifySettings"),
    "preview": Stage(".preview.preview", "preview_classes", ".preview.settings", "PreviewSettings"),
    "accuracy_points": Stage(".assessment.points", "draw_points", ".assessment.settings", "PointsSettings"),
    "assess": Stage(".assessment.assess", "assess", ".assessment.settings", "AssessSettings"),
    "indices": Stage(".imagery.indices.compute", "compute_indices", ".imagery.indices.settings", "IndicesSettings"),
    "scene": Stage(".imagery.scenes.prepare", "prepare_scene", ".imagery.scenes.settings", "SceneSettings"),
}


def load_stage(name: str) -> Stage:
    """The stage of this name.

    Raises:
        ToolboxError: There is no such stage; the text lists those there are.
    """
    try:
        return STAGES[name]
    except KeyError:
        raise ToolboxError(f"The request asks for the stage “{name}”; this version knows {', '.join(STAGES)}.") from None
