"""The fixed tier keeps its promises whatever breaks, and broken tiers are caught."""

import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from offloop.stack.failpoints import Trap
from reports.failpoints import Failpoint
from tests.chaos.campaign import run
from tests.chaos.catalogue import BY_NAME
from tests.chaos.customers import PATIENCE_S, Customer
from tests.chaos.evidence import alive_since, read_records
from tests.chaos.faults import Target, shortfalls
from tests.chaos.invariants import Harm, judge
from tests.chaos.stage import POOLS, Stage, open_stage
from tests.shop import FINAL, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("data_set")]

#: A job whose slot is killed is not tried again.
ONE_ATTEMPT = {"OFFLOOP_MAX_ATTEMPTS": "1"}

#: Of the short form of `python -m tests.chaos`.
FAULTS = 15

#: None stands for the server that comes with the lab.
BROKERS = [None, *map(Path, filter(None, [shutil.which("redis-server")]))]


@pytest.mark.parametrize("broker", BROKERS, ids=lambda path: path.name if path else "embedded")
def test_what_is_promised_is_kept_whatever_breaks(tmp_path: Path, broker: Path | None) -> None:
    with open_stage(tmp_path, redis_server=broker) as stage:
        outcome = run(stage, seed=3, number=FAULTS)

    assert [str(violation) for violation in outcome.violations] == []
    assert len(outcome.hits) == FAULTS
    assert {hit.fault.target for hit in outcome.hits} == set(Target)
    assert shortfalls(outcome.hits) == []
    assert outcome.recoveries_s
    assert len(outcome.evidence.promises) > FAULTS
    assert outcome.evidence.deliveries
    assert any(seen.sha256 for seen in outcome.evidence.seen)
    assert "runs again" in (tmp_path / "journal.log").read_text()


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with open_stage(tmp_path_factory.mktemp("logs")) as stage:
        yield stage


def order(stage: Stage, item: str = "everything") -> str:
    with closing(Customer(stage, random.SystemRandom(), threading.Event())) as customer:
        job_id = customer.order(BY_NAME[item])
    assert job_id
    return job_id


def kill_at(stage: Stage, failpoint: Failpoint) -> str:
    """Order a report, kill its slot at a failpoint, and wait until everything is at rest."""
    killed = Trap(failpoint, lambda pid: os.killpg(os.getpgid(pid), signal.SIGKILL))
    stage.failpoints.set(killed)
    job_id = order(stage)
    assert killed.sprung.wait(PATIENCE_S)
    stage.settle(PATIENCE_S)
    return job_id


def freeze_at(stage: Stage, failpoint: Failpoint) -> str:
    """Order a report, and freeze its slot at a failpoint until another slot has built it."""
    pids: list[int] = []

    def freeze(pid: int) -> None:
        pids.append(pid)
        stage.stack.signal(stage.slots.name(pid), signal.SIGSTOP)

    frozen = stage.failpoints.set(Trap(failpoint, freeze))
    job_id = order(stage)
    assert frozen.sprung.wait(PATIENCE_S)
    through = Trap(Failpoint.IDLE, lambda _: None, catches=pids.__contains__)
    try:
        wait_for(lambda: read_records(stage.records)[job_id]["status"] in FINAL)
        stage.failpoints.set(through)
    finally:
        stage.stack.signal(stage.slots.name(pids[0]), signal.SIGCONT)
    assert through.sprung.wait(PATIENCE_S)
    stage.settle(PATIENCE_S)
    return job_id


@pytest.mark.parametrize(
    ("failpoint", "attempts"),
    [
        (Failpoint.FETCH, "1"),  # it had not claimed the job, and costs no attempt
        (Failpoint.WRITE, "2"),
        (Failpoint.BEFORE_RENAME, "2"),
        (Failpoint.AFTER_RENAME, "2"),
        (Failpoint.AFTER_BILLING, "2"),
    ],
)
def test_a_superseded_attempt_changes_nothing(
    fixed: Stage, failpoint: Failpoint, attempts: str
) -> None:
    job_id = freeze_at(fixed, failpoint)
    evidence = fixed.evidence()

    assert evidence.records[job_id]["attempt"] == attempts
    assert evidence.announced.count(job_id) == 1
    assert judge(evidence) == []


@pytest.mark.parametrize("failpoint", [Failpoint.WRITE, Failpoint.AFTER_BILLING])
def test_a_slot_that_is_killed_breaks_no_promise(fixed: Stage, failpoint: Failpoint) -> None:
    job_id = kill_at(fixed, failpoint)
    evidence = fixed.evidence()

    assert evidence.records[job_id]["status"] == "done"
    assert judge(evidence) == []


def test_a_job_that_is_given_up_leaves_no_file(tmp_path: Path) -> None:
    with open_stage(tmp_path, environment=ONE_ATTEMPT) as stage:
        job_id = kill_at(stage, Failpoint.WRITE)
        evidence = stage.evidence()

    assert evidence.records[job_id]["status"] == "failed"
    assert judge(evidence) == []
    assert not evidence.files


def test_a_job_is_done_although_the_answer_to_its_fetch_was_lost(tmp_path: Path) -> None:
    """The broker hands its message to a slot that no longer waits for it, but lives on.

    The broker is frozen for longer than the slots wait for an answer. Housekeeping is frozen until
    the slots are heard of again, so that it does not take them for dead.
    """
    slots = ("worker-short-1", "worker-short-2")

    def have_given_up() -> bool:
        logs = ((tmp_path / f"{slot}.log").read_text() for slot in slots)
        # Dramatiq says so for the queue, and for delayed messages.
        return all(log.count("Restarting consumer") >= 2 for log in logs)

    with open_stage(tmp_path) as stage:

        def send(number: signal.Signals, *names: str) -> None:
            for name in names:
                stage.stack.signal(name, number)

        send(signal.SIGSTOP, *slots)
        order(stage, "a day")
        send(signal.SIGSTOP, "housekeeping", "redis")
        send(signal.SIGCONT, *slots)
        wait_for(have_given_up)
        thawed_ms = 1000 * time.time()
        send(signal.SIGCONT, "redis")
        number = sum(pool.slots for pool in POOLS.values())
        wait_for(lambda: alive_since(stage.queues, thawed_ms) >= number)
        send(signal.SIGCONT, "housekeeping")
        stage.settle(PATIENCE_S)

        assert [str(violation) for violation in judge(stage.evidence())] == []


@pytest.mark.parametrize(
    ("tier", "fault", "failpoint", "environment", "harm"),
    [
        ("tests.chaos.broken.unfenced", freeze_at, Failpoint.AFTER_BILLING, {}, Harm.DOUBLED),
        ("tests.chaos.broken.direct_writes", kill_at, Failpoint.WRITE, ONE_ATTEMPT, Harm.PARTIAL),
        ("workers.naive", kill_at, Failpoint.AFTER_BILLING, {}, Harm.DOUBLED),
        ("workers.naive", kill_at, Failpoint.WRITE, {}, Harm.PARTIAL),
    ],
)
def test_a_broken_tier_is_caught(  # noqa: PLR0913 - a row of the table
    tmp_path: Path,
    tier: str,
    fault: Callable[[Stage, Failpoint], str],
    failpoint: Failpoint,
    environment: Mapping[str, str],
    harm: Harm,
) -> None:
    with open_stage(tmp_path, tier=tier, environment=environment) as stage:
        job_id = fault(stage, failpoint)
        found = judge(stage.evidence())

    assert {violation.harm for violation in found if violation.job_id == job_id} == {harm}
