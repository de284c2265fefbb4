# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import pytest
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.training.split import split_blocks
from hypothesis import given
from hypothesis import strategies as st


def test_the_wished_share_of_each_class_is_held_out():
    census = {f"{index}-{number}": {index: 10} for index in (0, 1) for number in range(20)}
    split = split_blocks(census, 20, seed=1)
    assert split.validation_pixels == {0: 40, 1: 40}
    assert split.training_pixels == {0: 160, 1: 160}
    assert split.not_validated == []


def test_a_class_with_one_block_stays_in_training_and_is_not_validated():
    census = {1: {0: 50}, 2: {0: 50}, 3: {4: 9}}
    split = split_blocks(census, 20, seed=0)
    assert 3 in split.training
    assert split.not_validated == [4]
    assert split.validation_pixels == {0: 50, 4: 0}


def test_the_smaller_of_two_large_blocks_is_held_out():
    split = split_blocks({1: {0: 900}, 2: {0: 600}}, 20, seed=0)
    assert split.validation == {2}


def test_a_block_that_holds_the_only_labels_of_a_class_is_never_held_out():
    census = {1: {0: 10, 1: 5}, 2: {0: 1000}, 3: {0: 1000}}
    for seed in range(10):
        assert 1 in split_blocks(census, 40, seed).training


def test_another_seed_gives_another_split():
    census = {number: {0: 10} for number in range(30)}
    splits = {split_blocks(census, 20, seed).validation for seed in range(5)}
    assert len(splits) > 1
    assert split_blocks(census, 20, 3) == split_blocks(census, 20, 3)


@pytest.mark.parametrize("census", [{}, {1: {0: 9}}, {1: {0: 9}, 2: {1: 9}}, {1: {0: 5, 1: 5}, 2: {0: 5, 2: 5}}])
def test_labels_of_which_nothing_can_be_held_out_are_an_error_that_names_split(census):
    with pytest.raises(ToolboxError, match="SPLIT=random"):
        split_blocks(census, 20, 0)


counts = st.dictionaries(st.integers(0, 4), st.integers(1, 500), min_size=1, max_size=3)


@given(st.dictionaries(st.integers(0, 40), counts, min_size=2, max_size=25), st.floats(1, 90), st.integers(0, 5))
def test_every_block_is_on_one_side_and_every_class_keeps_training_labels(census, percent, seed):
    try:
        split = split_blocks(census, percent, seed)
    except ToolboxError:
        return
    assert split.training | split.validation == set(census)
    assert not split.training & split.validation
    assert split.validation
    present = {index for block in census.values() for index in block}
    assert {index for block in split.training for index in census[block]} == present
    for index in present:
        assert split.training_pixels[index] + split.validation_pixels[index] == sum(block.get(index, 0) for block in census.values())
