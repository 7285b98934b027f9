"""The interval of a value, from the blocks of its run."""

from collections.abc import Sequence
from random import Random

import pytest

from offloop.measuring.intervals import Interval, bootstrap
from offloop.measuring.values import NEVER


def of_mean(*values: float) -> Interval | None:
    """The interval of the mean of one value a block."""

    def mean(weights: Sequence[int]) -> float:
        assert sum(weights) == len(values)
        return sum(each * w for each, w in zip(values, weights, strict=True) if w) / len(values)

    return bootstrap(mean, len(values))


def test_the_same_blocks_always_have_the_same_interval() -> None:
    assert of_mean(1, 2, 3, 4, 5) == of_mean(1, 2, 3, 4, 5)


def test_the_interval_of_equal_blocks_is_their_value() -> None:
    assert of_mean(7, 7, 7) == (7, 7)


@pytest.mark.parametrize("seed", range(5))
def test_the_interval_contains_the_value_and_stays_within_the_blocks(seed: int) -> None:
    random = Random(seed)  # noqa: S311 - not for secrets
    values = [random.random() for _ in range(7)]

    interval = of_mean(*values)

    assert interval is not None
    assert min(values) < interval.low < sum(values) / 7 < interval.high < max(values)


def test_one_odd_block_widens_the_interval() -> None:
    even, odd = of_mean(9, 10, 11, 10, 10), of_mean(9, 10, 11, 10, 40)

    assert even is not None
    assert odd is not None
    assert odd.low <= 10 < even.high < odd.high


def test_the_interval_is_as_wide_as_theory_says() -> None:
    random = Random(1)  # noqa: S311 - not for secrets
    values = [random.gauss() for _ in range(100)]
    center = sum(values) / 100
    error = (sum((each - center) ** 2 for each in values) / 100 / 100) ** 0.5

    assert of_mean(*values) == pytest.approx(
        (center - 1.96 * error, center + 1.96 * error), abs=0.2 * error
    )


def test_a_block_in_which_something_never_came_leaves_the_interval_without_an_end() -> None:
    assert of_mean(1, 1, NEVER) == (1, NEVER)


def test_resamples_without_a_value_do_not_count() -> None:
    assert bootstrap(lambda weights: 3.0 if weights[0] else None, 3) == (3, 3)
    assert bootstrap(lambda _: None, 3) is None
