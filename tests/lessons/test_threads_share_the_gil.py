"""The lesson of `threads_share_the_gil`, by gross facts that are far from its limits.

These fail when threads stop sharing the GIL, and when processes start to.
"""

from typing import Any

import pytest

from offloop.machine import affinity
from tests.lessons.conftest import Bench

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(affinity() < 2, reason="nothing is parallel with one processor"),
]

WORK = ("aggregate", "gzip", "parquet", "inference")


@pytest.fixture(scope="module")
def experiment(bench: Bench) -> dict[str, Any]:
    found: dict[str, Any] = bench("threads_share_the_gil")["experiments"]["threads_share_the_gil"]
    return found


def cores(experiment: dict[str, Any], arm: str, work: str) -> float:
    """How many cores a burst used, in the block that others disturbed least.

    Not the speed-up, which others on the machine change, and which two "cores" that are one core's
    two threads halve: a burst that shares the GIL uses one core at most, wherever it runs.
    """
    found: float = max(
        block[arm][f"{work}.cores"] for block in experiment["blocks"] if arm in block
    )
    return found


def test_threads_take_turns(experiment: dict[str, Any]) -> None:
    assert cores(experiment, "naive", "aggregate") <= 1.3
    assert cores(experiment, "more_threads", "aggregate") <= 1.3


def test_processes_do_not(experiment: dict[str, Any]) -> None:
    assert cores(experiment, "fixed", "aggregate") >= 1.2 * cores(experiment, "naive", "aggregate")


def test_where_the_gil_is_let_go_threads_use_more_than_where_it_is_not(
    experiment: dict[str, Any],
) -> None:
    assert cores(experiment, "naive", "gzip") >= 1.2 * cores(experiment, "naive", "aggregate")


def test_every_piece_had_the_same_result_whoever_did_it(experiment: dict[str, Any]) -> None:
    checks = {check["id"]: check for check in experiment["validity"]}

    for work in WORK:
        assert checks[f"{work}_same_result"]["observed"] == 1, checks


def test_the_interpreter_is_on_record(experiment: dict[str, Any]) -> None:
    checks = {check["id"]: check for check in experiment["validity"]}
    interpreter = experiment["load"]["interpreter"]

    assert interpreter.keys() == {"version", "free_threaded", "gil"}
    assert checks["has_a_gil"]["observed"] == float(interpreter["gil"])


def test_processes_have_their_price(experiment: dict[str, Any]) -> None:
    naive, fixed = experiment["arms"]["naive"], experiment["arms"]["fixed"]

    assert fixed["pool.memory_peak_bytes"] > naive["pool.memory_peak_bytes"]
    assert fixed["pool.start_ms"] > naive["pool.start_ms"]


def test_all_work_is_measured_in_all_arms(experiment: dict[str, Any]) -> None:
    assert experiment["error"] is None
    first, second = experiment["blocks"]
    assert first.keys() == {"naive", "fixed", "more_threads"}
    assert second.keys() == {"naive", "fixed"}
    for block in experiment["blocks"]:
        for measures in block.values():
            assert {f"{work}.speedup" for work in WORK} <= measures.keys()
    assert "(not measured)" not in experiment["gain"] + experiment["price"]


def test_processes_cost_memory_that_threads_do_not(experiment: dict[str, Any]) -> None:
    memory = {arm: experiment["arms"][arm]["pool.memory_peak_bytes"] for arm in ("naive", "fixed")}

    assert memory["fixed"] > memory["naive"] > 0
