"""The lesson of `background_tasks`, by gross facts that are far from its limits.

These fail when naive stops hurting, and when fixed starts to.
"""

from statistics import median
from typing import Any

import pytest

from tests.lessons.conftest import Bench

pytestmark = pytest.mark.slow

P99 = "before:kill.bystander.p99_ms"

#: The arms that build reports; the last one only in the first block.
ARMS = {"naive", "fixed", "sync_task"}


@pytest.fixture(scope="module")
def experiment(bench: Bench) -> dict[str, Any]:
    found: dict[str, Any] = bench("background_tasks")["experiments"]["background_tasks"]
    return found


def of_every_block(experiment: dict[str, Any], arm: str, measure: str) -> list[float]:
    return [block[arm][measure] for block in experiment["blocks"]]


def test_a_report_in_a_background_task_stalls_the_others(experiment: dict[str, Any]) -> None:
    ratios = [block["naive"][P99] / block["fixed"][P99] for block in experiment["blocks"]]

    assert median(ratios) >= 8


def test_an_audit_line_in_a_background_task_harms_nobody(experiment: dict[str, Any]) -> None:
    ratios = [
        block["fixed"][P99] / block["baseline"]["bystander.p99_ms"]
        for block in experiment["blocks"]
    ]

    assert median(ratios) <= 6


def test_a_server_that_is_killed_loses_what_it_promised(experiment: dict[str, Any]) -> None:
    assert median(of_every_block(experiment, "naive", "kill.lost")) >= 1
    assert experiment["blocks"][0]["sync_task"]["kill.lost"] >= 1


def test_what_was_accepted_into_a_queue_is_never_lost(experiment: dict[str, Any]) -> None:
    assert max(of_every_block(experiment, "fixed", "jobs.lost")) == 0
    assert min(of_every_block(experiment, "fixed", "report.accepted")) >= 2


def test_the_api_was_killed_wherever_reports_were_built(experiment: dict[str, Any]) -> None:
    killed = {event["arm"] for event in experiment["events"] if event["id"] == "kill"}

    assert killed == ARMS


def test_all_arms_built_the_same_reports(experiment: dict[str, Any]) -> None:
    checks = {check["id"]: check for check in experiment["validity"]}

    assert checks["report_same_bytes"]["ok"], checks["report_same_bytes"]


def test_evidence_names_the_work_where_it_is_done(at_work: set[tuple[str, str]]) -> None:
    assert at_work == {("naive", "naive"), ("fixed", "worker-long-1")}


def test_everything_that_is_told_was_measured(experiment: dict[str, Any]) -> None:
    assert experiment["error"] is None
    assert "(not measured)" not in experiment["gain"] + experiment["price"]
