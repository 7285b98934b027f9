"""Breaks one thing after the other, as planned, while customers order."""

import contextlib
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from redis.exceptions import RedisError

from offloop.stack import redis
from tests.chaos.evidence import read_waiting
from tests.chaos.failpoints import Sighting, Trap
from tests.chaos.faults import Fault, Kind, Phase, Target, plan
from tests.chaos.invariants import Evidence, Violation, judge
from tests.chaos.load import CALLBACKS, Load
from tests.chaos.processes import Freezer, group_of, kill
from tests.chaos.recoveries import Recovery
from tests.chaos.stage import Stage
from workers.records import OUTBOX_KEY

#: Names of the services that are not slots.
SERVICES = {Target.API: "fixed", Target.BROKER: redis.NAME, Target.HOUSEKEEPING: "housekeeping"}

#: Seconds to wait for a phase to begin, and for a dead job to be recovered by housekeeping; then
#: the fault hits whatever happens to go on.
_APPROACH_S = 20.0
_SOON_S = 1.0

#: Seconds to wait for things to calm down: longer than any freeze, and than any start.
_CALM_S = 15.0

#: Seconds in which everything comes to rest after the last fault, many times over.
_PATIENCE_S = 90.0

_LOOK_S = 0.02


@dataclass(frozen=True)
class Hit:
    """A fault, as it really happened.

    Attributes:
        fault: What was planned.
        name: The service that was hit.
        phase: What went on at that moment.
        with_work: Whether the process had work in hand.
        job_id: The job in hand, if there was one and it is known.
    """

    fault: Fault
    name: str
    phase: Phase
    with_work: bool
    job_id: str


@dataclass(frozen=True)
class Outcome:
    """What came of a campaign.

    Attributes:
        hits: One for each fault.
        recoveries: How long the jobs of killed slots waited.
        evidence: Everything there was to know at the end.
        violations: What was not as it had been promised.
        seconds: From the first fault to the last.
    """

    hits: Sequence[Hit]
    recoveries: Sequence[Recovery]
    evidence: Evidence
    violations: Sequence[Violation]
    seconds: float


def run(
    stage: Stage,
    seed: int,
    number: int,
    tell: Callable[[Hit], None],
    *,
    callbacks: float = CALLBACKS,
) -> Outcome:
    """Break things while customers order, wait until all is at rest, and judge.

    Args:
        stage: What to break.
        seed: Of the plan, and of the customers.
        number: Of faults.
        tell: Is told of every hit.
        callbacks: Share of customers who want to be called back.
    """
    hits: list[Hit] = []
    begin = time.monotonic()
    with (
        Load(
            stage.url,
            stage.callbacks.url,
            stage.queues,
            stage.book,
            seed,
            callbacks=callbacks,
        ) as load,
        Freezer() as freezer,
    ):
        breaker = Breaker(stage, freezer, seed)
        for fault in plan(seed, number):
            if fault.calm:
                breaker.wait_for_calm()
            hit = breaker.strike(fault)
            hits.append(hit)
            tell(hit)
            if fault.calm:
                breaker.wait_for_calm()
            time.sleep(fault.gap_s)
        seconds = time.monotonic() - begin
        while freezer.frozen():
            time.sleep(_LOOK_S)
        load.stop(_PATIENCE_S)
    stage.settle(_PATIENCE_S)
    evidence = stage.evidence()
    violations = judge(evidence)
    for violation in violations:
        stage.journal.note(str(violation))
    return Outcome(hits, tuple(stage.recoveries.finished), evidence, violations, seconds)


class _MissedError(Exception):
    """The process to hit, or the phase to hit it in, was not there."""


