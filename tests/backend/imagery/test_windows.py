# SPDX-License-Identifier: GPL-2.0-or-later
import threading

import numpy as np
import pytest
from deep_learning_toolbox.backend.imagery.windows import plan_windows, read_ahead
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(1, 200), st.integers(1, 200), st.sampled_from([8, 16, 32]), st.integers(1, 5000))
def test_windows_cover_every_pixel_once_in_whole_blocks(width, height, block, most_pixels):
    seen = np.zeros((height, width), int)
    for window in plan_windows(width, height, block, most_pixels):
        seen[window.row_off : window.row_off + window.height, window.col_off : window.col_off + window.width] += 1
        assert window.row_off % block == 0
        assert window.col_off % block == 0
        assert window.width * window.height <= max(most_pixels, block * block)
    assert (seen == 1).all()


def test_contents_come_in_order_and_one_is_read_ahead():
    read, threads = [], set()

    def double(window):
        threads.add(threading.current_thread().name)
        read.append(window)
        return 2 * window

    pairs = read_ahead([1, 2, 3, 4], double)
    assert next(pairs) == (1, 2)
    assert set(read) <= {1, 2}
    assert list(pairs) == [(2, 4), (3, 6), (4, 8)]
    assert len(threads) == 1
    assert list(read_ahead([], double)) == []


def test_failure_of_the_reading_is_raised_where_its_content_is_asked_for():
    def fail(window):
        if window == 2:
            raise ValueError("damaged")
        return window

    pairs = read_ahead([1, 2, 3], fail)
    assert next(pairs) == (1, 1)
    with pytest.raises(ValueError, match="damaged"):
        list(pairs)
