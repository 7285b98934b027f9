"""The clients' view, without a generator: what it makes of what it is told."""

from time import monotonic

import pytest
from prometheus_client import CollectorRegistry

from offloop.load.client_view import ClientView
from offloop.load.plan import Plan, Stream
from offloop.load.protocol import Progress
from offloop.load.records import RequestRow

STREAM = Stream(name="ping", path="/ping", base_url="http://test", due_s=[0.0, 1.0, 2.0, 50.0])


class Seen:
    """A view, and what its metrics say."""

    def __init__(self) -> None:
        self.view = ClientView()
        self._registry = CollectorRegistry()
        self._registry.register(self.view)

    def __call__(self, metric: str, /, **labels: str) -> float | None:
        return self._registry.get_sample_value(f"offloop_load_{metric}", labels)

    def begin(self, ago_s: float) -> None:
        self.view.progressed(
            Progress(
                start_monotonic_s=monotonic() - ago_s, elapsed_s=ago_s, sent=0, answered=0, total=4
            )
        )

    def phases(self) -> dict[str, float]:
        found = {
            phase: self("phase_started_timestamp_seconds", phase=phase)
            for phase in ("sending", "draining", "over")
        }
        return {phase: value for phase, value in found.items() if value is not None}


@pytest.fixture
def seen() -> Seen:
    return Seen()


def plan(duration_s: float = 60.0) -> Plan:
    return Plan(streams=[STREAM], duration_s=duration_s, drain_s=30.0, seed=1)


def row(due_s: float, sent_s: float | None, done_s: float | None, error: str = "") -> RequestRow:
    return RequestRow("ping", due_s, sent_s, done_s, 200 if done_s else None, None, error)


def test_before_a_run_there_are_no_metrics(seen: Seen) -> None:
    assert seen("offered_total", name="ping") is None
    assert seen("in_flight", name="ping") is None
    assert seen.phases() == {}


def test_due_requests_are_in_flight_until_answered_whether_or_not_sent(seen: Seen) -> None:
    with seen.view.watching(plan()):
        seen.begin(ago_s=10.0)
        seen.view.settled(STREAM, row(0.0, 0.0, 0.5))

        assert seen("offered_total", name="ping") == 3
        assert seen("in_flight", name="ping") == 2


def test_response_time_counts_from_due_and_service_time_from_sent(
    seen: Seen,
) -> None:
    with seen.view.watching(plan()):
        seen.begin(ago_s=10.0)
        seen.view.settled(STREAM, row(0.0, sent_s=2.0, done_s=3.0))

        assert seen("requests_total", name="ping", outcome="ok") == 1
        assert seen("response_seconds_sum", name="ping") == 3.0
        assert seen("service_seconds_sum", name="ping") == 1.0


def test_a_failed_request_counts_as_answered_at_the_deadline(seen: Seen) -> None:
    with seen.view.watching(plan()):
        seen.begin(ago_s=10.0)
        seen.view.settled(STREAM, row(0.0, 0.0, 0.001, error="status 500"))

        assert seen("requests_total", name="ping", outcome="failed") == 1
        assert seen("requests_total", name="ping", outcome="ok") == 0
        assert seen("response_seconds_sum", name="ping") == plan().deadline_s


def test_the_phases_of_a_run_begin_one_after_the_other(seen: Seen) -> None:
    with seen.view.watching(plan()):
        assert seen.phases() == {}
        seen.begin(ago_s=10.0)
        assert list(seen.phases()) == ["sending"]
        seen.begin(ago_s=70.0)
        draining = seen.phases()
        assert list(draining) == ["sending", "draining"]
        assert draining["draining"] - draining["sending"] == pytest.approx(60.0, abs=0.5)

    assert list(seen.phases()) == ["sending", "draining", "over"]


def test_requests_that_were_never_sent_fail_at_the_end_of_the_run(seen: Seen) -> None:
    with seen.view.watching(plan()):
        seen.begin(ago_s=10.0)
        seen.view.settled(STREAM, row(0.0, 0.0, 0.5))

    assert seen("offered_total", name="ping") == 3
    assert seen("requests_total", name="ping", outcome="failed") == 2
    assert seen("in_flight", name="ping") == 0


def test_a_second_run_adds_to_the_counters(seen: Seen) -> None:
    for _ in range(2):
        with seen.view.watching(plan()):
            seen.begin(ago_s=100.0)
            for due_s in STREAM.due_s:
                seen.view.settled(STREAM, row(due_s, due_s, due_s + 0.1))

    assert seen("offered_total", name="ping") == 8
    assert seen("requests_total", name="ping", outcome="ok") == 8
    assert seen("in_flight", name="ping") == 0
