from bisect import bisect_right
from math import sqrt
from random import Random

import pytest

from offloop.bench.theory import (
    FORMULAS,
    Given,
    blocked_loop_p99_ms,
    growth_per_s,
    longest_wait_ms,
)
from offloop.load.percentiles import nearest_rank

#: Bystanders of one simulation.
COUNT = 40_000


def simulated_waits_s(blocked_s: float, rate: float, seed: int) -> list[float]:
    """Wait of bystanders, which take no time themselves, for a loop that reports block.

    They are served in the order of their arrival, as soon as no report is being built.
    """
    random = Random(seed)  # noqa: S311 - a simulation, not a secret
    period_s = 1 / rate
    phase_s = period_s * random.random()
    begins = [phase_s + number * period_s for number in range(-1, COUNT // 100)]
    length_s = begins[-1]
    waits = []
    for _ in range(COUNT):
        at_s = length_s * random.random()
        begin_s = begins[bisect_right(begins, at_s) - 1]
        waits.append(max(0.0, begin_s + blocked_s - at_s))
    return waits


@pytest.mark.parametrize("blocked_s", [0.05, 0.6, 3.0])
@pytest.mark.parametrize("utilisation", [0.05, 0.2, 0.5, 0.8])
def test_the_formula_agrees_with_a_simulation_as_well_as_its_sample_allows(
    blocked_s: float, utilisation: float
) -> None:
    rate = utilisation / blocked_s
    waits = simulated_waits_s(blocked_s, rate, seed=1)

    simulated_ms = 1000 * (nearest_rank(sorted(waits), 99) or 0.0)

    # The share of waits above the true p99 has the standard error sqrt(0.01 * 0.99 / n), and the
    # density of waits is rho / S there, which is the rate: four standard errors of the percentile.
    bound_ms = 4 * 1000 * sqrt(0.01 * 0.99 / COUNT) / rate
    assert simulated_ms == pytest.approx(blocked_loop_p99_ms(blocked_s, rate), abs=bound_ms)


def test_a_loop_that_is_blocked_for_less_than_one_percent_of_the_time_has_no_p99_to_speak_of() -> (
    None
):
    assert blocked_loop_p99_ms(0.5, 0.02) == 0
    assert blocked_loop_p99_ms(0.5, 0.01) == 0
    assert blocked_loop_p99_ms(0.5, 0.021) > 0


def test_the_p99_is_never_longer_than_a_report() -> None:
    assert blocked_loop_p99_ms(0.5, 1.99) < 500


def simulated_queue(
    per_second: float, drain_per_s: float, seconds: float, limit: int | None = None
) -> tuple[list[int], list[float]]:
    """Depths whenever a job comes, and how long those wait that are accepted; one slot."""
    ends_s: list[float] = []
    depths, waits_s = [], []
    for number in range(int(per_second * seconds)):
        at_s = number / per_second
        depth = sum(end_s > at_s for end_s in ends_s)
        depths.append(depth)
        if limit is None or depth < limit:
            started_s = max([at_s, *ends_s[-1:]])
            waits_s.append(started_s - at_s)
            ends_s.append(started_s + 1 / drain_per_s)
    return depths, waits_s


@pytest.mark.parametrize("overload", [1.2, 2.0, 5.0])
def test_a_queue_grows_by_what_comes_and_is_not_done(overload: float) -> None:
    depths, _ = simulated_queue(per_second=10 * overload, drain_per_s=10, seconds=20)

    # Depth counts whole jobs.
    assert depths[-1] == pytest.approx(20 * growth_per_s(10 * overload, 10), abs=2)


def test_a_queue_that_keeps_up_does_not_grow() -> None:
    assert growth_per_s(5, 10) == 0


@pytest.mark.parametrize("limit", [1, 2, 10])
def test_nobody_who_is_accepted_waits_longer_than_the_limit_says_and_somebody_nearly_that_long(
    limit: int,
) -> None:
    _, waits_s = simulated_queue(per_second=23, drain_per_s=10, seconds=20, limit=limit)

    longest_ms = longest_wait_ms(limit, 10)
    assert 1000 * max(waits_s) <= longest_ms + 1e-6
    # Whoever is accepted finds the job at work begun up to one interval between orders ago.
    assert 1000 * max(waits_s) >= longest_ms - 1000 / 10


@pytest.mark.parametrize("formula", FORMULAS)
def test_of_what_is_not_known_nothing_is_predicted(formula: str) -> None:
    assert FORMULAS[formula].of(Given(per_second=1.0)) is None
