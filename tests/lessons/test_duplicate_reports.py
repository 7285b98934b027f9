"""The lesson of `duplicate_reports`: counts, which no noise can change.

These fail when naive stops hurting, and when fixed starts to.
"""

import pytest

from tests.lessons.conftest import Json, in_blocks

pytestmark = pytest.mark.slow

ARMS = {"naive", "fixed"}

EVENTS = {"killed_after_billing", "killed_while_writing"}


def test_the_disease_is_there(experiment: Json) -> None:
    assert min(in_blocks(experiment, "naive", "ledger.per_job_max")) >= 2
    assert min(in_blocks(experiment, "naive", "files.partial")) >= 1
    for block in experiment["blocks"]:
        assert block["naive"]["ledger.doubled"] >= block["naive"]["report.again.offered"] > 0


def test_the_cure_works(experiment: Json) -> None:
    for block in experiment["blocks"]:
        fixed = block["fixed"]
        assert fixed["ledger.entries"] == fixed["report.offered"] == fixed["jobs.count"]
        assert fixed["ledger.per_report_max"] == 1
        assert fixed["ledger.doubled"] == 0
        assert (fixed["files.checked"], fixed["files.partial"]) == (fixed["report.offered"], 0)
        assert fixed["jobs.lost"] == 0


def test_what_is_served_in_part_is_a_part_and_not_nothing(experiment: Json) -> None:
    for block in experiment["blocks"]:
        sizes = [block[arm]["files.smallest_bytes"] for arm in ("naive", "fixed")]
        assert 0 < sizes[0] < sizes[1]


def test_work_is_done_again_in_both_arms(experiment: Json) -> None:
    for arm in ARMS:
        for block in experiment["blocks"]:
            assert block[arm]["jobs.attempts"] > block[arm]["jobs.count"]


def test_both_kills_happened_in_both_arms_of_every_block(experiment: Json) -> None:
    happened = {(event["block"], event["arm"], event["id"]) for event in experiment["events"]}
    blocks = range(len(experiment["blocks"]))

    assert happened == {(block, arm, id_) for block in blocks for arm in ARMS for id_ in EVENTS}
