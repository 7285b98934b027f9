import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from offloop.load.arrivals import (
    Arrivals,
    Constant,
    Poisson,
    Ramp,
    Spike,
    Step,
    due_times,
    poisson,
    ramp,
    spike,
    step,
)

#: A correct schedule fails one of these tests once in so many runs (and seeds are fixed).
ALPHA = 1e-9

rates = st.floats(0.01, 500)
durations = st.floats(0.1, 5)
seeds = st.integers() | st.text()


@st.composite
def spikes(draw: st.DrawFn) -> Spike:
    return Spike(
        rate=draw(rates),
        spike_rate=draw(rates),
        spike_at_s=draw(st.floats(0, 0.05)),
        spike_s=draw(st.floats(0.001, 0.05)),
    )


all_arrivals = st.one_of(
    st.builds(Constant, rate=rates),
    st.builds(Poisson, rate=rates),
    st.builds(Ramp, start_rate=st.just(0.0) | rates, end_rate=st.just(0.0) | rates),
    st.builds(Step, rates=st.lists(st.just(0.0) | rates, min_size=1, max_size=5).map(tuple)),
    spikes(),
)


def deviation(expected: float) -> float:
    """How far a Poisson count strays from its mean with probability ALPHA: Bernstein's bound.

    P(|N - m| >= x) <= 2 exp(-x^2 / (2 (m + x / 3))), solved for x.
    """
    log_alpha = math.log(2 / ALPHA)
    return log_alpha / 3 + math.sqrt(log_alpha**2 / 9 + 2 * expected * log_alpha)


def within(due_s: list[float], from_s: float, until_s: float) -> int:
    return sum(from_s <= moment < until_s for moment in due_s)


@given(all_arrivals, durations, seeds)
def test_due_times_ascend_and_lie_within_the_duration(
    arrivals: Arrivals, duration_s: float, seed: int | str
) -> None:
    due_s = due_times(arrivals, duration_s, seed)

    assert all(earlier <= later for earlier, later in pairwise(due_s))
    assert all(0 <= moment < duration_s for moment in due_s)


@given(all_arrivals, durations, seeds)
def test_the_same_seed_gives_the_same_schedule(
    arrivals: Arrivals, duration_s: float, seed: int | str
) -> None:
    assert due_times(arrivals, duration_s, seed) == due_times(arrivals, duration_s, seed)


@pytest.mark.parametrize(
    "arrivals", [Constant(rate=100), Poisson(rate=100), Ramp(end_rate=100), Step(rates=(50, 100))]
)
def test_another_seed_gives_another_schedule(arrivals: Arrivals) -> None:
    assert due_times(arrivals, 5, 1) != due_times(arrivals, 5, 2)


@given(rate=st.integers(1, 500), duration_s=st.integers(1, 5), seed=seeds)
def test_constant_arrivals_are_evenly_spaced_and_all_there(
    rate: int, duration_s: int, seed: int | str
) -> None:
    due_s = due_times(Constant(rate=rate), duration_s, seed)

    assert len(due_s) == pytest.approx(rate * duration_s, abs=1)
    gaps = [later - earlier for earlier, later in pairwise(due_s)]
    assert gaps == pytest.approx([1 / rate] * len(gaps), abs=2e-6)


def test_poisson_arrivals_have_the_rate_that_was_asked_for() -> None:
    due_s = poisson(1000, 100, seed=7)

    assert len(due_s) == pytest.approx(100_000, abs=deviation(100_000))


def test_poisson_gaps_are_exponential() -> None:
    due_s = poisson(1000, 100, seed=7)
    gaps = sorted(later - earlier for earlier, later in pairwise(due_s))

    # Dvoretzky-Kiefer-Wolfowitz: how far an empirical distribution strays from the true one.
    allowed = math.sqrt(math.log(2 / ALPHA) / (2 * len(gaps)))
    furthest = max(
        abs((rank + 0.5) / len(gaps) - (1 - math.exp(-1000 * gap))) for rank, gap in enumerate(gaps)
    )
    # Due times are rounded to microseconds, a thousandth of the mean gap.
    assert furthest <= allowed + 0.001


@pytest.mark.parametrize(("start_rate", "end_rate"), [(0, 1000), (1000, 0), (200, 800)])
def test_a_ramp_has_at_every_stage_the_arrivals_under_its_line(
    start_rate: float, end_rate: float
) -> None:
    due_s = ramp(start_rate, end_rate, 100, seed=7)

    for began_s in range(0, 100, 10):
        middle = start_rate + (end_rate - start_rate) * (began_s + 5) / 100
        assert within(due_s, began_s, began_s + 10) == pytest.approx(
            10 * middle, abs=deviation(10 * middle)
        )


def test_steps_hold_each_rate_for_an_equal_time() -> None:
    due_s = step([100, 0, 1000], 30, seed=7)

    assert within(due_s, 0, 10) == pytest.approx(1000, abs=deviation(1000))
    assert within(due_s, 10, 20) == 0
    assert within(due_s, 20, 30) == pytest.approx(10_000, abs=deviation(10_000))


def test_a_spike_is_where_it_was_asked_for() -> None:
    due_s = spike(10, spike_rate=2000, spike_at_s=40, spike_s=5, duration_s=100, seed=7)

    assert within(due_s, 0, 40) == pytest.approx(400, abs=deviation(400))
    assert within(due_s, 40, 45) == pytest.approx(10_000, abs=deviation(10_000))
    assert within(due_s, 45, 100) == pytest.approx(550, abs=deviation(550))


def test_a_spike_beyond_the_end_is_refused() -> None:
    with pytest.raises(ValueError, match=r"until 12 s and the schedule only until 10 s"):
        spike(1, spike_rate=2, spike_at_s=8, spike_s=4, duration_s=10, seed=7)


def test_an_experiment_file_describes_arrivals_as_a_table() -> None:
    adapter: TypeAdapter[Arrivals] = TypeAdapter(Arrivals)

    assert adapter.validate_python({"kind": "poisson", "rate": 200}) == Poisson(rate=200)


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ({"kind": "poison", "rate": 200}, "poison"),
        ({"kind": "poisson", "rates": 200}, "rates"),
        ({"kind": "poisson", "rate": 0}, "greater than 0"),
        ({"rate": 200}, "kind"),
    ],
)
def test_a_mistake_in_such_a_table_is_named(table: dict[str, object], named: str) -> None:
    adapter: TypeAdapter[Arrivals] = TypeAdapter(Arrivals)

    with pytest.raises(ValidationError, match=named):
        adapter.validate_python(table)
