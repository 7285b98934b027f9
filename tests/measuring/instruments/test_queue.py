from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from offloop.load.records import ReportRow
from offloop.measuring.instruments.queue import (
    DepthSample,
    Drain,
    depth_measures,
    drain,
    drain_per_s,
    longest_wait_ms,
    slope,
)
from tests.bench.support import request, request_log

#: When the load of these runs began, on CLOCK_MONOTONIC.
BEGAN_S = 100.0

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)

#: An order that was never accepted.
NEVER = ReportRow("report", 1.0, None, None, None, None, None, None, None, None, None)


def moment(seconds: float) -> str:
    return (EPOCH + timedelta(seconds=seconds)).isoformat()


def job(accepted_s: float, started_s: float, finished_s: float, status: str = "done") -> ReportRow:
    accepted, started, finished = map(moment, (accepted_s, started_s, finished_s))
    return ReportRow(
        "report", accepted_s, None, "job", status, accepted, started, finished, 1, 2, "abc"
    )


def depths(*jobs: int, every_s: float = 0.5) -> list[DepthSample]:
    return [
        DepthSample(BEGAN_S + number * every_s, deep) for number, deep in enumerate(jobs, start=1)
    ]


def fluid(seconds: float, per_second: float, noise: float, seed: int) -> list[DepthSample]:
    """A queue that grows evenly, sampled ten times a second, off by up to `noise` jobs."""
    random = Random(seed)  # noqa: S311 - a simulation, not a secret
    moments = [number / 10 for number in range(int(10 * seconds))]
    return [
        DepthSample(BEGAN_S + at_s, round(per_second * at_s + noise * (2 * random.random() - 1)))
        for at_s in moments
    ]


@pytest.mark.parametrize("noise", [0, 1, 3])
@pytest.mark.parametrize("per_second", [2.0, 8.0, 30.0])
def test_noise_of_single_samples_does_not_change_the_slope(per_second: float, noise: float) -> None:
    found = depth_measures(fluid(3, per_second, noise, seed=1), BEGAN_S, 3.0)

    # The standard error of a slope over n even samples of T seconds is sigma sqrt(12 / n) / T, with
    # sigma = noise / sqrt(3), and 1 / sqrt(12) for rounding: four of them.
    error = 4 * (noise / 3**0.5 + 12**-0.5) * (12 / 30) ** 0.5 / 3
    assert found["queue.depth_slope_per_s"] == pytest.approx(per_second, abs=error)


def test_only_undisturbed_samples_count_for_the_slope() -> None:
    grows = depths(1, 2, 3, 4)
    shrinks = depths(1, 2, 3, 4, 2, 0)

    assert depth_measures(grows, BEGAN_S, 2.0) == depth_measures(shrinks, BEGAN_S, 2.0)
    assert depth_measures(grows, BEGAN_S, 2.0)["queue.depth_slope_per_s"] == pytest.approx(2)


def test_all_samples_count_for_the_largest_depth() -> None:
    assert depth_measures(depths(1, 2, 9, 0), BEGAN_S, 0.6)["queue.depth_max"] == 9


def test_without_samples_depth_and_slope_are_unknown() -> None:
    assert depth_measures([], BEGAN_S, 1.0) == {
        "queue.depth_max": None,
        "queue.depth_slope_per_s": None,
    }


@pytest.mark.parametrize("points", [[], [(1.0, 2.0)], [(1.0, 2.0), (1.0, 3.0)]])
def test_a_slope_needs_samples_at_two_moments(points: list[tuple[float, float]]) -> None:
    assert slope(points) is None


def test_a_wait_counts_if_it_was_over_in_time() -> None:
    requests = [request("report", due_s=at_s, lag_s=0.0, took_s=0.0) for at_s in (0, 1, 2)]
    jobs = [job(0, 0.5, 1), job(1, 2.5, 3), job(2, 6, 7)]
    log = request_log(requests, jobs)

    found = {until_s: longest_wait_ms(log, until_s) for until_s in (0.4, 2, 3, 9)}

    assert found == {0.4: None, 2: 500, 3: 1500, 9: 4000}


def test_an_order_that_was_never_accepted_or_is_not_followed_does_not_wait() -> None:
    log = request_log([request("ping"), request("report", error="status 503")], [NEVER])

    assert longest_wait_ms(log, 9.0) is None


def worked_off(jobs: int, each_s: float, added_s: float) -> list[ReportRow]:
    """Jobs that are all accepted at once; a second slot takes its first one after `added_s`."""
    free_s = [0.0, added_s]
    rows = []
    for _ in range(jobs):
        slot = free_s.index(min(free_s))
        started_s = free_s[slot]
        free_s[slot] = started_s + each_s
        rows.append(job(0.0, started_s, free_s[slot]))
    return rows


def test_a_drain_begins_when_all_slots_are_at_work() -> None:
    found = drain(worked_off(50, each_s=0.1, added_s=2.0))

    # By then 20 are finished, and two slots take 1.5 s for 30.
    assert found is not None
    assert found.jobs == 30
    assert found.seconds == pytest.approx(1.5)
    assert found.measures()["queue.drain_per_s"] == pytest.approx(2 / 0.1)
    assert found.measures()["queue.drain_ms"] == pytest.approx(1500)


def test_a_drain_begins_with_the_last_arrival() -> None:
    jobs = [job(0, 0, 1), job(0, 1, 2), job(1.5, 2, 3), job(1.75, 3, 4)]

    assert drain(jobs) == Drain(jobs=3, seconds=2.25)


def test_consecutive_jobs_of_one_slot_do_not_count_as_two_slots() -> None:
    found = drain([job(0, 0, 1), job(0, 1, 2), job(0, 2, 3)])

    assert found == Drain(jobs=3, seconds=3.0)


@pytest.mark.parametrize("status", ["failed", "queued"])
def test_a_queue_that_was_not_worked_off_has_not_drained(status: str) -> None:
    assert drain([job(0, 0, 1), job(0, 1, 2, status)]) is None


def test_a_queue_without_jobs_has_not_drained() -> None:
    assert drain([]) is None
    assert drain([NEVER]) is None


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_the_drain_rate_is_the_throughput_of_slots_that_are_always_busy(slots: int) -> None:
    random = Random(slots)  # noqa: S311 - a simulation, not a secret
    ends = []
    for _ in range(slots):
        at_s = random.random()  # a slot may begin later than another
        for _ in range(400):
            at_s += 0.1
            ends.append(at_s)

    assert drain_per_s(ends, slots) == pytest.approx(slots / 0.1, rel=0.02)


def test_the_first_and_last_jobs_do_not_lower_the_drain_rate() -> None:
    # The second slot starts late, and has nothing to do while the first one ends.
    ends = [1.0, 4.0, 5.0, 6.0, 7.0, 11.0]

    assert drain_per_s(ends, 2) == pytest.approx(3 / 3)


@pytest.mark.parametrize("ends", [[], [1.0], [1.0, 2.0], [1.0, 2.0, 3.0]])
def test_a_rate_needs_jobs_between_the_first_ones_and_the_last(ends: list[float]) -> None:
    assert drain_per_s(ends, 2) is None


def test_jobs_that_end_at_the_same_moment_have_no_drain_rate() -> None:
    assert drain_per_s([1.0, 1.0, 1.0], 1) is None
