"""The lesson of `blocking_enqueue`, by gross facts that are far from its limits.

These fail when naive stops hurting, and when fixed starts to.
"""

import pytest

from tests.lessons.conftest import Json, assert_passed, ratio

pytestmark = pytest.mark.slow

ARMS = {"baseline", "naive", "fixed", "in_thread"}

#: The slowest bystander, and the length of the freeze.
SHARE = {arm: (f"{arm}.after:freeze.bystander.max_ms", f"{arm}.freeze.lasted_ms") for arm in ARMS}


def test_the_disease_is_there(experiment: Json) -> None:
    assert ratio(experiment, *SHARE["naive"]) >= 0.7


def test_the_cure_works(experiment: Json) -> None:
    assert ratio(experiment, *SHARE["fixed"]) <= 0.5


def test_a_thread_spares_the_bystanders_too(experiment: Json) -> None:
    assert ratio(experiment, *SHARE["in_thread"]) <= 0.5


def test_the_broker_was_frozen_in_every_arm_of_every_block(experiment: Json) -> None:
    frozen = {(event["block"], event["arm"]) for event in experiment["events"]}

    ran = {(number, arm) for number, block in enumerate(experiment["blocks"]) for arm in block}
    assert ran > {(block, arm) for block in range(2) for arm in ARMS - {"in_thread"}}
    assert frozen == ran
    for event in experiment["events"]:
        assert event["what"] == ["redis"]
        assert event["at_s"] >= 2
        assert event["lasted_s"] >= 1


def test_all_arms_built_the_same_reports_all_of_them(experiment: Json) -> None:
    assert_passed(experiment, "report_same_bytes", "naive_report_finished", "fixed_report_finished")
