"""The lesson of `blocking_enqueue`, by gross facts that are far from its limits.

These fail when naive stops hurting, and when fixed starts to.
"""

from statistics import median
from typing import Any

import pytest

from tests.lessons.conftest import Bench

pytestmark = pytest.mark.slow

ARMS = {"baseline", "naive", "fixed", "in_thread"}

SLOWEST = "after:freeze.bystander.max_ms"


@pytest.fixture(scope="module")
def experiment(bench: Bench) -> dict[str, Any]:
    found: dict[str, Any] = bench("blocking_enqueue")["experiments"]["blocking_enqueue"]
    return found


def share_of_the_freeze(experiment: dict[str, Any], arm: str) -> float:
    """The slowest bystander over the length of the freeze, block by block, the median."""
    blocks = [block[arm] for block in experiment["blocks"] if arm in block]
    shares: list[float] = [block[SLOWEST] / block["freeze.lasted_ms"] for block in blocks]
    return median(shares)


def test_the_disease_is_there(experiment: dict[str, Any]) -> None:
    assert share_of_the_freeze(experiment, "naive") >= 0.7


def test_the_cure_works(experiment: dict[str, Any]) -> None:
    assert share_of_the_freeze(experiment, "fixed") <= 0.5


def test_a_thread_spares_the_bystanders_too(experiment: dict[str, Any]) -> None:
    assert share_of_the_freeze(experiment, "in_thread") <= 0.5


def test_the_broker_was_frozen_in_every_arm_of_every_block(experiment: dict[str, Any]) -> None:
    frozen = {(event["block"], event["arm"]) for event in experiment["events"]}

    ran = {(number, arm) for number, block in enumerate(experiment["blocks"]) for arm in block}
    assert ran > {(block, arm) for block in range(2) for arm in ARMS - {"in_thread"}}
    assert frozen == ran
    for event in experiment["events"]:
        assert event["what"] == ["redis"]
        assert event["at_s"] >= 2
        assert event["lasted_s"] >= 1


def test_all_arms_built_the_same_reports_all_of_them(experiment: dict[str, Any]) -> None:
    checks = {check["id"]: check for check in experiment["validity"]}

    assert checks["report_same_bytes"]["ok"]
    for arm in ("naive", "fixed"):
        assert checks[f"{arm}_report_finished"]["ok"], checks[f"{arm}_report_finished"]


def test_everything_that_is_told_was_measured(experiment: dict[str, Any]) -> None:
    assert experiment["error"] is None
    assert "(not measured)" not in experiment["gain"] + experiment["price"]
