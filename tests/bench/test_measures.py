"""From what was recorded while an arm ran to its measures."""

from typing import Any

import pytest

from offloop.bench.depth import DepthSample
from offloop.bench.events import Happened
from offloop.bench.measures import ArmRun, Scrape, measure
from offloop.bench.rows import Rows
from offloop.load.records import ReportRow
from offloop.measuring.catalogue import TAKEN
from offloop.stack.sampling import ResourceSample
from tests.bench.support import DEADLINE_S, report, request, request_log

NOTHING = Scrape(before={}, after={})


def arm_run(*reports: ReportRow, happened: tuple[Happened, ...] = (), **changes: Any) -> ArmRun:  # noqa: ANN401 - any field
    """A run with these reports, or with one bystander, of which nothing else is known."""
    requests = [request(row.name) for row in reports] or [request()]
    log = request_log(requests, reports)
    fields: dict[str, Any] = {
        "rows": Rows(log, happened, queued=True, duration_s=DEADLINE_S),
        "api": "fixed",
        "needed": {"fixed": 1, "worker-long-1": 2},
        **dict.fromkeys(("samples", "taken_by", "loop", "workers", "lags_s", "depths"), ()),
        "taken": None,
    }
    return ArmRun(**{**fields, **changes})


def numbers(*reports: ReportRow, **changes: Any) -> dict[str, float]:  # noqa: ANN401 - any field
    return dict(measure(arm_run(*reports, **changes)).numbers)


def cpu(seconds: float, lines: int, *, begun_s: float = 1.0) -> dict[str, float]:
    return {
        "process_start_time_seconds": begun_s,
        "offloop_report_lines_total": lines,
        "offloop_report_cpu_seconds_sum": seconds,
    }


def stalled(stalls: float, *, begun_s: float = 1.0) -> dict[str, float]:
    return {
        "process_start_time_seconds": begun_s,
        "offloop_loop_stalls_total": stalls,
        "offloop_loop_lost_seconds_total": stalls / 2,
    }


def test_what_follows_from_rows_is_measured_with_all_else() -> None:
    found = measure(arm_run(taken=0.02))

    assert found.numbers[TAKEN] == 0.02
    assert found.numbers["bystander.offered"] == 1
    assert found.samples["bystander.response_ms"] == pytest.approx((3,))


def test_what_is_not_known_is_absent_and_not_zero() -> None:
    found = numbers(loop=(NOTHING,), workers=(NOTHING,), lags_s=(None,))

    unknown = ("loop.", "api.", "jobs.", "machine.", "queue.depth", "stack.memory", "lab.")
    assert not [name for name in found if name.startswith(unknown)]
    assert found["stack.processes"] == 3


def test_stalls_of_all_processes_are_added_up_and_the_largest_lag_is_that_of_any() -> None:
    loop = (Scrape(stalled(1), stalled(4)), Scrape(stalled(0), stalled(2)))

    found = numbers(loop=loop, lags_s=(0.6, 0.3))

    assert (found["loop.stalls"], found["loop.lost_s"]) == (5, 2.5)
    assert found["loop.lag_max_ms"] == pytest.approx(600)


def test_what_one_of_several_processes_took_with_it_is_known_of_none() -> None:
    killed = Scrape(stalled(0), stalled(0, begun_s=9))

    found = numbers(loop=(Scrape(stalled(1), stalled(4)), killed), lags_s=(0.6, None))

    assert not [name for name in found if name.startswith("loop.")]


def test_a_counter_that_was_there_only_afterwards_has_not_grown_by_all_it_shows() -> None:
    assert (
        Scrape({}, {"offloop_loop_stalls_total": 7.0}).gained("offloop_loop_stalls_total") is None
    )


def test_cpu_is_told_by_the_line_and_by_that_for_the_longest_report_of_each_stream() -> None:
    built = (Scrape(cpu(1.0, 1_000), cpu(1.7, 41_000)), Scrape(cpu(0, 0), cpu(0.5, 20_000)))
    reports = [
        *(report("short")._replace(rows=rows) for rows in (5_000, 4_000)),
        report("long")._replace(rows=50_000),
        report("giant", status="queued")._replace(rows=None),
    ]

    found = numbers(*reports, workers=built)

    assert found["jobs.cpu_us_per_line"] == pytest.approx(20)
    assert found["short.cpu_ms"] == pytest.approx(100)
    assert found["long.cpu_ms"] == pytest.approx(1000)
    assert "giant.cpu_ms" not in found


def test_cpu_counts_what_a_process_did_before_and_after_it_was_restarted() -> None:
    at_first = cpu(1.0, 1_000)
    right_before, afterwards = cpu(2.0, 51_000), cpu(1.0, 50_000, begun_s=2.0)

    found = numbers(workers=(Scrape(at_first, right_before), Scrape(at_first, afterwards)))

    assert found["jobs.cpu_us_per_line"] == pytest.approx(20)


def test_cpu_is_absent_where_no_line_was_built() -> None:
    assert "jobs.cpu_us_per_line" not in numbers(workers=(Scrape(cpu(1.0, 9), cpu(1.0, 9)),))


def test_memory_adds_up_the_peaks_of_the_stack_and_of_everything_the_lab_runs() -> None:
    samples = (
        ResourceSample(1.0, "fixed", 80, 0.1, 1),
        ResourceSample(2.0, "fixed", 70, 0.2, 1),
        ResourceSample(1.0, "worker-long-1", 100, 0.1, 1),
        ResourceSample(2.0, "worker-long-1", 130, 0.1, 1),
        ResourceSample(1.0, "generator", 60, 0.1, 1),
        ResourceSample(1.0, "other-stacks", 200, 0.1, 1),
    )

    found = numbers(samples=samples)

    assert found["api.memory_peak_bytes"] == 80
    assert found["stack.memory_peak_bytes"] == 210
    assert found["lab.memory_peak_bytes"] == 470
    assert found["stack.processes"] == 3


def test_memory_of_a_stack_is_absent_if_one_of_its_services_was_never_sampled() -> None:
    samples = (ResourceSample(1.0, "fixed", 80, 0.1, 1),)

    found = numbers(samples=samples)

    assert "stack.memory_peak_bytes" not in found
    assert found["api.memory_peak_bytes"] == 80


def test_where_a_server_may_kill_workers_none_killed_is_counted_as_none() -> None:
    strict = numbers(timeout_s=3, workers_killed=0)

    assert not numbers().keys() & {"api.timeout_ms", "api.workers_killed"}
    assert (strict["api.timeout_ms"], strict["api.workers_killed"]) == (3000, 0)


def test_what_the_queues_did_is_measured_until_something_is_done_to_them() -> None:
    depths = tuple(DepthSample(at_s / 2, at_s) for at_s in range(8))
    event = Happened("second_slot", ("worker-long-2",), 2.0, 1.0)

    found = numbers(report(), depths=depths, happened=(event,))

    assert found["queue.depth_max"] == 7
    assert found["queue.depth_slope_per_s"] == pytest.approx(2)
    assert found["queue.wait_max_ms"] == 0
    assert found["queue.drain_per_s"] == 1
