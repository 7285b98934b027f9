"""The lesson of `worker_starvation`, by gross facts that are far from its limits.

These fail when naive stops hurting, and when fixed starts to.
"""

import pytest

from tests.lessons.conftest import Json, assert_passed, in_blocks, ratio

pytestmark = pytest.mark.slow

P99_BEFORE = "before:giant.bystander.p99_ms"


def test_the_disease_is_there(experiment: Json) -> None:
    assert ratio(experiment, f"naive.{P99_BEFORE}", f"fixed.{P99_BEFORE}") >= 5


def test_the_cure_works(experiment: Json) -> None:
    assert ratio(experiment, "fixed.bystander.p99_ms", "baseline.bystander.p99_ms") <= 10


def test_the_server_kills_a_worker_that_builds_for_longer_than_its_timeout(
    experiment: Json,
) -> None:
    assert min(in_blocks(experiment, "naive", "api.workers_killed")) >= 1
    assert set(in_blocks(experiment, "naive", "giant.finished")) == {0}


def test_beside_a_slot_no_worker_is_killed_and_the_same_report_is_built(
    experiment: Json,
) -> None:
    for arm in ("fixed", "baseline"):
        assert set(in_blocks(experiment, arm, "api.workers_killed")) == {0}
    assert set(in_blocks(experiment, "fixed", "giant.finished")) == {1}
    assert set(in_blocks(experiment, "fixed", "bystander.failed")) == {0}


def test_reports_that_both_built_are_the_same(experiment: Json) -> None:
    assert_passed(experiment, "report_same_bytes")


def test_the_guilty_line_is_named_in_the_worker_and_not_in_its_master(
    at_work: set[tuple[str, str]],
) -> None:
    assert at_work == {("naive", "naive"), ("fixed", "worker-long-1")}
