"""The server of the failpoints, with real processes that announce theirs."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from reports.failpoints import FAILPOINTS_VARIABLE, Failpoint
from tests.chaos.failpoints import FailpointServer, Sighting, Trap
from tests.chaos.processes import Freezer, kill
from tests.shop import ROOT, wait_for

pytestmark = pytest.mark.medium

SLOT, OTHER = "worker-long-1", "worker-long-2"
JOB = "a" * 32

#: Each line on standard input is a failpoint to reach.
WORKER = """
import sys
from reports.failpoints import Failpoint, reached
for line in sys.stdin:
    failpoint, _, job_id = line.strip().partition(" ")
    reached(Failpoint(failpoint), job_id)
    print(failpoint, flush=True)
"""


class Worker:
    """A process that goes from failpoint to failpoint when told to."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def go(self, failpoint: Failpoint, job_id: str = "") -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{failpoint} {job_id}\n")
        self.process.stdin.flush()

    def passed(self) -> str:
        """The next failpoint that it gets beyond; nothing if it dies before."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@pytest.fixture
def seen() -> list[Sighting]:
    return []


@pytest.fixture
def server(tmp_path: Path, seen: list[Sighting]) -> Iterator[FailpointServer]:
    with FailpointServer(tmp_path, (SLOT, OTHER), seen.append) as server:
        yield server


@pytest.fixture
def start(server: FailpointServer) -> Iterator[Callable[[str], Worker]]:
    with ExitStack() as entered:

        def starter(slot: str) -> Worker:
            process = subprocess.Popen(
                [sys.executable, "-c", WORKER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={"PYTHONPATH": str(ROOT), FAILPOINTS_VARIABLE: str(server.path(slot))},
                process_group=0,
            )
            entered.enter_context(process)
            entered.callback(process.kill)
            return Worker(process)

        yield starter


def test_everything_goes_on_at_once_and_is_seen(
    start: Callable[[str], Worker], server: FailpointServer, seen: list[Sighting]
) -> None:
    worker = start(SLOT)

    worker.go(Failpoint.FETCH, JOB)
    worker.go(Failpoint.WRITE)
    worker.go(Failpoint.IDLE)

    assert [worker.passed() for _ in range(3)] == [Failpoint.FETCH, Failpoint.WRITE, Failpoint.IDLE]
    pid = worker.process.pid
    assert seen == [
        Sighting(SLOT, pid, Failpoint.FETCH, JOB),
        Sighting(SLOT, pid, Failpoint.WRITE, JOB),  # of the job that was fetched
        Sighting(SLOT, pid, Failpoint.IDLE, ""),
    ]
    assert server.latest(SLOT) == seen[-1]
    assert server.latest(OTHER) is None


def test_a_trap_holds_a_slot_at_its_step_until_it_has_acted(
    start: Callable[[str], Worker], server: FailpointServer
) -> None:
    worker, other = start(SLOT), start(OTHER)
    let_go = threading.Event()
    trap = server.set(Trap(Failpoint.WRITE, lambda _: wait_for(let_go.is_set), slots={SLOT}))

    other.go(Failpoint.WRITE, JOB)
    worker.go(Failpoint.FETCH, JOB)
    worker.go(Failpoint.WRITE)

    assert other.passed() == Failpoint.WRITE
    assert worker.passed() == Failpoint.FETCH
    wait_for(lambda: (latest := server.latest(SLOT)) and latest.failpoint is Failpoint.WRITE)
    assert not trap.sprung.is_set()

    let_go.set()
    assert worker.passed() == Failpoint.WRITE
    assert trap.sprung.is_set()


def test_a_trap_is_sprung_once_and_can_be_removed(
    start: Callable[[str], Worker], server: FailpointServer
) -> None:
    worker = start(SLOT)
    caught: list[Sighting] = []
    sprung = server.set(Trap(Failpoint.FETCH, caught.append))
    for_another_job = server.set(Trap(Failpoint.FETCH, caught.append, job_id="b" * 32))

    for _ in range(2):
        worker.go(Failpoint.FETCH, JOB)
        assert worker.passed() == Failpoint.FETCH

    assert len(caught) == 1
    assert not server.remove(sprung)
    assert server.remove(for_another_job)


def test_a_slot_can_be_killed_at_a_step_and_the_next_one_is_served(
    start: Callable[[str], Worker], server: FailpointServer
) -> None:
    worker = start(SLOT)
    server.set(Trap(Failpoint.WRITE, lambda seen: kill(seen.pid)))

    worker.go(Failpoint.WRITE, JOB)

    assert worker.passed() == ""
    wait_for(lambda: server.latest(SLOT) is None)

    successor = start(SLOT)
    successor.go(Failpoint.WRITE, JOB)
    assert successor.passed() == Failpoint.WRITE


def test_a_slot_can_be_frozen_at_a_step_and_goes_on_when_it_is_thawed(
    start: Callable[[str], Worker], server: FailpointServer
) -> None:
    worker = start(SLOT)
    with Freezer() as freezer:
        trap = server.set(Trap(Failpoint.WRITE, lambda seen: freezer.freeze(seen.pid)))

        worker.go(Failpoint.WRITE, JOB)

        assert trap.sprung.wait(60)
        assert freezer.frozen() == [worker.process.pid]
        freezer.thaw(worker.process.pid)
        assert worker.passed() == Failpoint.WRITE
        assert freezer.frozen() == []
