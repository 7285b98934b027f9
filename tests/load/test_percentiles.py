import pytest
from hypothesis import given
from hypothesis import strategies as st

from offloop.load.percentiles import Percentiles, nearest_rank

values = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=200)


@given(values, st.integers(1, 100))
def test_a_percentile_is_the_smallest_value_that_covers_the_share(
    sample: list[float], percent: int
) -> None:
    ordered = sorted(sample)
    result = nearest_rank(ordered, percent)

    assert result in ordered
    assert result is not None
    assert 100 * sum(value <= result for value in ordered) >= percent * len(ordered)
    assert 100 * sum(value < result for value in ordered) < percent * len(ordered)


@pytest.mark.parametrize(
    ("count", "percent", "rank"),
    [(1, 50, 1), (100, 99, 99), (101, 99, 100), (1000, 99.9, 999), (4, 50, 2), (5, 100, 5)],
)
def test_known_ranks(count: int, percent: float, rank: int) -> None:
    assert nearest_rank([float(value) for value in range(1, count + 1)], percent) == rank


def test_an_empty_sample_has_no_percentile() -> None:
    assert nearest_rank([], 99) is None
    assert Percentiles.of([]) is None


@pytest.mark.parametrize("percent", [0, -1, 100.1])
def test_a_percentage_out_of_range_is_refused(percent: float) -> None:
    with pytest.raises(ValueError, match="above 0 and at most 100"):
        nearest_rank([1.0], percent)


@given(values)
def test_the_summary_does_not_depend_on_the_order_of_values(sample: list[float]) -> None:
    summary = Percentiles.of(reversed(sample))

    assert summary is not None
    assert summary.max == max(sample)
    assert summary.p50 <= summary.p90 <= summary.p95 <= summary.p99 <= summary.max
