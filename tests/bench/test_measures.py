from dataclasses import replace

import pytest

from offloop.bench.depth import DepthSample
from offloop.bench.events import Happened
from offloop.bench.measures import ArmRun, Scrape, measure
from offloop.load.log import RequestLog
from offloop.stack.sampling import ResourceSample
from tests.bench.support import DEADLINE_S, report, request, request_log

NOTHING = Scrape(before={}, after={})


def arm_run(  # noqa: PLR0913 - what may differ, each with a default
    log: RequestLog,
    *,
    loop: Scrape = NOTHING,
    workers: tuple[Scrape, ...] = (),
    samples: tuple[ResourceSample, ...] = (),
    taken: float | None = None,
    queued: bool = True,
    happened: tuple[Happened, ...] = (),
    depths: tuple[DepthSample, ...] = (),
    retrying: frozenset[str] = frozenset(),
) -> ArmRun:
    needed = {"fixed": 1, "worker-long-1": 2}
    return ArmRun(
        log,
        happened=happened,
        api="fixed",
        queued=queued,
        needed=needed,
        samples=samples,
        taken=taken,
        loop=(loop,),
        workers=workers,
        duration_s=DEADLINE_S,
        depths=depths,
        retrying=retrying,
    )


def cpu(reports: int, seconds: float, lines: int = 1) -> dict[str, float]:
    return {
        "offloop_report_lines_total": lines,
        "offloop_report_cpu_seconds_count": reports,
        "offloop_report_cpu_seconds_sum": seconds,
    }


def test_every_due_request_counts_and_one_that_failed_counts_as_the_deadline() -> None:
    rows = [request(due_s=1.0) for _ in range(98)] + [
        request(due_s=2.0, took_s=None),
        request(due_s=4.0, error="status 500"),
    ]

    found = measure(arm_run(request_log(rows)))

    assert found["bystander.offered"] == 100
    assert found["bystander.failed"] == 2
    assert found["bystander.p50_ms"] == pytest.approx(3)
    assert found["bystander.p99_ms"] == pytest.approx(1000 * (DEADLINE_S - 4))
    assert found["bystander.max_ms"] == pytest.approx(1000 * (DEADLINE_S - 2))


def test_the_tails_of_plain_requests_are_known_for_each_second_in_which_they_were_due() -> None:
    rows = [request(due_s=0.2), request(due_s=0.9, lag_s=0.5, took_s=0.25), request(due_s=2.0)]

    found = measure(arm_run(request_log([*rows, request(name="report", due_s=0.5)], [report()])))

    assert found["second:0.bystander.p99_ms"] == pytest.approx(750)
    assert found["second:0.bystander.service_p99_ms"] == pytest.approx(250)
    assert found["second:2.bystander.p99_ms"] == pytest.approx(3)
    assert "second:1.bystander.p99_ms" not in found
    assert "second:0.report.p99_ms" not in found


def test_seconds_end_with_the_first_event() -> None:
    rows = [request(due_s=due_s) for due_s in (0.2, 1.2, 2.2)]
    freeze = Happened("freeze", ("redis",), at_s=1.5, lasted_s=0.1)

    found = measure(arm_run(request_log(rows), happened=(freeze,)))

    assert {name for name in found if name.startswith("second:")} == {
        "second:0.bystander.p99_ms",
        "second:0.bystander.service_p99_ms",
    }


def test_response_time_begins_when_a_request_was_due_and_service_time_when_it_was_sent() -> None:
    found = measure(arm_run(request_log([request(lag_s=0.5, took_s=0.25)])))

    assert found["bystander.p99_ms"] == pytest.approx(750)
    assert found["bystander.service_p99_ms"] == pytest.approx(250)
    assert found["bystander.dispatch_lag_p99_ms"] == pytest.approx(500)


def test_a_request_that_was_never_sent_is_not_counted_as_sent() -> None:
    found = measure(arm_run(request_log([request(), request(lag_s=None)])))

    assert found["bystander.offered"] == 2
    assert found["bystander.sent"] == 1


def test_ready_is_by_the_clock_of_the_server_and_seen_by_that_of_the_client() -> None:
    log = request_log([request("report")], [report(due_s=1.0, seen_s=4.5, built_s=2)])

    found = measure(arm_run(log))

    assert found["report.ready_p95_ms"] == pytest.approx(2000)
    assert found["report.seen_p95_ms"] == pytest.approx(3500)


