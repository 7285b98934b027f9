"""Faults that are staged by hand, each at the failpoint where it hurts a tier that is wrong."""

import time
from collections.abc import Callable
from typing import TypeVar

from reports.failpoints import Failpoint
from tests.chaos.catalogue import BY_NAME
from tests.chaos.evidence import alive_since, read_records
from tests.chaos.failpoints import Sighting, Trap
from tests.chaos.invariants import FINAL
from tests.chaos.processes import Freezer, group_of, kill
from tests.chaos.stage import Stage

#: Takes long enough that there is no doubt who is faster.
_ITEM = BY_NAME["everything"]

#: Seconds; a guard against hanging.
_HANG_S = 90.0

#: What Dramatiq logs when it has lost the broker.
_CONSUMER_GIVES_UP = "Restarting consumer"

T = TypeVar("T")


def kill_at(stage: Stage, failpoint: Failpoint) -> str:
    """Order a report, kill the slot at a failpoint, and wait for the end of it all."""

    def act(seen: Sighting) -> None:
        kill(_group(seen))

    return _order_into(stage, Trap(failpoint, act))


def come_late(stage: Stage, failpoint: Failpoint) -> str:
    """Order a report, and freeze the slot at a failpoint until another one has built it."""
    caught: list[Sighting] = []
    with Freezer() as freezer:

        def act(seen: Sighting) -> None:
            caught.append(seen)
            freezer.freeze(_group(seen))

        trap = stage.failpoints.set(Trap(failpoint, act))
        with stage.customer() as customer:
            job_id = customer.order(_ITEM)
        assert job_id
        assert trap.sprung.wait(_HANG_S)
        _wait_for(lambda: read_records(stage.records)[job_id]["status"] in FINAL)
        late = stage.failpoints.set(Trap(Failpoint.IDLE, lambda _: None, slots={caught[0].slot}))
        freezer.thaw(_group(caught[0]))
        assert late.sprung.wait(_HANG_S)
    _settle(stage)
    return job_id


def lose_the_answer_of_a_fetch(stage: Stage) -> str:
    """Let the broker hand out a message to a slot that does not listen any more, but lives on.

    The broker is frozen for longer than the slot waits for its answer, and housekeeping until the
    slot is heard of again, so that nobody believes it dead.
    """
    slot, broker, housekeeping = (
        _leader(stage, name) for name in ("worker-short-1", "redis", "housekeeping")
    )
    log = stage.stack.log_dir / "worker-short-1.log"
    with Freezer() as freezer:
        freezer.freeze(slot)
        with stage.customer() as customer:
            job_id = customer.order(BY_NAME["a day"])
        assert job_id
        freezer.freeze(housekeeping)
        freezer.freeze(broker)
        before = log.read_text().count(_CONSUMER_GIVES_UP)
        freezer.thaw(slot)
        # One consumer for the queue, and one for what is delayed.
        _wait_for(lambda: log.read_text().count(_CONSUMER_GIVES_UP) >= before + 2)
        thawed_ms = 1000 * time.time()
        freezer.thaw(broker)
        _wait_for(lambda: alive_since(stage.queues, thawed_ms) >= len(stage.slots))
    _settle(stage)
    return job_id


def _leader(stage: Stage, name: str) -> int:
    pid = stage.leader(name)
    assert pid is not None
    return pid


def _order_into(stage: Stage, trap: Trap) -> str:
    stage.failpoints.set(trap)
    with stage.customer() as customer:
        job_id = customer.order(_ITEM)
    assert job_id
    assert trap.sprung.wait(_HANG_S)
    _settle(stage)
    return job_id


def _settle(stage: Stage) -> None:
    """Wait for rest; where it does not come to that, what is stuck is for the invariants to say."""
    stage.settle(_HANG_S)


def _group(seen: Sighting) -> int:
    group = group_of(seen.pid)
    assert group is not None
    return group


def _wait_for(look: Callable[[], T]) -> T:
    until = time.monotonic() + _HANG_S
    while not (seen := look()):
        assert time.monotonic() < until, "what was waited for did not happen"
        time.sleep(0.02)
    return seen
