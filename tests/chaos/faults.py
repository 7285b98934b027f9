"""What is broken, how and when: a plan of faults, from a seed and nothing else."""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import accumulate, zip_longest

from reports.failpoints import Failpoint

#: Seconds of silence after which the tier believes a worker dead (`heartbeat_timeout_ms`).
HEARTBEAT_S = 2.0

#: Seconds; a freeze may be over before anybody notices, or last several heartbeats.
SHORTEST_FREEZE_S = 0.2
LONGEST_FREEZE_S = 3.5 * HEARTBEAT_S

#: Share of faults that freeze; the others kill.
FREEZES = 0.4

#: Share of the kills that interrupt a job with nothing else broken at the same time.
CALM = 0.5

#: Seconds after the first lines of a file: so long a report may take to write, more or less.
_WRITING_S = 0.4

#: Seconds in which a dead slot's jobs wait for housekeeping.
_RECOVERING_S = HEARTBEAT_S + 1.0

#: Seconds an order is on its way through the API and the broker, more or less.
_ACCEPTING_S = 0.008

_LONGEST_GAP_S = 2.5


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

    ACCEPT = "accept"
    FETCH = Failpoint.FETCH.value
    WRITE = Failpoint.WRITE.value
    BEFORE_RENAME = Failpoint.BEFORE_RENAME.value
    AFTER_RENAME = Failpoint.AFTER_RENAME.value
    AFTER_BILLING = Failpoint.AFTER_BILLING.value
    BEFORE_ACK = Failpoint.BEFORE_ACK.value
    IDLE = Failpoint.IDLE.value
    #: A callback has reached its receiver, and nobody has noted that yet.
    DELIVER = "deliver"
    #: The job of a killed slot has to be given to another one.
    RECOVER = "recover"
    #: Whatever happens to go on.
    ANY = "any"

    @property
    def failpoint(self) -> Failpoint | None:
        """The failpoint of a job that this phase is, if it is one."""
        return Failpoint(self.value) if self.value in set(Failpoint) else None


#: Phases in which a slot has a job in hand.
IN_HAND = (
    Phase.FETCH,
    Phase.WRITE,
    Phase.BEFORE_RENAME,
    Phase.AFTER_RENAME,
    Phase.AFTER_BILLING,
    Phase.BEFORE_ACK,
)

#: Those of them in which the job is not finished.
UNFINISHED = IN_HAND[:-1]


@dataclass(frozen=True)
class Fault:
    """One thing to break.

    Attributes:
        target: What is hit. Which of the slots, the load decides: the first to reach the phase.
        kind: What is done to it.
        phase: When.
        delay_s: Seconds to wait once the phase has begun. Where it is 0 and the phase a failpoint,
            the slot is held there until it has been hit.
        freeze_s: Seconds until a frozen process may go on; 0 for a kill.
        gap_s: Seconds to the next fault.
        calm: Whether nothing else is to be broken meanwhile: not before it, and not until the job
            that it interrupts runs again. Shows how long that takes by itself.
    """

    target: Target
    kind: Kind
    phase: Phase
    delay_s: float
    freeze_s: float
    gap_s: float
    calm: bool = False


@dataclass(frozen=True)
class _Cell:
    target: Target
    phase: Phase
    weight: int


# Cells of one phase stand together: see `_spread`. Per mille.
_CELLS = (
    _Cell(Target.API, Phase.ACCEPT, 90),
    _Cell(Target.BROKER, Phase.ACCEPT, 30),
    _Cell(Target.SLOT, Phase.FETCH, 70),
    _Cell(Target.BROKER, Phase.FETCH, 15),
    _Cell(Target.SLOT, Phase.WRITE, 130),
    _Cell(Target.BROKER, Phase.WRITE, 25),
    _Cell(Target.SLOT, Phase.BEFORE_RENAME, 70),
    _Cell(Target.SLOT, Phase.AFTER_RENAME, 70),
    _Cell(Target.BROKER, Phase.AFTER_RENAME, 15),
    _Cell(Target.SLOT, Phase.AFTER_BILLING, 90),
    _Cell(Target.BROKER, Phase.AFTER_BILLING, 20),
    _Cell(Target.SLOT, Phase.BEFORE_ACK, 70),
    _Cell(Target.BROKER, Phase.BEFORE_ACK, 20),
    _Cell(Target.SLOT, Phase.IDLE, 40),
    _Cell(Target.HOUSEKEEPING, Phase.DELIVER, 65),
    _Cell(Target.HOUSEKEEPING, Phase.RECOVER, 70),
    _Cell(Target.SLOT, Phase.ANY, 60),
    _Cell(Target.API, Phase.ANY, 10),
    _Cell(Target.BROKER, Phase.ANY, 25),
    _Cell(Target.HOUSEKEEPING, Phase.ANY, 15),
)


