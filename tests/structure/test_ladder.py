"""What the ladder says of its rungs without measuring it is what the code does."""

from importlib import import_module
from pathlib import Path

import pytest
from fastapi import FastAPI

from offloop.bench.experiment import Experiment, load_experiment
from offloop.bench.table import Row
from offloop.project import project_root
from offloop.stack.catalog import WAYS

FILE: Path = project_root() / "loadtests" / "experiments" / "ladder.toml"

#: The rung that stands for an external service.
ELSEWHERE = "awaited"

#: Attempts at something else than building reports.
NO_RUNGS = {"naive_app.attempts.metrics_on_loop"}


def ladder() -> Experiment:
    found = load_experiment(FILE)
    assert isinstance(found, Experiment)
    return found


LADDER = ladder()
assert LADDER.table is not None
ROWS = LADDER.table.rows

each_rung = pytest.mark.parametrize(("arm", "row"), ROWS.items(), ids=ROWS)


def test_every_arm_but_the_baseline_is_a_rung() -> None:
    assert {"baseline", *ROWS} == LADDER.arms.keys()


@each_rung
def test_a_rung_takes_infrastructure_where_it_needs_more_than_its_own_processes(
    arm: str, row: Row
) -> None:
    takes = row.facts["infrastructure"] != "none"

    assert takes == (WAYS[LADDER.arms[arm].way].has_tier or arm == ELSEWHERE)


@each_rung
def test_a_rung_refuses_orders_where_its_app_says_that_it_may(arm: str, row: Row) -> None:
    module, _, name = WAYS[LADDER.arms[arm].way].app.partition(":")
    app = getattr(import_module(module), name)
    assert isinstance(app, FastAPI)

    answers = app.openapi()["paths"]["/reports"]["post"]["responses"]

    assert row.facts["backpressure"] == ("503" if "503" in answers else "none")


def test_there_is_a_rung_for_every_attempt_that_hands_nothing_over() -> None:
    attempts = {way for way, each in WAYS.items() if "attempts" in way and not each.has_tier}

    assert attempts - NO_RUNGS <= {arm.way for arm in LADDER.arms.values()}
