# SPDX-License-Identifier: GPL-2.0-or-later
"""The network in the form that other programs run: from stored pixel values to probabilities, of one fixed size.

Enters: pixels divided by 255, as programs for photographs hand them over, whatever the raster's type. Inside: the stored value again,
scale and offset, the clipping and normalisation of `imagery.normalise`, the network, softmax. Leaves: a probability for each class.
The normalisation is part of the graph because the mean and deviation that such programs know cannot clip.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..imagery.band_statistics import BandStatistics
from ..imagery.normalise import normalise

INPUT_FACTOR = 255.0  # Deepness divides every pixel by it, 16-bit ones too


class PortableNetwork(nn.Module):
    """Probabilities (N, classes, S, S) of pixels (N, bands, S, S) that were divided by 255; every pixel counts as valid.

    Args:
        network: Maps normalised images to logits; copied, not changed.
        bands: Statistics of the model's bands.
    """

    def __init__(self, network: nn.Module, bands: Sequence[BandStatistics]) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).eval()
        replace_adaptive_pools(self.network)
        self._bands = tuple(bands)
        for name in ("scale", "offset"):
            values = torch.tensor([getattr(band, name) for band in bands], dtype=torch.float32)
            self.register_buffer(name, values.view(1, -1, 1, 1))  # (1, C, 1, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """Probabilities, float32, 0 to 1, that add up to 1 at each pixel."""
        values = pixels * INPUT_FACTOR * self.scale + self.offset
        # Nothing is known of nodata here: all pixels of the sum of a band with itself are valid.
        valid = torch.ones_like(values[:, 0], dtype=torch.bool)
        return self.network(normalise(values, valid, self._bands)).softmax(1)


class MatrixPool(nn.Module):
    """Average pooling to a fixed number of cells, as two products with matrices of weights.

    The same as `nn.AdaptiveAvgPool2d` up to rounding; ONNX can only express that one where the cells divide the image.

    Args:
        cells: Rows and columns of the result.
    """

    def __init__(self, cells: tuple[int, int]) -> None:
        super().__init__()
        self.cells = cells

    def forward(self, features: Tensor) -> Tensor:
        """Means (N, C, rows, columns) of the cells of features (N, C, H, W)."""
        rows, columns = (
            pool_matrix(int(side), count) for side, count in zip(features.shape[-2:], self.cells, strict=True)
        )  # (cells, side)
        return rows @ features @ columns.T


def pool_matrix(side: int, cells: int) -> Tensor:
    """Weights (cells, side), float32: cell i averages the pixels from ⌊i·side/cells⌋ to ⌈(i + 1)·side/cells⌉.

    Side 3 in 2 cells gives (1/2, 1/2, 0) and (0, 1/2, 1/2), for the cells may share pixels.
    """
    weights = torch.zeros(cells, side)
    for cell in range(cells):
        first, last = cell * side // cells, -(-(cell + 1) * side // cells)
        weights[cell, first:last] = 1 / (last - first)
    return weights


def replace_adaptive_pools(network: nn.Module) -> None:
    """Puts a `MatrixPool` in the place of each adaptive average pool with more than one cell, in place."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.AdaptiveAvgPool2d):
                size = child.output_size
                cells = (size, size) if isinstance(size, int) else tuple(size)
                if None not in cells and cells != (1, 1):
                    setattr(parent, name, MatrixPool(cells))
