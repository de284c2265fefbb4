# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows that are written while the network is at the next ones."""

import threading

import numpy as np
import pytest
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.inference.writer import RasterOutput

from .known import FirstBandNetwork, run, scene

TILES = {"tile_size": 32, "overlap": 8, "batch_size": 1}
COLUMNS = 4  # of tiles, in the 90 columns of the scene


def test_rows_are_written_while_the_network_is_at_the_next_ones(tmp_path, monkeypatch):
    is_further = threading.Event()
    met = []

    class Network(FirstBandNetwork):
        def forward(self, image):
            logits = super().forward(image)
            if len(self.sizes) > COLUMNS:
                is_further.set()
            return logits

    write = RasterOutput.write

    def write_later(output, *what):
        met.append(is_further.wait(60))
        write(output, *what)

    monkeypatch.setattr(RasterOutput, "write", write_later)
    found, _ = run(tmp_path, scene(), network=Network(3), **TILES)
    assert all(met)
    assert np.array_equal(found, scene()[0] + 1)


@pytest.mark.parametrize("place", ["the first rows", "later rows"])
def test_failure_to_write_ends_the_run_with_its_reason(tmp_path, monkeypatch, place):
    def refuse(output, row, column, values):
        if (row == 0) == (place == "the first rows"):
            raise ToolboxError(f"There is no room for {place}.")

    monkeypatch.setattr(RasterOutput, "write", refuse)
    with pytest.raises(ToolboxError, match=f"no room for {place}"):
        run(tmp_path, scene(), **TILES)
    assert not (tmp_path / "out").exists()
