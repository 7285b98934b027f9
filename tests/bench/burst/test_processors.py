import pytest

from offloop.bench.burst.processors import Processors


def test_what_was_idle_and_what_was_ours_was_there() -> None:
    before = Processors(wall_s=10.0, idle_s=100.0, ours_s=3.0)
    after = Processors(wall_s=20.0, idle_s=105.0, ours_s=16.0)

    assert after.left_since(before) == pytest.approx(1.8)


def test_no_time_says_nothing() -> None:
    now = Processors(wall_s=10.0, idle_s=100.0, ours_s=3.0)

    assert now.left_since(now) is None


def test_the_clocks_of_this_machine_never_go_back() -> None:
    before = Processors.now()

    after = Processors.now()

    assert all(late >= early for early, late in zip(before, after, strict=True))
