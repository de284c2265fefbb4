# SPDX-License-Identifier: GPL-2.0-or-later
"""What an export to ONNX is asked to do. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import ToolboxError

SMALLEST_TILE, LARGEST_TILE = 32, 4096


@dataclass(frozen=True)
class OnnxSettings:
    """Settings of one export; the defaults are the tool's.

    Attributes:
        model: A .dlpk, or an .emd with its weights beside it.
        output: File to write (.onnx).
        tile_size: Side in pixels of the square tiles that the network will be given; 0 = the model's chip size.

    Raises:
        ToolboxError: On creation, with all faults at once.
    """

    model: str
    output: str
    tile_size: int = 0

    def __post_init__(self) -> None:
        faults = []
        if Path(self.output).suffix.lower() != ".onnx":
            faults.append(f"OUTPUT is '{Path(self.output).name}' and must end in .onnx")
        if self.tile_size and not SMALLEST_TILE <= self.tile_size <= LARGEST_TILE:
            faults.append(
                f"TILE_SIZE is {self.tile_size}, allowed are 0 (the model's chip size) and {SMALLEST_TILE} to {LARGEST_TILE}"
            )
        if faults:
            raise ToolboxError(f"The model cannot be exported: {'; '.join(faults)}.")
