# SPDX-License-Identifier: GPL-2.0-or-later
"""Which of several files of a band is taken for a cell size."""

import pytest
from deep_learning_toolbox.backend.imagery.scenes.scene import misfit


@pytest.mark.parametrize(
    ("sizes", "resolution", "best"),
    [
        ([10, 20, 60], 20, 20),
        ([10, 20, 60], 30, 20),
        ([10, 20, 60], 60, 60),
        ([20, 60], 10, 20),
        ([10, 20], 20 - 1e-9, 20),  # 20, but for the rounding of a file
        ([10, 20], 20 - 1e-3, 10),
    ],
)
def test_coarsest_file_that_is_fine_enough_is_taken_else_the_finest(sizes, resolution, best):
    assert min(sizes, key=lambda size: misfit(size, resolution)) == best
    assert min(reversed(sizes), key=lambda size: misfit(size, resolution)) == best
