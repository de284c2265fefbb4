# SPDX-License-Identifier: GPL-2.0-or-later
import numpy as np
import pytest
from deep_learning_toolbox.backend.chips.grid import chip_starts, own_spans
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("length", "size", "stride", "starts"),
    [
        (100, 64, 32, [0, 32, 64]),  # stride below the size
        (128, 64, 64, [0, 64]),  # equal, fits
        (129, 64, 64, [0, 64, 128]),  # equal, one pixel over
        (64, 64, 16, [0]),
        (1, 64, 32, [0]),  # smaller than a chip
        (100, 10, 40, [0, 40, 80, 120]),  # stride above the size
    ],
)
def test_starts(length, size, stride, starts):
    assert chip_starts(length, size, stride) == starts


@given(st.integers(1, 500), st.integers(1, 100), st.integers(1, 100))
def test_own_parts_tile_the_axis_once(length, size, stride):
    starts = chip_starts(length, size, stride)
    claimed = np.zeros(max(length, starts[-1]) + size, int)
    for start, span in zip(starts, own_spans(starts, length), strict=True):
        claimed[start : start + min(span, size)] += 1
    assert claimed.max() <= 1
    if stride <= size:
        assert (claimed[:length] == 1).all()
