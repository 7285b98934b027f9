"""The lesson of `background_tasks`, by gross facts that are far from its limits.

These fail when naive stops hurting, and when fixed starts to.
"""

from statistics import median

import pytest

from tests.lessons.conftest import Json, assert_passed, in_blocks, ratio

pytestmark = pytest.mark.slow

P99 = "before:kill.bystander.p99_ms"

#: The arms that build reports; the last one only in the first block.
ARMS = {"naive", "fixed", "sync_task"}


def test_a_report_in_a_background_task_stalls_bystanders(experiment: Json) -> None:
    assert ratio(experiment, f"naive.{P99}", f"fixed.{P99}") >= 8


def test_an_audit_line_in_a_background_task_harms_no_bystander(experiment: Json) -> None:
    assert ratio(experiment, f"fixed.{P99}", "baseline.bystander.p99_ms") <= 6


def test_a_server_that_is_killed_loses_what_it_promised(experiment: Json) -> None:
    assert median(in_blocks(experiment, "naive", "kill.lost")) >= 1
    assert experiment["blocks"][0]["sync_task"]["kill.lost"] >= 1


def test_what_was_accepted_into_a_queue_is_never_lost(experiment: Json) -> None:
    assert max(in_blocks(experiment, "fixed", "jobs.lost")) == 0
    assert min(in_blocks(experiment, "fixed", "report.accepted")) >= 2


def test_the_api_was_killed_wherever_reports_were_built(experiment: Json) -> None:
    killed = {event["arm"] for event in experiment["events"] if event["id"] == "kill"}

    assert killed == ARMS


def test_all_arms_built_the_same_reports(experiment: Json) -> None:
    assert_passed(experiment, "report_same_bytes")


def test_evidence_names_the_work_where_it_is_done(at_work: set[tuple[str, str]]) -> None:
    assert at_work == {("naive", "naive"), ("fixed", "worker-long-1")}
