import pytest
from hypothesis import given
from hypothesis import strategies as st

from offloop.telemetry.lag import WindowMaximum, swallowed


def test_the_largest_value_counts_until_the_window_has_passed_it() -> None:
    maximum = WindowMaximum(longest_s=10.0)
    maximum.add(0.0, 5.0)
    maximum.add(1.0, 2.0)
    maximum.add(2.0, 3.0)

    assert maximum.read(9.9, 10.0) == 5.0
    assert maximum.read(10.0, 10.0) == 3.0
    assert maximum.read(11.9, 10.0) == 3.0


def test_an_empty_window_has_no_largest_value() -> None:
    maximum = WindowMaximum(longest_s=1.0)
    assert maximum.read(0.0, 1.0) is None

    maximum.add(0.0, 1.0)

    assert maximum.read(1.0, 1.0) is None


@given(
    steps=st.lists(st.tuples(st.floats(0.0, 5.0), st.floats(0.0, 100.0)), min_size=1),
    wait=st.floats(0.0, 20.0),
    window_s=st.floats(0.0, 10.0, exclude_min=True),
)
def test_the_largest_lag_is_the_maximum_of_the_window(
    steps: list[tuple[float, float]], wait: float, window_s: float
) -> None:
    maximum, at_s, seen = WindowMaximum(longest_s=10.0), 0.0, []
    for step, value in steps:
        at_s += step
        maximum.add(at_s, value)
        seen.append((at_s, value))

    now_s = at_s + wait

    for each_s in (window_s, 10.0):
        inside = [value for when, value in seen if when > now_s - each_s]
        assert maximum.read(now_s, each_s) == max(inside, default=None)


def test_a_late_heartbeat_counts_for_the_ones_that_it_replaced() -> None:
    assert swallowed(0.05, 0.02) == pytest.approx([0.05, 0.03, 0.01])


def test_a_punctual_heartbeat_counts_once() -> None:
    assert swallowed(0.0, 0.02) == [0.0]


@given(lag_s=st.floats(0.0, 60.0))
def test_as_many_heartbeats_count_as_would_have_become_due(lag_s: float) -> None:
    lags = swallowed(lag_s, 0.02)

    assert lags[0] == lag_s
    assert all(lag >= 0 for lag in lags)
    assert len(lags) == pytest.approx(lag_s / 0.02 + 0.5, abs=0.5001)
