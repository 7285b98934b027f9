"""What is broken, how and when: a plan of faults from a seed, and what a campaign has to hit."""

import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate, cycle

from reports.failpoints import Failpoint

#: Seconds of silence after which the tier takes a worker for dead (`heartbeat_timeout_ms`).
HEARTBEAT_S = 2.0

#: Seconds. A freeze may be too short to be noticed, or last several heartbeats.
SHORTEST_FREEZE_S = 0.2
LONGEST_FREEZE_S = 3.5 * HEARTBEAT_S

_LONGEST_GAP_S = 2.5

#: Least share of faults that hit a process with work in hand. Short campaigns depend on chance.
WITH_WORK = 0.8
WITH_WORK_SHORT = 0.6

#: A campaign of this many faults is long: it has to hit every phase this often.
LONG = 200
EACH_PHASE = 5


class Target(StrEnum):
    """What a fault hits."""

    SLOT = "slot"
    API = "api"
    BROKER = "broker"
    HOUSEKEEPING = "housekeeping"


class Kind(StrEnum):
    """What a fault does."""

    KILL = "kill"
    FREEZE = "freeze"


class Phase(StrEnum):
    """When a fault hits: at a failpoint, or at another moment that can be seen from outside."""

    #: An order has been sent and not answered.
    ACCEPT = "accept"
    FETCH = Failpoint.FETCH.value
    WRITE = Failpoint.WRITE.value
    BEFORE_RENAME = Failpoint.BEFORE_RENAME.value
    AFTER_RENAME = Failpoint.AFTER_RENAME.value
    AFTER_BILLING = Failpoint.AFTER_BILLING.value
    BEFORE_ACK = Failpoint.BEFORE_ACK.value
    IDLE = Failpoint.IDLE.value
    #: A callback has reached its receiver and has not been answered.
    DELIVER = "deliver"
    #: The job of a killed slot has to be given to another one.
    RECOVER = "recover"
    #: Any moment.
    ANY = "any"


#: Phases in which a slot has a job in hand that is not finished.
UNFINISHED = (
    *(Phase.FETCH, Phase.WRITE, Phase.BEFORE_RENAME),
    *(Phase.AFTER_RENAME, Phase.AFTER_BILLING),
)

#: Longest delay of a fault after its phase has begun, in seconds; none elsewhere. About as long as
#: an order is on its way, a report is written, and a dead slot's job waits for housekeeping.
_DELAYS_S = {Phase.ACCEPT: 0.008, Phase.WRITE: 0.4, Phase.RECOVER: HEARTBEAT_S + 1, Phase.ANY: 1.0}

#: Two faults in five freeze.
_KINDS = (Kind.KILL, Kind.KILL, Kind.FREEZE, Kind.KILL, Kind.FREEZE)


@dataclass(frozen=True)
class Fault:
    """One thing to break.

    The load decides which of the slots is hit: the first one to reach the phase. It is held at a
    failpoint until it has been hit, unless there is a delay.
    """

    target: Target
    kind: Kind
    phase: Phase
    #: Seconds after the phase has begun, until a frozen process is resumed, and to the next fault.
    delay_s: float
    freeze_s: float
    gap_s: float

    @property
    def leaves_a_job(self) -> bool:
        """Whether a slot dies in the middle of a job, which then has to run again."""
        dies = self.target is Target.SLOT and self.kind is Kind.KILL
        return dies and self.phase in UNFINISHED


@dataclass(frozen=True)
class Hit:
    """A fault as it happened: the service it hit, when, and the job in hand if one is known."""

    fault: Fault
    name: str
    phase: Phase
    with_work: bool
    job_id: str


#: Shares per mille.
_SHARES = {
    Phase.ACCEPT: {Target.API: 90, Target.BROKER: 30},
    Phase.FETCH: {Target.SLOT: 70, Target.BROKER: 15},
    Phase.WRITE: {Target.SLOT: 130, Target.BROKER: 25},
    Phase.BEFORE_RENAME: {Target.SLOT: 70},
    Phase.AFTER_RENAME: {Target.SLOT: 70, Target.BROKER: 15},
    Phase.AFTER_BILLING: {Target.SLOT: 90, Target.BROKER: 20},
    Phase.BEFORE_ACK: {Target.SLOT: 70, Target.BROKER: 20},
    Phase.IDLE: {Target.SLOT: 40},
    Phase.DELIVER: {Target.HOUSEKEEPING: 65},
    Phase.RECOVER: {Target.HOUSEKEEPING: 70},
    Phase.ANY: {Target.SLOT: 60, Target.API: 10, Target.BROKER: 25, Target.HOUSEKEEPING: 15},
}


def plan(seed: int, number: int) -> tuple[Fault, ...]:
    """Return faults in which every phase, target and kind has its share.

    The same seed gives the same plan. A fault that hits housekeeping while it recovers jobs follows
    one that kills a slot with a job in hand, if there is one.
    """
    chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    places = _spread(number, chance.random())
    # Neighbours are alike, so that each row of the table gets its share of both kinds.
    faults = [
        _fault(*place, kind, chance) for place, kind in zip(places, cycle(_KINDS), strict=False)
    ]
    chance.shuffle(faults)
    return tuple(_recoveries_after_kills(faults, chance))


def _spread(number: int, start: float) -> list[tuple[Target, Phase]]:
    """Choose cells of the table by systematic sampling: each gets its share, to within one."""
    cells = [(target, phase) for phase, row in _SHARES.items() for target in row]
    ends = list(accumulate(share for row in _SHARES.values() for share in row.values()))
    return [cells[bisect_right(ends, (i + start) / number * ends[-1])] for i in range(number)]


def _fault(target: Target, phase: Phase, kind: Kind, chance: random.Random) -> Fault:
    delay_s = chance.uniform(0, _DELAYS_S[phase]) if phase in _DELAYS_S else 0.0
    if phase is Phase.WRITE:
        # Half of them hit when the first lines have been written, the rest later.
        delay_s = chance.choice((0.0, delay_s))
    longer = LONGEST_FREEZE_S / SHORTEST_FREEZE_S
    freeze_s = SHORTEST_FREEZE_S * longer ** chance.random() if kind is Kind.FREEZE else 0.0
    return Fault(target, kind, phase, delay_s, freeze_s, chance.uniform(0, _LONGEST_GAP_S))


def _recoveries_after_kills(faults: Sequence[Fault], chance: random.Random) -> list[Fault]:
    recoveries = [fault for fault in faults if fault.phase is Phase.RECOVER]
    ordered = [fault for fault in faults if fault.phase is not Phase.RECOVER]
    deadly = [place for place, fault in enumerate(ordered) if fault.leaves_a_job]
    chosen = chance.sample(deadly, min(len(recoveries), len(deadly)))
    for place in sorted(chosen, reverse=True):
        ordered.insert(place + 1, recoveries.pop())
    return ordered + recoveries


def shortfalls(hits: Sequence[Hit]) -> list[str]:
    """Return in words what a campaign hit too seldom for its outcome to mean something."""
    found: list[str] = []
    least = WITH_WORK if len(hits) >= LONG else WITH_WORK_SHORT
    share = sum(hit.with_work for hit in hits) / len(hits)
    if share < least:
        found.append(f"{share:.0%} of the faults hit a process with work in hand, not {least:.0%}")
    for phase in Phase if len(hits) >= LONG else ():
        number = sum(hit.phase is phase for hit in hits)
        if number < EACH_PHASE:
            found.append(f"{number} faults hit the phase {phase}, not {EACH_PHASE}")
    return found
