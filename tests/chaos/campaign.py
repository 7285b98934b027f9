"""Breaks one thing after the other, as planned, while customers order."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from redis.exceptions import RedisError

from offloop.stack import redis
from offloop.stack.failpoints import Announcement, Trap
from offloop.stack.processes import freeze
from tests.chaos.customers import CALLBACKS, PATIENCE_S, customers
from tests.chaos.evidence import read_waiting
from tests.chaos.faults import Fault, Hit, Kind, Phase, Target, plan
from tests.chaos.invariants import Evidence, Violation, judge
from tests.chaos.stage import Stage, within
from tests.receiver import Handler
from tests.shop import FIXED, wait_for
from workers.records import OUTBOX_KEY

#: Names of the services that are not slots.
_SERVICES = {
    Target.API: FIXED.service,
    Target.BROKER: redis.NAME,
    Target.HOUSEKEEPING: "housekeeping",
}

#: Seconds to wait for a phase to begin, and for a dead job to be recovered by housekeeping; then
#: the fault hits at any moment.
_APPROACH_S = 20.0
_SOON_S = 1.0

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome:
    """What came of a campaign; `seconds` is from the first fault to the last."""

    hits: Sequence[Hit]
    recoveries_s: Sequence[float]
    evidence: Evidence
    violations: Sequence[Violation]
    seconds: float


def run(
    stage: Stage,
    seed: int,
    number: int,
    tell: Callable[[Hit], object] = lambda _: None,
    callbacks: float = CALLBACKS,
) -> Outcome:
    """Break things while customers order, wait until all is at rest, and judge."""
    hits: list[Hit] = []
    begin = time.monotonic()
    with customers(stage, seed, callbacks):
        breaker = Breaker(stage, seed)
        for fault in plan(seed, number):
            hits.append(breaker.strike(fault))
            tell(hits[-1])
            time.sleep(fault.gap_s)
        seconds = time.monotonic() - begin
        breaker.wait_for_thaws()
    stage.settle(PATIENCE_S)
    evidence = stage.evidence()
    violations = judge(evidence)
    for violation in violations:
        stage.journal.info("%s", violation)
    return Outcome(hits, tuple(stage.slots.recoveries_s), evidence, violations, seconds)


class Breaker:
    """Carries out faults. Every approach returns None if it missed the phase or the process."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self._stage = stage
        self._slots = stage.slots
        self._chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
        self._thaws: list[threading.Timer] = []

    def strike(self, fault: Fault) -> Hit:
        """Carry out a fault, and return when it has hit. A missed phase makes it hit elsewhere."""
        self._stage.journal.info("%s", fault)
        approach = {
            Phase.ANY: self._at_any_moment,
            Phase.ACCEPT: self._while_accepting,
            Phase.DELIVER: self._while_delivering,
            Phase.RECOVER: self._while_recovering,
        }.get(fault.phase, self._at_failpoint)
        hit = approach(fault)
        if hit is None:
            self._stage.journal.info("missed; it hits at any moment")
            hit = wait_for(partial(self._at_any_moment, replace(fault, phase=Phase.ANY)))
        self._stage.journal.info("hit %s at %s, job %s", hit.name, hit.phase, hit.job_id or "-")
        return hit

    def wait_for_thaws(self) -> None:
        """Wait until every frozen process has been resumed."""
        for thaw in self._thaws:
            thaw.join()

    def _at_failpoint(self, fault: Fault) -> Hit | None:
        """Hit a slot at a failpoint, or the broker while a slot is held there."""
        if fault.target is not Target.SLOT:
            leader = self._leader(fault.target)
            return self._catch(fault.phase, lambda seen: self._hit(fault, leader, seen.job_id))
        if fault.delay_s == 0:
            return self._catch(fault.phase, lambda seen: self._hit_slot(fault, seen))
        delay_s = fault.delay_s
        while caught := self._catch(fault.phase, lambda seen: seen):
            time.sleep(delay_s)
            if self._slots.latest.get(caught.pid) == caught:
                return self._hit_slot(fault, caught)
            delay_s /= 2  # it had got beyond that failpoint
        return None

    def _catch(self, phase: Phase, act: Callable[[Announcement], T]) -> T | None:
        """Do something while a slot is held at a failpoint, and return what comes of it."""
        results: list[T] = []
        hold = Trap(phase, lambda pid: results.append(act(self._slots.latest[pid])))
        trap = self._stage.failpoints.set(hold)
        if trap.sprung.wait(_APPROACH_S) or not self._stage.failpoints.remove(trap):
            trap.sprung.wait()
        return results[0] if results else None

    def _while_accepting(self, fault: Fault) -> Hit | None:
        """Hit the API or the broker while an order is on its way."""
        leader, delay_s = self._leader(fault.target), fault.delay_s
        while self._stage.book.wait_for_order(_APPROACH_S):
            time.sleep(delay_s)
            if self._stage.book.in_flight:
                return self._hit(fault, leader)
            delay_s /= 2  # it was answered sooner than that
        return None

    def _while_delivering(self, fault: Fault) -> Hit | None:
        """Hit housekeeping when a callback has arrived that is not answered yet."""
        leader = self._leader(fault.target)
        struck: Future[Hit | None] = Future()

        def answer(handler: Handler) -> None:
            if struck.set_running_or_notify_cancel():
                struck.set_result(self._hit(fault, leader))
            self._stage.callbacks.otherwise(handler)

        self._stage.callbacks.answer(answer)
        with suppress(TimeoutError):
            return struck.result(_APPROACH_S)
        return None if struck.cancel() else struck.result()

    def _while_recovering(self, fault: Fault) -> Hit | None:
        """Hit housekeeping while the job of a killed slot waits for another one."""
        leader = self._leader(fault.target)
        if not within(_SOON_S, self._slots.pending):
            return None
        time.sleep(fault.delay_s)
        return self._hit(fault, leader)

    def _at_any_moment(self, fault: Fault) -> Hit | None:
        time.sleep(fault.delay_s)
        if fault.target is not Target.SLOT:
            return self._hit(fault, self._leader(fault.target))
        seen = list(self._slots.latest.values())
        return self._hit_slot(fault, self._chance.choice(seen)) if seen else None

    def _leader(self, target: Target) -> int | None:
        """Return the process group of a service, once it is up. Takes longer than some phases."""
        return within(_APPROACH_S, lambda: self._stage.leader(_SERVICES[target]))

    def _hit(self, fault: Fault, leader: int | None, job_id: str = "") -> Hit | None:
        hit = Hit(fault, _SERVICES[fault.target], fault.phase, self._has_work(fault), job_id)
        return hit if leader and self._do(fault, leader) else None

    def _hit_slot(self, fault: Fault, seen: Announcement) -> Hit | None:
        phase, name = Phase(seen.failpoint), self._slots.name(seen.pid)
        in_hand = phase is not Phase.IDLE
        with suppress(ProcessLookupError):
            if self._do(fault, os.getpgid(seen.pid)):
                if fault.kind is Kind.KILL and in_hand and phase is not Phase.BEFORE_ACK:
                    self._slots.killed(seen)
                return Hit(fault, name, phase, in_hand, seen.job_id)
        return None

    def _do(self, fault: Fault, group: int) -> bool:
        """Kill or freeze a process group, and return whether there was one."""
        with suppress(ProcessLookupError):
            if fault.kind is Kind.KILL:
                os.killpg(group, signal.SIGKILL)
                return True
            if freeze(group):
                thaw = threading.Timer(fault.freeze_s, _resume, (group,))
                thaw.start()
                self._thaws.append(thaw)
                return True
        return False

    def _has_work(self, fault: Fault) -> bool:
        ordered = self._stage.book.in_flight > 0
        if fault.target is Target.API:
            return ordered
        if fault.target is Target.BROKER:
            return ordered or self._slots.in_hand()
        if fault.phase is Phase.DELIVER or self._slots.pending():
            return True
        with suppress(RedisError):
            return bool(read_waiting(self._stage.records)[OUTBOX_KEY])
        return False


def _resume(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGCONT)
