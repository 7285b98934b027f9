"""What a slot counts, with Dramatiq's own worker and a broker in memory."""

import time
from collections.abc import Callable, Iterator

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker
from prometheus_client import REGISTRY

from workers.job_metrics import JobMetrics, Outcome, note_outcome
from workers.problems import too_many_attempts


class Slot:
    """A slot whose actor does what a test says."""

    def __init__(self) -> None:
        self.broker = StubBroker(middleware=[JobMetrics()])
        self.broker.emit_after("process_boot")
        self.act: Callable[[], None] = lambda: None
        dramatiq.actor(queue_name="short", actor_name="job", broker=self.broker)(self._run)
        self.worker = dramatiq.Worker(
            self.broker, queues={"short"}, worker_threads=1, worker_timeout=10
        )
        self.worker.start()

    def _run(self) -> None:
        self.act()

    def work(self, act: Callable[[], None], *, queued_ago_s: float = 0.0) -> None:
        """Work on one message."""
        self.act = act
        moment_ms = int((time.time() - queued_ago_s) * 1000)
        message: dramatiq.Message[None] = dramatiq.Message(
            "short", "job", (), {}, {}, message_timestamp=moment_ms
        )
        self.broker.enqueue(message)
        self.broker.join("short", fail_fast=False, timeout=30_000)
        self.worker.join()


@pytest.fixture
def slot() -> Iterator[Slot]:
    slot = Slot()
    yield slot
    slot.worker.stop()


def value(name: str, **labels: str) -> float:
    """Of a metric of the slot; 0 where nothing was counted yet."""
    return REGISTRY.get_sample_value(f"offloop_{name}", {"queue": "short", **labels}) or 0.0


def finished(outcome: Outcome, error: str = "") -> float:
    return value("jobs_finished_total", actor="job", outcome=outcome, error=error)


def noted(outcome: Outcome, error: Exception | None = None) -> Callable[[], None]:
    """An actor whose store says what became of the job, while it handles an error if there is."""

    def act() -> None:
        if error is None:
            note_outcome(outcome)
            return
        try:
            raise error
        except type(error):
            note_outcome(outcome)

    return act


def fail() -> None:
    raise ZeroDivisionError


def test_where_nobody_says_anything_dramatiqs_view_counts(slot: Slot) -> None:
    before = finished(Outcome.DONE), finished(Outcome.FAILED, "ZeroDivisionError")

    slot.work(lambda: None)
    slot.work(fail)

    after = finished(Outcome.DONE), finished(Outcome.FAILED, "ZeroDivisionError")
    assert [late - early for late, early in zip(after, before, strict=True)] == [1, 1]


@pytest.mark.parametrize(
    ("outcome", "error", "counted_as"),
    [
        (Outcome.PUT_OFF, OSError(), "OSError"),
        (Outcome.HANDED_BACK, LookupError(), ""),
        (Outcome.ABANDONED, None, ""),
    ],
)
def test_what_the_store_says_counts_although_the_actor_has_just_returned(
    slot: Slot, outcome: Outcome, error: Exception | None, counted_as: str
) -> None:
    before, done = finished(outcome, counted_as), finished(Outcome.DONE)

    slot.work(noted(outcome, error))

    assert finished(outcome, counted_as) == before + 1
    assert finished(Outcome.DONE) == done


def test_a_job_that_was_given_up_without_an_error_says_why(slot: Slot) -> None:
    before = finished(Outcome.FAILED, "too-many-attempts")

    slot.work(lambda: note_outcome(Outcome.FAILED, too_many_attempts(4)))

    assert finished(Outcome.FAILED, "too-many-attempts") == before + 1


def test_wait_and_run_of_the_same_jobs_are_measured(slot: Slot) -> None:
    names = ("job_wait_seconds", "job_run_seconds")
    before = {name: value(f"{name}_sum", actor="job") for name in names}

    slot.work(lambda: time.sleep(0.05), queued_ago_s=100)

    waited_s, ran_s = (value(f"{name}_sum", actor="job") - before[name] for name in names)
    assert waited_s >= 99
    assert 0.05 <= ran_s < waited_s


def test_a_message_that_needed_nothing_is_no_run(slot: Slot) -> None:
    before = value("job_run_seconds_count", actor="job"), finished(Outcome.NOTHING_TO_DO)

    slot.work(noted(Outcome.NOTHING_TO_DO))

    after = value("job_run_seconds_count", actor="job"), finished(Outcome.NOTHING_TO_DO)
    assert after == (before[0], before[1] + 1)


def test_a_job_is_in_progress_while_it_is_worked_on(slot: Slot) -> None:
    seen: list[float] = []

    slot.work(lambda: seen.append(value("jobs_in_progress")))

    assert seen == [1]
    assert REGISTRY.get_sample_value("offloop_jobs_in_progress", {"queue": "short"}) == 0


def test_outside_of_a_slot_saying_something_does_nothing() -> None:
    before = finished(Outcome.DONE)

    note_outcome(Outcome.DONE)

    assert finished(Outcome.DONE) == before
