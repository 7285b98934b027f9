"""The plan of faults, and the rule for what a campaign has to hit."""

from collections import Counter
from itertools import cycle, islice, pairwise

import pytest

from reports.failpoints import Failpoint
from tests.chaos.faults import (
    EACH_PHASE,
    LONG,
    LONGEST_FREEZE_S,
    SHORTEST_FREEZE_S,
    Fault,
    Hit,
    Kind,
    Phase,
    Target,
    plan,
    shortfalls,
)


def test_every_failpoint_is_a_phase() -> None:
    assert set(Failpoint) <= set(map(str, Phase))


def test_the_same_seed_gives_the_same_plan_and_another_seed_another_one() -> None:
    assert plan(7, 200) == plan(7, 200)
    assert plan(7, 200) != plan(8, 200)
    assert [len(plan(1, number)) for number in (1, 15, 1000)] == [1, 15, 1000]


@pytest.mark.parametrize("seed", range(20))
def test_every_phase_target_and_kind_gets_its_share(seed: int) -> None:
    faults = plan(seed, LONG)
    phases = Counter(fault.phase for fault in faults)
    kinds = Counter((fault.target, fault.kind) for fault in faults)
    freezes = [fault.freeze_s for fault in faults if fault.kind is Kind.FREEZE]

    # Half as many again as there have to be: some may miss.
    assert all(phases[phase] >= 1.4 * EACH_PHASE for phase in Phase)
    assert all(kinds[target, kind] >= EACH_PHASE for target in Target for kind in Kind)
    assert phases[Phase.IDLE] + phases[Phase.ANY] <= 0.2 * LONG
    assert SHORTEST_FREEZE_S <= min(freezes) < 0.5
    assert 4 < max(freezes) <= LONGEST_FREEZE_S
    for before, fault in pairwise(faults):
        assert before.leaves_a_job or fault.phase is not Phase.RECOVER


def hit(phase: Phase, *, with_work: bool = True) -> Hit:
    fault = Fault(Target.SLOT, Kind.KILL, phase, delay_s=0, freeze_s=0, gap_s=0)
    return Hit(fault, "worker-long-1", phase, with_work, "a")


def test_a_long_campaign_has_to_hit_every_phase() -> None:
    rest = [hit(phase) for phase in Phase if phase is not Phase.DELIVER]
    hits = [hit(Phase.DELIVER)] * (EACH_PHASE - 1) + [*islice(cycle(rest), LONG)]

    assert len(shortfalls(hits)) == 1
    assert shortfalls([*hits, hit(Phase.DELIVER)]) == []
    assert shortfalls(hits[:30]) == []


def test_a_campaign_has_to_hit_work_in_hand() -> None:
    hits = [hit(phase, with_work=i % 4 > 0) for i, phase in enumerate(islice(cycle(Phase), LONG))]

    assert len(shortfalls(hits)) == 1
    assert shortfalls(hits[:20]) == []
    assert len(shortfalls([hit(Phase.IDLE, with_work=False), hit(Phase.WRITE)])) == 1