@pytest.mark.parametrize("status", ["failed", "queued", "missing", None])
def test_a_report_that_was_not_built_counts_as_the_deadline_however_fast_that_was_known(
    status: str | None,
) -> None:
    late = report(due_s=1.0, seen_s=1.1, status=status)
    log = request_log([request("report")] * 2, [report(), late])

    found = measure(arm_run(log))

    assert found["report.finished"] == 1
    assert found["jobs.lost"] == 1
    assert found["report.ready_p95_ms"] == pytest.approx(1000 * (DEADLINE_S - 1))
    assert found["report.seen_p95_ms"] == pytest.approx(1000 * (DEADLINE_S - 1))


def test_a_report_whose_times_the_server_does_not_tell_leaves_no_time_until_ready() -> None:
    silent = report()._replace(accepted_at=None)

    found = measure(arm_run(request_log([request("report")] * 2, [report(), silent])))

    assert "report.ready_p95_ms" not in found
    assert found["report.seen_p95_ms"] == pytest.approx(1000)


def test_each_stream_of_orders_has_measures_of_its_own() -> None:
    rows = [report("short", built_s=1), report("long", built_s=9)]

    found = measure(arm_run(request_log([request("short"), request("long")], rows)))

    assert found["short.ready_p95_ms"] == pytest.approx(1000)
    assert found["long.ready_p95_ms"] == pytest.approx(9000)
    assert found["short.finished"] == found["long.finished"] == 1
    assert found["jobs.lost"] == 0


def test_cpu_per_report_counts_what_a_process_did_before_it_was_ended() -> None:
    at_first = {**cpu(2, 1.0), "process_start_time_seconds": 1.0}
    right_before = {**cpu(5, 2.5), "process_start_time_seconds": 1.0}
    afterwards = {**cpu(1, 0.9), "process_start_time_seconds": 2.0}
    scrapes = (Scrape(at_first, right_before), Scrape(at_first, afterwards))

    found = measure(arm_run(request_log([request()]), workers=scrapes))

    assert found["jobs.cpu_s"] == pytest.approx((1.5 + 0.9) / (3 + 1))


def test_a_report_waits_until_it_is_started_and_then_runs() -> None:
    rows = [report(waited_s=4, built_s=6), report(waited_s=1, built_s=2)]

    found = measure(arm_run(request_log([request("report")] * 2, rows)))

    assert found["report.wait_p50_ms"] == pytest.approx(1000)
    assert found["report.wait_p95_ms"] == pytest.approx(4000)
    assert found["report.run_p50_ms"] == pytest.approx(1000)


def test_a_report_that_was_never_started_has_waited_until_the_deadline() -> None:
    rows = [report(), report(due_s=3.0, status="queued")._replace(started_at=None)]

    found = measure(arm_run(request_log([request("report")] * 2, rows)))

    assert found["report.wait_p95_ms"] == pytest.approx(1000 * (DEADLINE_S - 3))


def test_how_long_a_report_waited_is_known_before_it_is_finished() -> None:
    rows = [report(due_s=1.0, waited_s=2, status="running")]

    found = measure(arm_run(request_log([request("report")], rows)))

    assert found["report.wait_p95_ms"] == pytest.approx(2000)


def test_where_there_is_no_queue_nobody_waits_in_it_not_even_for_no_time() -> None:
    found = measure(arm_run(request_log([request("report")], [report()]), queued=False))

    assert not [name for name in found if ".wait_" in name]
    assert found["report.run_p50_ms"] == pytest.approx(1000)


def test_without_followed_reports_nothing_is_said_about_any() -> None:
    found = measure(arm_run(request_log([request()])))

    assert not [name for name in found if name.startswith(("report.", "jobs."))]


@pytest.mark.parametrize(
    ("worst_s", "stalls", "known"), [(0.6, 0, False), (0.6, 1, True), (0.09, 0, True)]
)
def test_the_worst_lag_of_an_earlier_arm_is_not_that_of_this_one(
    worst_s: float, stalls: int, known: bool
) -> None:
    loop = Scrape(
        before={"offloop_loop_stalls_total": 3.0},
        after={
            "offloop_loop_stalls_total": 3.0 + stalls,
            "offloop_loop_lag_max_seconds": worst_s,
        },
    )

    found = measure(arm_run(request_log([request()]), loop=loop))

    assert ("loop.lag_max_ms" in found) == known


def test_counters_are_measured_by_their_growth_and_the_worst_lag_as_it_is() -> None:
    loop = Scrape(
        before={"offloop_loop_stalls_total": 3.0, "offloop_loop_lost_seconds_total": 1.5},
        after={
            "offloop_loop_stalls_total": 5.0,
            "offloop_loop_lost_seconds_total": 2.75,
            "offloop_loop_lag_max_seconds": 0.6,
        },
    )

    found = measure(arm_run(request_log([request()]), loop=loop))

    assert found["loop.stalls"] == 2
    assert found["loop.lost_s"] == pytest.approx(1.25)
    assert found["loop.lag_max_ms"] == pytest.approx(600)


