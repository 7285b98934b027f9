from collections import Counter

import pytest

from reports.failpoints import Failpoint
from tests.chaos.faults import (
    IN_HAND,
    LONGEST_FREEZE_S,
    SHORTEST_FREEZE_S,
    Fault,
    Kind,
    Phase,
    Target,
    leaves_a_job,
    plan,
)

SEEDS = range(20)


@pytest.fixture(params=SEEDS)
def faults(request: pytest.FixtureRequest) -> tuple[Fault, ...]:
    return plan(request.param, 200)


def test_a_seed_gives_the_same_plan_again_and_another_seed_another_one() -> None:
    assert plan(7, 200) == plan(7, 200)
    assert plan(7, 200) != plan(8, 200)


@pytest.mark.parametrize("number", [1, 15, 30, 200, 1000])
def test_a_plan_has_as_many_faults_as_were_asked_for(number: int) -> None:
    assert len(plan(1, number)) == number


def test_every_phase_and_every_target_gets_its_share(faults: tuple[Fault, ...]) -> None:
    phases = Counter(fault.phase for fault in faults)
    targets = Counter(fault.target for fault in faults)

    # Half as many again as there have to be: some may miss.
    assert all(phases[phase] >= 7 for phase in Phase)
    assert all(targets[target] >= 20 for target in Target)


def test_every_target_is_killed_and_frozen(faults: tuple[Fault, ...]) -> None:
    seen = Counter((fault.target, fault.kind) for fault in faults)

    assert all(seen[target, kind] >= 5 for target in Target for kind in Kind)


def test_most_faults_are_aimed_at_a_process_with_work_in_hand(faults: tuple[Fault, ...]) -> None:
    aimed = [fault for fault in faults if fault.phase not in {Phase.IDLE, Phase.ANY}]

    assert len(aimed) >= 0.8 * len(faults)


def test_freezes_last_from_a_moment_to_several_heartbeats(faults: tuple[Fault, ...]) -> None:
    freezes = [fault.freeze_s for fault in faults if fault.kind is Kind.FREEZE]

    assert all(SHORTEST_FREEZE_S <= seconds <= LONGEST_FREEZE_S for seconds in freezes)
    assert min(freezes) < 0.5
    assert max(freezes) > 4
    assert all(fault.freeze_s == 0 for fault in faults if fault.kind is Kind.KILL)


def test_housekeeping_is_hit_while_it_recovers_the_job_of_a_killed_slot(
    faults: tuple[Fault, ...],
) -> None:
    places = [i for i, fault in enumerate(faults) if fault.phase is Phase.RECOVER]

    assert all(leaves_a_job(faults[place - 1]) for place in places)


def test_some_kills_have_nothing_else_broken_at_the_same_time(faults: tuple[Fault, ...]) -> None:
    calm = [place for place, fault in enumerate(faults) if fault.calm]

    assert len(calm) >= 10
    assert all(leaves_a_job(faults[place]) for place in calm)
    assert all(
        fault.phase is not Phase.RECOVER for place in calm for fault in faults[place + 1 :][:1]
    )


def test_every_step_is_a_phase() -> None:
    assert {phase.failpoint for phase in Phase if phase.failpoint} == set(Failpoint)
    assert {phase.failpoint for phase in IN_HAND} == set(Failpoint) - {Failpoint.IDLE}
