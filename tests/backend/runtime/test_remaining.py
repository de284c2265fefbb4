# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import pytest
from deep_learning_toolbox.backend.runtime.remaining import WINDOW_SECONDS, RemainingTime, describe_seconds
from hypothesis import given
from hypothesis import strategies as st


def test_nothing_is_said_before_there_was_progress():
    left = RemainingTime()
    assert left.seconds(0) is None
    left.update(0, 0.05)
    assert left.seconds(1) is None
    left.update(1, 0.1)
    assert left.seconds(1) is None  # a second tells too little
    left.update(5, 0.1)
    left.update(6, 0.1)
    assert left.seconds(6) == pytest.approx(0.9 * 6 / 0.05)


@given(rate=st.floats(1e-4, 0.1), at=st.floats(0.05, 0.9))
def test_a_steady_job_ends_when_it_is_said_to(rate, at):
    left = RemainingTime()
    times = [place * at / rate / 20 for place in range(21)]
    for time in times:
        left.update(time, time * rate)
    found = left.seconds(times[-1])
    assert (found is None and times[-1] < 2) or found == pytest.approx((1 - at) / rate, rel=1e-6)


def test_only_the_last_minute_counts():
    left = RemainingTime()
    for second in range(0, 600, 10):
        left.update(second, second / 60_000)  # slow
    for second in range(600, 700, 10):
        left.update(second, 0.01 + (second - 600) / 1000)  # fast
    assert left.seconds(690) == pytest.approx((1 - 0.1) * 1000, rel=0.01)
    assert WINDOW_SECONDS == 60


def test_time_goes_on_between_two_marks_and_never_below_nothing():
    left = RemainingTime()
    left.update(0, 0.0)
    left.update(60, 1 / 3)
    assert left.seconds(70) == pytest.approx(110)
    assert left.seconds(1000) == 0


def test_a_clock_that_is_set_back_starts_anew():
    left = RemainingTime()
    left.update(100, 0.1)
    left.update(110, 0.2)
    left.update(50, 0.3)
    assert left.seconds(50) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (89.4, "89 s"),
        (90, "2 min"),
        (3599, "1 h"),
        (7500, "2 h 5 min"),
        (273_600, "3 d 4 h"),
        (-3, "0 s"),
        (float("inf"), "?"),
    ],
)
def test_times_in_words(seconds, text):
    assert describe_seconds(seconds) == text


def test_an_endless_time_is_not_known():
    assert describe_seconds(float("inf")) == "?"