class Breaker:
    """Carries out faults.

    Args:
        stage: What to break.
        freezer: Lets go on, in time, what is frozen.
        seed: Of the choice between slots.
    """

    def __init__(self, stage: Stage, freezer: Freezer, seed: int) -> None:
        self._stage = stage
        self._freezer = freezer
        self._chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret

    def strike(self, fault: Fault) -> Hit:
        """Carry out a fault, and return when it has hit.

        Where its phase does not come, it hits at another moment.
        """
        self._stage.journal.note(f"fault {fault}")
        approach = {
            Phase.ANY: self._whenever,
            Phase.ACCEPT: self._while_accepting,
            Phase.DELIVER: self._while_delivering,
            Phase.RECOVER: self._while_recovering,
        }.get(fault.phase, self._at_step)
        try:
            return approach(fault)
        except _MissedError:
            self._stage.journal.note("missed; hits whenever it can")
        any_moment = replace(fault, phase=Phase.ANY)
        until = time.monotonic() + _APPROACH_S
        while True:
            try:
                return self._whenever(any_moment)
            except _MissedError:
                if time.monotonic() > until:
                    raise RuntimeError(
                        f"{fault.target} does not run, so it cannot be hit"
                    ) from None
                time.sleep(_LOOK_S)

    def wait_for_calm(self) -> None:
        """Wait until nothing is broken and no job waits for another slot, within limits."""
        until = time.monotonic() + _CALM_S
        while self._disturbed() or self._stage.recoveries.pending:
            if time.monotonic() > until:
                return
            time.sleep(_LOOK_S)

    def _at_step(self, fault: Fault) -> Hit:
        """Hit a slot at a failpoint, or the broker while a slot is held there."""
        failpoint = fault.phase.failpoint
        assert failpoint is not None
        group = None if fault.target is Target.SLOT else self._leader(SERVICES[fault.target])
        caught: list[Sighting] = []
        hits: list[Hit] = []

        def act(seen: Sighting) -> None:
            caught.append(seen)
            with contextlib.suppress(_MissedError):
                if group is not None:
                    hits.append(self._hit(fault, SERVICES[fault.target], group, seen))
                elif fault.delay_s == 0:
                    hits.append(self._hit_slot(fault, seen))

        delay_s, until = fault.delay_s, time.monotonic() + _APPROACH_S
        while True:
            trap = self._stage.failpoints.set(Trap(failpoint, act))
            if not trap.sprung.wait(until - time.monotonic()) and self._stage.failpoints.remove(
                trap
            ):
                raise _MissedError
            trap.sprung.wait()
            if group is not None or fault.delay_s == 0:
                break
            time.sleep(delay_s)
            if self._stage.failpoints.latest(caught[-1].slot) == caught[-1]:
                return self._hit_slot(fault, caught[-1])
            delay_s /= 2  # it had got beyond that failpoint
        if not hits:
            raise _MissedError
        return hits[0]

    def _while_accepting(self, fault: Fault) -> Hit:
        """Hit the API or the broker while an order is on its way."""
        name = SERVICES[fault.target]
        group = self._leader(name)
        delay_s, until = fault.delay_s, time.monotonic() + _APPROACH_S
        while self._stage.book.wait_for_order(max(0.0, until - time.monotonic())):
            time.sleep(delay_s)
            if self._stage.book.in_flight:
                return self._hit(fault, name, group, None)
            delay_s /= 2  # it was answered sooner than that
        raise _MissedError

    def _while_delivering(self, fault: Fault) -> Hit:
        """Hit housekeeping when a callback has arrived that is not answered yet."""
        name = SERVICES[fault.target]
        group = self._leader(name)
        result: list[Hit] = []

        def act() -> None:
            with contextlib.suppress(_MissedError):
                result.append(self._hit(fault, name, group, None))

        self._stage.callbacks.at_next(act, _APPROACH_S)
        if not result:
            raise _MissedError
        return result[0]

    def _while_recovering(self, fault: Fault) -> Hit:
        name = SERVICES[fault.target]
        group = self._leader(name)
        until = time.monotonic() + _SOON_S
        while not self._stage.recoveries.pending:
            if time.monotonic() > until:
                raise _MissedError
            time.sleep(_LOOK_S)
        time.sleep(fault.delay_s)
        return self._hit(fault, name, group, None)

    def _whenever(self, fault: Fault) -> Hit:
        time.sleep(fault.delay_s)
        if fault.target is not Target.SLOT:
            name = SERVICES[fault.target]
            return self._hit(fault, name, self._leader(name), None)
        seen = [seen for slot in self._stage.slots if (seen := self._stage.failpoints.latest(slot))]
        if not seen:
            raise _MissedError
        return self._hit_slot(fault, self._chance.choice(seen))

    def _leader(self, name: str) -> int:
        """Return the group of a service, once it is up."""
        until = time.monotonic() + _APPROACH_S
        while time.monotonic() < until:
            group = self._stage.leader(name)
            if group is not None and self._stage.upkeep.is_up(name):
                return group
            time.sleep(_LOOK_S)
        raise _MissedError

    def _hit_slot(self, fault: Fault, seen: Sighting) -> Hit:
        group = group_of(seen.pid)
        if group is None:
            raise _MissedError
        hit = Hit(fault, seen.slot, Phase(seen.failpoint.value), seen.in_hand, seen.job_id)
        disturbed = self._disturbed()
        self._do(fault, group)
        if fault.kind is Kind.KILL and seen.in_hand and hit.phase is not Phase.BEFORE_ACK:
            self._stage.recoveries.killed(seen.job_id, seen.pid, disturbed=disturbed)
        return self._noted(hit)

    def _hit(self, fault: Fault, name: str, group: int, seen: Sighting | None) -> Hit:
        hit = Hit(fault, name, fault.phase, self._has_work(fault), seen.job_id if seen else "")
        self._do(fault, group)
        return self._noted(hit)

    def _do(self, fault: Fault, group: int) -> None:
        self._stage.recoveries.disturb()
        if fault.kind is Kind.KILL:
            there = kill(group)
        else:
            there = self._freezer.freeze(group, fault.freeze_s)
        if not there:
            raise _MissedError

    def _noted(self, hit: Hit) -> Hit:
        self._stage.journal.note(f"hit {hit.name} at {hit.phase}, job {hit.job_id or '-'}")
        return hit

    def _disturbed(self) -> bool:
        return bool(self._freezer.frozen()) or not self._stage.upkeep.all_up()

    def _has_work(self, fault: Fault) -> bool:
        match fault.target:
            case Target.API:
                return self._stage.book.in_flight > 0
            case Target.BROKER:
                return self._stage.book.in_flight > 0 or any(self._slots_in_hand())
            case _:
                return (
                    fault.phase is Phase.DELIVER
                    or self._stage.recoveries.pending
                    or self._callbacks_wait()
                )

    def _slots_in_hand(self) -> Iterator[bool]:
        for slot in self._stage.slots:
            seen = self._stage.failpoints.latest(slot)
            yield seen is not None and seen.in_hand

    def _callbacks_wait(self) -> bool:
        try:
            return bool(read_waiting(self._stage.records)[OUTBOX_KEY])
        except RedisError:
            return False
