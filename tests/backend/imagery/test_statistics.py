# SPDX-License-Identifier: GPL-2.0-or-later
import numpy as np
import pytest
import torch
from deep_learning_toolbox.backend.imagery.normalise import BandStatistics, normalise
from deep_learning_toolbox.backend.imagery.raster import describe
from deep_learning_toolbox.backend.imagery.statistics import SAMPLE_SIZE, StatisticsAccumulator
from hypothesis import given, settings
from hypothesis import strategies as st

from ..rasters import write_raster


@pytest.fixture(scope="module")
def info(tmp_path_factory):
    path = tmp_path_factory.mktemp("raster") / "a.tif"
    return describe(write_raster(path, np.zeros((2, 2, 2), np.uint8), names=["red", "nir"]))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_windows_add_up_to_the_statistics_of_all_valid_pixels(info, sizes, seed):
    random = np.random.default_rng(seed)
    accumulator, kept = StatisticsAccumulator(2), []
    for size in sizes:
        image = random.normal(1000, 30, (2, 1, size))
        valid = random.random((1, size)) < 0.7
        valid[0, 0] = True
        accumulator.add(image, valid)
        kept.append(image[:, valid])
    everything = np.concatenate(kept, axis=1)
    for band, figures in enumerate(accumulator.finish(info, [1, 2])):
        assert figures.count == everything.shape[1]
        assert figures.mean == pytest.approx(everything[band].mean())
        assert figures.std == pytest.approx(everything[band].std(), abs=1e-6)
        assert figures.minimum == everything[band].min()
        assert figures.low == pytest.approx(np.percentile(everything[band], 0.5), rel=1e-5)


def test_percentiles_of_more_pixels_than_the_sample_are_close_and_repeatable(info):
    def run():
        accumulator = StatisticsAccumulator(2)
        for part in range(3):
            values = np.random.default_rng(part).uniform(0, 100, (2, 300, 300))
            accumulator.add(values, np.ones((300, 300), bool))
        return accumulator.finish(info, [1, 2])

    first = run()
    assert SAMPLE_SIZE < 3 * 300 * 300
    assert first[0].high == pytest.approx(99.5, abs=0.1)
    assert first == run()


def test_no_valid_pixel_is_an_error(info):
    accumulator = StatisticsAccumulator(2)
    accumulator.add(np.zeros((2, 3, 3)), np.zeros((3, 3), bool))
    with pytest.raises(ValueError, match="no valid pixel"):
        accumulator.finish(info, [1, 2])


def test_normalise_clips_centres_and_zeroes_the_invalid():
    band = BandStatistics("red", 0, 100, mean=50, std=10, low=20, high=80, count=9)
    image = torch.tensor([[[50.0, 60.0, 0.0, 1000.0, float("nan")]]])
    valid = torch.tensor([[True, True, True, True, False]])
    assert normalise(image, valid, [band]).tolist() == [[[0.0, 1.0, -3.0, 3.0, 0.0]]]


def test_normalise_of_a_constant_band_is_zero():
    band = BandStatistics("red", 7, 7, mean=7, std=0, low=7, high=7, count=9)
    assert normalise(torch.full((1, 2, 2), 7.0), torch.ones(2, 2, dtype=torch.bool), [band]).abs().max() == 0


def test_normalise_treats_a_batch_like_its_chips():
    bands = [BandStatistics("a", 0, 9, 3, 2, 0, 8, 9), BandStatistics("b", 0, 9, 5, 4, 1, 9, 9)]
    images, valid = torch.rand(3, 2, 4, 5) * 10, torch.rand(3, 4, 5) > 0.3
    batch = normalise(images, valid, bands)
    assert all(torch.equal(batch[i], normalise(images[i], valid[i], bands)) for i in range(3))


def test_normalise_refuses_another_number_of_bands():
    with pytest.raises(ValueError, match="2 bands, but statistics of 0"):
        normalise(torch.zeros(2, 1, 1), torch.ones(1, 1, dtype=torch.bool), [])