def test_a_service_without_metrics_has_no_loop_and_no_cpu_measures_rather_than_zeros() -> None:
    found = measure(arm_run(request_log([request()]), workers=(NOTHING,)))

    assert not [name for name in found if name.startswith("loop.")]
    assert "jobs.cpu_s" not in found


def test_a_counter_that_was_there_only_afterwards_has_not_grown_by_all_it_shows() -> None:
    assert Scrape(before={}, after={"offloop_loop_stalls_total": 7.0}).gained(
        "offloop_loop_stalls_total"
    ) is None  # fmt: skip


def test_cpu_per_report_is_over_all_workers() -> None:
    workers = (Scrape(cpu(1, 1.0), cpu(4, 2.5)), Scrape(cpu(0, 0.0), cpu(1, 0.9)))

    found = measure(arm_run(request_log([request()]), workers=workers))

    assert found["jobs.cpu_s"] == pytest.approx((1.5 + 0.9) / 4)


def test_cpu_per_report_is_absent_where_no_report_was_built() -> None:
    workers = (Scrape(cpu(2, 1.0), cpu(2, 1.0)),)

    assert "jobs.cpu_s" not in measure(arm_run(request_log([request()]), workers=workers))


def test_memory_adds_up_the_peaks_of_the_stack_and_of_everything_the_lab_runs() -> None:
    samples = (
        ResourceSample(1.0, "fixed", 80, 0.1, 1),
        ResourceSample(2.0, "fixed", 70, 0.2, 1),
        ResourceSample(1.0, "worker-long-1", 100, 0.1, 1),
        ResourceSample(2.0, "worker-long-1", 130, 0.1, 1),
        ResourceSample(1.0, "generator", 60, 0.1, 1),
        ResourceSample(1.0, "other-stacks", 200, 0.1, 1),
    )

    found = measure(arm_run(request_log([request()]), samples=samples))

    assert found["api.memory_peak_bytes"] == 80
    assert found["stack.memory_peak_bytes"] == 210
    assert found["lab.memory_peak_bytes"] == 470
    assert found["stack.processes"] == 3


def test_memory_of_a_stack_is_absent_if_one_of_its_services_was_never_sampled() -> None:
    samples = (ResourceSample(1.0, "fixed", 80, 0.1, 1),)

    found = measure(arm_run(request_log([request()]), samples=samples))

    assert "stack.memory_peak_bytes" not in found
    assert found["api.memory_peak_bytes"] == 80


def test_plain_requests_are_measured_apart_before_an_event_and_from_then_on() -> None:
    rows = [
        *(request(due_s=due_s) for due_s in (1.0, 2.0, 2.999)),
        request(due_s=3.0, took_s=1.0),
        request(due_s=4.0, error="reset"),
    ]
    freeze = Happened("freeze", ("redis",), at_s=3.0, lasted_s=1.5)

    found = measure(arm_run(request_log(rows), happened=(freeze,)))

    assert found["freeze.at_ms"] == 3000
    assert found["freeze.lasted_ms"] == 1500
    assert found["before:freeze.bystander.offered"] == 3
    assert found["before:freeze.bystander.max_ms"] == pytest.approx(3)
    assert found["before:freeze.bystander.failed"] == 0
    assert found["after:freeze.bystander.offered"] == 2
    assert found["after:freeze.bystander.p50_ms"] == pytest.approx(1001)
    assert found["after:freeze.bystander.failed"] == 1
    assert found["bystander.offered"] == 5


def test_a_stream_that_begins_later_divides_the_time_as_an_event_does() -> None:
    rows = [request(due_s=1.0), request(due_s=4.0, took_s=1.0), request("giant", due_s=4.0)]

    found = measure(replace(arm_run(request_log(rows, [report("giant")])), later={"giant": 4.0}))

    assert found["before:giant.bystander.max_ms"] == pytest.approx(3)
    assert found["after:giant.bystander.max_ms"] == pytest.approx(1001)
    assert "giant.at_ms" not in found
    assert "after:giant.giant.max_ms" not in found


def test_where_a_server_may_kill_workers_none_killed_is_counted_as_none() -> None:
    patient = measure(arm_run(request_log([request()])))
    strict = measure(
        replace(arm_run(request_log([request()])), timeout_s=3, workers_killed=0),
    )

    assert not patient.keys() & {"api.timeout_ms", "api.workers_killed"}
    assert (strict["api.timeout_ms"], strict["api.workers_killed"]) == (3000, 0)


def stalled(*, begun_s: float, stalls: float, lag_s: float) -> dict[str, float]:
    return {
        "process_start_time_seconds": begun_s,
        "offloop_loop_stalls_total": stalls,
        "offloop_loop_lost_seconds_total": stalls,
        "offloop_loop_lag_max_seconds": lag_s,
    }


