from itertools import cycle, islice

from tests.chaos.campaign import Hit
from tests.chaos.coverage import EACH_PHASE, LONG, shortfalls
from tests.chaos.faults import Fault, Kind, Phase, Target


def hit(phase: Phase, *, with_work: bool = True) -> Hit:
    fault = Fault(Target.SLOT, Kind.KILL, phase, delay_s=0, freeze_s=0, gap_s=0)
    return Hit(fault, "worker-long-1", phase, with_work, "a")


def test_a_long_campaign_that_hits_everything_is_enough() -> None:
    assert shortfalls([*map(hit, islice(cycle(Phase), LONG))]) == []


def test_a_phase_that_is_hit_too_seldom_is_named() -> None:
    others = (phase for phase in Phase if phase is not Phase.DELIVER)
    hits = [hit(Phase.DELIVER)] * (EACH_PHASE - 1) + [*map(hit, islice(cycle(others), LONG))]

    assert shortfalls(hits) == ["4 faults hit the phase deliver, not 5"]
    assert shortfalls(hits[:30]) == []


def test_too_many_hits_without_work_are_named() -> None:
    hits = [hit(phase, with_work=i % 4 > 0) for i, phase in enumerate(islice(cycle(Phase), LONG))]

    assert shortfalls(hits) == ["75% of the faults hit a process with work in hand, not 80%"]
    assert shortfalls(hits[:20]) == []
    assert shortfalls([hit(Phase.IDLE, with_work=False), hit(Phase.WRITE)]) != []
