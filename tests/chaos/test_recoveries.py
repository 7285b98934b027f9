import pytest

from reports.failpoints import Failpoint
from tests.chaos.failpoints import Sighting
from tests.chaos.recoveries import Recoveries, Recovery


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recoveries(clock: Clock) -> Recoveries:
    """A slot, process 1, was killed with the job `a` in hand."""
    made = Recoveries(clock)
    made.killed("a", 1, disturbed=False)
    return made


def at(failpoint: Failpoint, pid: int = 2, job_id: str = "a") -> Sighting:
    return Sighting("worker-long-1", pid, failpoint, job_id)


def test_a_job_runs_again_when_another_process_gets_beyond_fetching_it(
    recoveries: Recoveries, clock: Clock
) -> None:
    clock.now += 2
    recoveries.seen(at(Failpoint.FETCH))
    assert recoveries.pending

    clock.now += 1
    recoveries.seen(at(Failpoint.WRITE))

    assert recoveries.finished == [Recovery("a", 3.0, disturbed=False)]
    assert not recoveries.pending


def test_what_was_under_way_does_not_count(recoveries: Recoveries) -> None:
    recoveries.seen(at(Failpoint.AFTER_RENAME, pid=1))  # its last words
    recoveries.seen(at(Failpoint.AFTER_RENAME, pid=3))  # frozen before, and going on now
    recoveries.seen(at(Failpoint.FETCH, job_id="b"))
    recoveries.seen(at(Failpoint.WRITE, job_id="b"))

    assert recoveries.pending
    assert recoveries.finished == []


def test_a_recovery_during_which_something_else_was_broken_says_so(
    recoveries: Recoveries,
) -> None:
    recoveries.disturb()
    recoveries.seen(at(Failpoint.FETCH))
    recoveries.seen(at(Failpoint.WRITE))

    assert [recovery.disturbed for recovery in recoveries.finished] == [True]


def test_a_job_whose_second_slot_is_killed_too_waits_from_then_on(
    recoveries: Recoveries, clock: Clock
) -> None:
    clock.now += 5
    recoveries.killed("a", 2, disturbed=True)
    clock.now += 1
    recoveries.seen(at(Failpoint.FETCH, pid=3))
    recoveries.seen(at(Failpoint.WRITE, pid=3))

    assert recoveries.finished == [Recovery("a", 1.0, disturbed=True)]
