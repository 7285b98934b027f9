"""The lesson of `threads_share_the_gil`, by gross facts that are far from its limits.

These fail when threads stop sharing the GIL, and when processes start to.
"""

import pytest

from offloop.machine import affinity
from tests.lessons.conftest import Json, in_blocks

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(affinity() < 2, reason="nothing is parallel with one processor"),
]

WORK = ("aggregate", "gzip", "parquet", "inference")


def cores(experiment: Json, arm: str, work: str) -> float:
    """How many cores a burst used, in the block that was disturbed least.

    Not the speed-up, which other programs change, and which two "cores" that are one core's two
    threads halve: a burst that shares the GIL uses one core at most, wherever it runs.
    """
    return max(in_blocks(experiment, arm, f"{work}.cores"))


def test_threads_take_turns(experiment: Json) -> None:
    assert cores(experiment, "naive", "aggregate") <= 1.3
    assert cores(experiment, "more_threads", "aggregate") <= 1.3


def test_processes_do_not(experiment: Json) -> None:
    assert cores(experiment, "fixed", "aggregate") >= 1.2 * cores(experiment, "naive", "aggregate")


def test_where_the_gil_is_let_go_threads_use_more_than_where_it_is_not(
    experiment: Json,
) -> None:
    assert cores(experiment, "naive", "gzip") >= 1.2 * cores(experiment, "naive", "aggregate")


def test_every_piece_had_the_same_result_in_every_arm(experiment: Json) -> None:
    checks = {check["id"]: check for check in experiment["validity"]}

    for work in WORK:
        assert checks[f"{work}_same_result"]["observed"] == 1, checks


def test_the_interpreter_is_on_record(experiment: Json) -> None:
    checks = {check["id"]: check for check in experiment["validity"]}
    interpreter = experiment["interpreter"]

    assert interpreter.keys() == {"version", "free_threaded", "gil"}
    assert checks["has_a_gil"]["observed"] == float(interpreter["gil"])


def test_processes_have_their_price(experiment: Json) -> None:
    naive, fixed = experiment["arms"]["naive"], experiment["arms"]["fixed"]

    assert fixed["pool.memory_peak_bytes"] > naive["pool.memory_peak_bytes"] > 0
    assert fixed["pool.start_ms"] > naive["pool.start_ms"]


def test_all_work_is_measured_in_all_arms(experiment: Json) -> None:
    first, second = experiment["blocks"]
    assert first.keys() == {"naive", "fixed", "more_threads"}
    assert second.keys() == {"naive", "fixed"}
    for block in experiment["blocks"]:
        for measures in block.values():
            assert {f"{work}.speedup" for work in WORK} <= measures.keys()
