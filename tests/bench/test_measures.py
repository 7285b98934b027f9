import pytest

from offloop.bench.measures import ArmRun, Scrape, measure
from offloop.load.log import RequestLog
from offloop.stack.sampling import ResourceSample
from tests.bench.support import DEADLINE_S, report, request, request_log

NOTHING = Scrape(before={}, after={})


def arm_run(
    log: RequestLog,
    *,
    loop: Scrape = NOTHING,
    workers: tuple[Scrape, ...] = (),
    samples: tuple[ResourceSample, ...] = (),
    steal: float | None = None,
) -> ArmRun:
    needed = {"fixed": 1, "worker-long-1": 2}
    return ArmRun(
        log,
        api="fixed",
        needed=needed,
        samples=samples,
        steal=steal,
        loop=loop,
        workers=workers,
    )


def cpu(reports: int, seconds: float) -> dict[str, float]:
    return {
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


def test_without_followed_reports_nothing_is_said_about_any() -> None:
    found = measure(arm_run(request_log([request()])))

    assert not [name for name in found if name.startswith(("report.", "jobs."))]


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
    assert "report.cpu_s" not in found


def test_a_counter_that_was_there_only_afterwards_has_not_grown_by_all_it_shows() -> None:
    assert Scrape(before={}, after={"offloop_loop_stalls_total": 7.0}).gained(
        "offloop_loop_stalls_total"
    ) is None  # fmt: skip


def test_cpu_per_report_is_over_all_workers() -> None:
    workers = (Scrape(cpu(1, 1.0), cpu(4, 2.5)), Scrape(cpu(0, 0.0), cpu(1, 0.9)))

    found = measure(arm_run(request_log([request()]), workers=workers))

    assert found["report.cpu_s"] == pytest.approx((1.5 + 0.9) / 4)


def test_cpu_per_report_is_absent_where_no_report_was_built() -> None:
    workers = (Scrape(cpu(2, 1.0), cpu(2, 1.0)),)

    assert "report.cpu_s" not in measure(arm_run(request_log([request()]), workers=workers))


def test_memory_adds_up_the_peaks_of_the_stack_and_of_everything_the_lab_runs() -> None:
    samples = (
        ResourceSample(1.0, "fixed", 80, 0.1),
        ResourceSample(2.0, "fixed", 70, 0.2),
        ResourceSample(1.0, "worker-long-1", 100, 0.1),
        ResourceSample(2.0, "worker-long-1", 130, 0.1),
        ResourceSample(1.0, "generator", 60, 0.1),
        ResourceSample(1.0, "other-stacks", 200, 0.1),
    )

    found = measure(arm_run(request_log([request()]), samples=samples))

    assert found["api.memory_peak_bytes"] == 80
    assert found["stack.memory_peak_bytes"] == 210
    assert found["lab.memory_peak_bytes"] == 470
    assert found["stack.processes"] == 3


def test_memory_of_a_stack_is_absent_if_one_of_its_services_was_never_sampled() -> None:
    samples = (ResourceSample(1.0, "fixed", 80, 0.1),)

    found = measure(arm_run(request_log([request()]), samples=samples))

    assert "stack.memory_peak_bytes" not in found
    assert found["api.memory_peak_bytes"] == 80
