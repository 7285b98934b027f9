from collections.abc import Sequence
from math import sqrt
from random import Random

import pytest

from offloop.bench.theory import (
    FORMULAS,
    Given,
    blocked_loop_waits_ms,
    growth_per_s,
    longest_wait_ms,
)
from offloop.load.percentiles import nearest_rank
from offloop.measuring.combining import in_block
from offloop.measuring.values import Recorded

#: Bystanders of one simulation, and reports.
COUNT = 40_000


def simulated_waits_ms(stalls_s: Sequence[float], rate: float, seed: int) -> list[float]:
    """Waits of bystanders, which take no time themselves, for a loop that reports block.

    They are served in the order of their arrival, as soon as no report is being built. Reports come
    evenly, and take one of these times each, at random.
    """
    random = Random(seed)  # noqa: S311 - a simulation, not a secret
    reports = [(number / rate, random.choice(stalls_s)) for number in range(COUNT)]
    waits = []
    for _ in range(COUNT):
        at_s = COUNT / rate * random.random()
        begin_s, stall_s = reports[int(at_s * rate)]
        waits.append(1000 * max(0.0, begin_s + stall_s - at_s))
    return sorted(waits)


def p99_ms(waits: Sequence[float]) -> float:
    found = nearest_rank(waits, 99)
    assert found is not None
    return found


@pytest.mark.parametrize("stalls_s", [(0.6,), (0.55, 0.6, 0.65), (0.1, 0.2, 1.0), (3.0, 0.05)])
@pytest.mark.parametrize("longest_utilisation", [0.05, 0.2, 0.5, 0.95])
def test_the_predicted_waits_agree_with_a_simulation(
    stalls_s: tuple[float, ...], longest_utilisation: float
) -> None:
    # The longest one has to be over before the next one begins.
    rate = longest_utilisation / max(stalls_s)
    predicted = blocked_loop_waits_ms(stalls_s, rate)
    simulated = simulated_waits_ms(stalls_s, rate, seed=1)

    for wait_ms in (1, 10, 50, 1000 * min(stalls_s), 900 * max(stalls_s)):
        shares = [
            sum(each > wait_ms for each in waits) / len(waits) for waits in (predicted, simulated)
        ]
        # The standard error of a share, and that of the stalls that were drawn; and one quantile.
        error = 4 * 2 * sqrt(max(shares) / COUNT) + 1 / len(predicted)
        assert shares[0] == pytest.approx(shares[1], abs=error)


@pytest.mark.parametrize("stall_s", [0.05, 0.6, 3.0])
@pytest.mark.parametrize("utilisation", [0.05, 0.2, 0.5, 0.8])
def test_the_p99_of_reports_of_one_length_has_a_closed_form(
    stall_s: float, utilisation: float
) -> None:
    # Two lengths that are the same are one.
    for stalls_s in ((stall_s,), (stall_s,) * 3):
        waits = blocked_loop_waits_ms(stalls_s, utilisation / stall_s)

        closed_ms = 1000 * stall_s * (1 - 0.01 / utilisation)
        # The quantiles lie half a step off.
        step_ms = 1000 * stall_s / utilisation / len(waits)
        assert p99_ms(waits) == pytest.approx(closed_ms, abs=step_ms)
        assert waits[-1] < 1000 * stall_s


def test_the_harmed_share_is_the_share_of_time_in_which_requests_wait_longer() -> None:
    predicted = Recorded(samples={"ping.response_ms": blocked_loop_waits_ms((0.2, 0.4), 1.0)})

    # A report holds the loop for more than 10 ms during all but its last 10 ms.
    assert in_block("ping.harmed_share", predicted) == pytest.approx(0.3 - 0.01, abs=0.0005)


@pytest.mark.parametrize(("rate", "waits"), [(0.01, False), (0.02, False), (0.022, True)])
def test_a_loop_blocked_for_less_than_one_percent_has_a_p99_of_zero(
    rate: float, waits: bool
) -> None:
    assert (p99_ms(blocked_loop_waits_ms((0.5,), rate)) > 0) is waits


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
def test_a_queue_grows_by_arrival_rate_minus_drain_rate(overload: float) -> None:
    depths, _ = simulated_queue(per_second=10 * overload, drain_per_s=10, seconds=20)

    # Depth counts whole jobs.
    assert depths[-1] == pytest.approx(20 * growth_per_s(10 * overload, 10), abs=2)


def test_a_queue_that_keeps_up_does_not_grow() -> None:
    assert growth_per_s(5, 10) == 0


@pytest.mark.parametrize("limit", [1, 2, 10])
def test_the_longest_wait_of_an_accepted_job_is_nearly_as_long_as_the_limit_allows(
    limit: int,
) -> None:
    _, waits_s = simulated_queue(per_second=23, drain_per_s=10, seconds=20, limit=limit)

    longest_ms = longest_wait_ms(limit, 10)
    assert 1000 * max(waits_s) <= longest_ms + 1e-6
    # The job at work may have begun one interval between orders before the last one was accepted.
    assert 1000 * max(waits_s) >= longest_ms - 1000 / 10


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_formula_without_its_inputs_predicts_nothing(formula: str) -> None:
    assert FORMULAS[formula].of(Given(per_second=1.0)) is None
