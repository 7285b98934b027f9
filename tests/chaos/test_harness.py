"""The harness finds what is wrong with a tier, and nothing in one that is right."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import pytest

from reports.failpoints import Failpoint
from tests.chaos.evidence import read_records
from tests.chaos.invariants import Expected, Harm, Violation, honest_failures, judge
from tests.chaos.scenes import come_late, kill_at, lose_the_answer_of_a_fetch
from tests.chaos.stage import Stage, open_stage

pytestmark = pytest.mark.slow

#: A job whose slot is killed is not tried again.
ONE_ATTEMPT = {"OFFLOOP_MAX_ATTEMPTS": "1"}


class Opener(Protocol):
    def __call__(
        self, tier: str, environment: Mapping[str, str] | None = None
    ) -> AbstractContextManager[Stage]: ...


@pytest.fixture(scope="module")
def open_tier(tmp_path_factory: pytest.TempPathFactory, expected: Mapping[str, Expected]) -> Opener:
    def opener(
        tier: str, environment: Mapping[str, str] | None = None
    ) -> AbstractContextManager[Stage]:
        logs: Path = tmp_path_factory.mktemp("logs")
        return open_stage(logs, expected, tier=tier, environment=environment)

    return opener


@pytest.fixture(scope="module")
def fixed(open_tier: Opener) -> Iterator[Stage]:
    with open_tier("workers.fixed") as stage:
        yield stage


@pytest.fixture(scope="module")
def naive(open_tier: Opener) -> Iterator[Stage]:
    with open_tier("workers.naive") as stage:
        yield stage


def about(job_id: str, stage: Stage) -> list[Violation]:
    """What was done to one job: those of other tests use the same stage."""
    return [each for each in judge(stage.evidence()) if each.job_id == job_id]


def ledger_entries(job_id: str, stage: Stage) -> int:
    return sum(entry.job_id == job_id for entry in stage.evidence().entries)


def files(job_id: str, stage: Stage) -> int:
    return sum(job_id in name for name in stage.evidence().files)


@pytest.mark.parametrize(
    "failpoint",
    [Failpoint.WRITE, Failpoint.BEFORE_RENAME, Failpoint.AFTER_RENAME, Failpoint.AFTER_BILLING],
)
def test_a_slot_that_was_believed_dead_and_comes_back_makes_one_file_and_one_ledger_entry(
    fixed: Stage, failpoint: Failpoint
) -> None:
    job_id = come_late(fixed, failpoint)

    assert read_records(fixed.records)[job_id]["attempt"] == "2"
    assert (files(job_id, fixed), ledger_entries(job_id, fixed)) == (1, 1)
    assert judge(fixed.evidence()) == []


def test_a_slot_frozen_with_a_message_that_it_has_not_claimed_costs_no_attempt(
    fixed: Stage,
) -> None:
    job_id = come_late(fixed, Failpoint.FETCH)

    # Another slot has had the message since, and was not disturbed.
    assert read_records(fixed.records)[job_id]["attempt"] == "1"
    assert (files(job_id, fixed), ledger_entries(job_id, fixed)) == (1, 1)
    assert judge(fixed.evidence()) == []


def test_who_comes_late_changes_nothing(fixed: Stage) -> None:
    job_id = come_late(fixed, Failpoint.AFTER_BILLING)

    assert fixed.notices.announced.count(job_id) == 1
    assert judge(fixed.evidence()) == []


def test_a_job_is_done_although_the_answer_to_its_fetch_was_lost(open_tier: Opener) -> None:
    with open_tier("workers.fixed") as stage:
        lose_the_answer_of_a_fetch(stage)

        assert [str(violation) for violation in judge(stage.evidence())] == []


def test_without_the_fence_who_comes_late_is_caught(open_tier: Opener) -> None:
    with open_tier("tests.chaos.broken.unfenced") as stage:
        job_id = come_late(stage, Failpoint.AFTER_BILLING)

        found = about(job_id, stage)

    assert Harm.DOUBLED in {violation.harm for violation in found}
    assert any("announced 2 times" in violation.words for violation in found)


def test_a_job_that_is_given_up_leaves_no_file(open_tier: Opener) -> None:
    with open_tier("workers.fixed", ONE_ATTEMPT) as stage:
        kill_at(stage, Failpoint.WRITE)
        evidence = stage.evidence()

    assert judge(evidence) == []
    assert honest_failures(evidence) == 1
    assert not evidence.files


def test_a_file_written_under_its_final_name_is_caught(open_tier: Opener) -> None:
    with open_tier("tests.chaos.broken.direct_writes", ONE_ATTEMPT) as stage:
        job_id = kill_at(stage, Failpoint.WRITE)

        found = about(job_id, stage)

    assert [violation.harm for violation in found] == [Harm.PARTIAL]


def test_the_naive_tier_bills_twice_when_it_is_killed_after_billing(
    naive: Stage, fixed: Stage
) -> None:
    on_naive = kill_at(naive, Failpoint.AFTER_BILLING)
    on_fixed = kill_at(fixed, Failpoint.AFTER_BILLING)

    assert [violation.harm for violation in about(on_naive, naive)] == [Harm.DOUBLED]
    assert ledger_entries(on_naive, naive) == 2
    assert judge(fixed.evidence()) == []
    assert ledger_entries(on_fixed, fixed) == 1


def test_the_naive_tier_serves_a_cut_off_file_when_it_is_killed_while_it_writes(
    naive: Stage, fixed: Stage
) -> None:
    on_naive = kill_at(naive, Failpoint.WRITE)
    on_fixed = kill_at(fixed, Failpoint.WRITE)

    assert {violation.harm for violation in about(on_naive, naive)} == {Harm.PARTIAL}
    assert read_records(naive.records)[on_naive]["status"] == "done"
    assert about(on_fixed, fixed) == []