def test_stalls_of_several_processes_are_added_up_and_the_worst_lag_is_that_of_any() -> None:
    one = Scrape(stalled(begun_s=1, stalls=1, lag_s=0.2), stalled(begun_s=1, stalls=4, lag_s=0.6))
    other = Scrape(stalled(begun_s=2, stalls=0, lag_s=0.0), stalled(begun_s=2, stalls=2, lag_s=0.3))

    found = measure(replace(arm_run(request_log([request()])), loop=(one, other)))

    assert (found["loop.stalls"], found["loop.lost_s"]) == (5, 5)
    assert found["loop.lag_max_ms"] == pytest.approx(600)


def test_what_one_of_several_processes_took_with_it_is_known_of_none() -> None:
    stayed = Scrape(
        stalled(begun_s=1, stalls=1, lag_s=0.2), stalled(begun_s=1, stalls=4, lag_s=0.6)
    )
    killed = Scrape(
        stalled(begun_s=2, stalls=0, lag_s=0.0), stalled(begun_s=9, stalls=0, lag_s=0.0)
    )

    found = measure(replace(arm_run(request_log([request()])), loop=(stayed, killed)))

    assert not [name for name in found if name.startswith("loop.")]


def test_cpu_is_told_by_the_line_and_by_that_for_a_report_of_each_stream() -> None:
    built = Scrape(cpu(0, 0.0, lines=0), cpu(3, 1.2, lines=60_000))
    rows = [report("short")._replace(rows=5_000), report("long")._replace(rows=50_000)]
    log = request_log([request("short"), request("long")], rows)

    found = measure(arm_run(log, workers=(built,)))

    assert found["jobs.cpu_us_per_line"] == pytest.approx(20)
    assert found["short.cpu_ms"] == pytest.approx(100)
    assert found["long.cpu_ms"] == pytest.approx(1000)


def test_a_report_that_was_never_finished_has_no_cpu_time() -> None:
    built = Scrape(cpu(0, 0.0, lines=0), cpu(1, 1.2, lines=60_000))
    rows = [report("giant", status="queued")._replace(rows=None)]

    found = measure(arm_run(request_log([request("giant")], rows), workers=(built,)))

    assert "giant.cpu_ms" not in found


def test_orders_have_no_phases() -> None:
    log = request_log([request("report")], [report()])
    kill = Happened("kill", ("worker-long-1",), at_s=0.5, lasted_s=None)

    found = measure(arm_run(log, happened=(kill,)))

    assert not [name for name in found if name.startswith(("before:", "after:"))]
    assert "kill.lasted_ms" not in found


def test_counters_of_a_process_that_was_restarted_begin_anew() -> None:
    started = {"process_start_time_seconds": 100.0}
    again = {"process_start_time_seconds": 200.0}
    counted = {"offloop_loop_stalls_total": 9.0, "offloop_loop_lag_max_seconds": 0.1}
    loop = Scrape(before=started | counted, after=again | counted)
    worker = Scrape(before=started | cpu(9, 9.0), after=again | cpu(2, 1.0))

    found = measure(arm_run(request_log([request()]), loop=loop, workers=(worker,)))

    assert "loop.stalls" not in found
    assert "loop.lag_max_ms" not in found
    assert found["jobs.cpu_s"] == pytest.approx(0.5)


def test_what_the_queues_did_is_measured_until_something_is_done_to_them() -> None:
    depths = tuple(DepthSample(at_s / 2, at_s) for at_s in range(8))
    event = Happened("second_slot", ("worker-long-2",), 2.0, 1.0)
    log = request_log([request("report")], [report()])

    found = measure(arm_run(log, depths=depths, happened=(event,)))

    assert found["queue.depth_max"] == 7
    assert found["queue.depth_slope_per_s"] == pytest.approx(2)
    assert found["queue.wait_max_ms"] == 0
    assert found["queue.drain_per_s"] == 1


def test_refusals_are_measured_where_clients_come_back() -> None:
    log = request_log([request("report")], [report()])

    assert measure(arm_run(log, retrying=frozenset({"report"})))["report.refused"] == 0
    assert "report.refused" not in measure(arm_run(log))


def test_the_last_report_is_seen_when_all_are() -> None:
    seen = [report(seen_s=4.0), report(seen_s=3.0)]
    requests = [request("report")] * 2

    assert measure(arm_run(request_log(requests, seen)))["report.last_seen_ms"] == 4000
    missing = [*seen[:1], report(status=None, seen_s=None)]
    assert "report.last_seen_ms" not in measure(arm_run(request_log(requests, missing)))