def plan(seed: int, number: int) -> tuple[Fault, ...]:
    """Return a sequence of faults in which every phase, target and kind gets its share.

    The same seed gives the same plan. A fault that hits housekeeping while it has to recover jobs
    follows one that kills a slot with a job in hand, if there is one.
    """
    chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    cells = list(_spread(_CELLS, number, chance.random()))
    kinds = [
        Kind.FREEZE if math.floor((i + 1) * FREEZES) > math.floor(i * FREEZES) else Kind.KILL
        for i in range(number)
    ]
    # Neighbours are alike, so that each cell gets its share of both kinds.
    faults = [_fault(cell, kind, chance) for cell, kind in zip(cells, kinds, strict=True)]
    chance.shuffle(faults)
    ordered = _recoveries_after_kills(faults, chance)
    return tuple(_half_of_kills_calm(ordered, chance))


def _spread(cells: Sequence[_Cell], number: int, start: float) -> Iterator[_Cell]:
    """Choose cells by systematic sampling: each gets its share, to within one."""
    ends = list(accumulate(cell.weight for cell in cells))
    index = 0
    for i in range(number):
        while ends[index] <= (i + start) / number * ends[-1]:
            index += 1
        yield cells[index]


def _fault(cell: _Cell, kind: Kind, chance: random.Random) -> Fault:
    freeze_s = LONGEST_FREEZE_S / SHORTEST_FREEZE_S
    return Fault(
        target=cell.target,
        kind=kind,
        phase=cell.phase,
        delay_s=_delay_s(cell.phase, chance),
        freeze_s=SHORTEST_FREEZE_S * freeze_s ** chance.random() if kind is Kind.FREEZE else 0.0,
        gap_s=chance.uniform(0, _LONGEST_GAP_S),
    )


def _delay_s(phase: Phase, chance: random.Random) -> float:
    match phase:
        case Phase.WRITE:
            # Half of them with more than its first lines written.
            return chance.choice((0.0, chance.uniform(0, _WRITING_S)))
        case Phase.ACCEPT:
            return chance.uniform(0, _ACCEPTING_S)
        case Phase.RECOVER:
            return chance.uniform(0, _RECOVERING_S)
        case Phase.ANY:
            return chance.uniform(0, 1)
        case _:
            return 0.0


def _recoveries_after_kills(faults: Sequence[Fault], chance: random.Random) -> list[Fault]:
    recoveries = [fault for fault in faults if fault.phase is Phase.RECOVER]
    ordered = [fault for fault in faults if fault.phase is not Phase.RECOVER]
    deadly = [i for i, fault in enumerate(ordered) if leaves_a_job(fault)]
    chosen = sorted(chance.sample(deadly, min(len(recoveries), len(deadly))), reverse=True)
    for place in chosen:
        ordered.insert(place + 1, recoveries.pop())
    return ordered + recoveries


def _half_of_kills_calm(faults: Sequence[Fault], chance: random.Random) -> Iterator[Fault]:
    for fault, following in zip_longest(faults, faults[1:]):
        followed = following is not None and following.phase is Phase.RECOVER
        calm = leaves_a_job(fault) and not followed and chance.random() < CALM
        yield replace(fault, calm=calm)


def leaves_a_job(fault: Fault) -> bool:
    """Whether a slot dies in the middle of a job, so that it has to run again."""
    return fault.target is Target.SLOT and fault.kind is Kind.KILL and fault.phase in UNFINISHED
