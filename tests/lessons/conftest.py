import json
from collections.abc import Callable, Sequence
from functools import cache
from math import inf
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from tests.cli.checkout import BENCH_HANG_S, COMMAND_HANG_S, make_checkout

HERE = Path(__file__).parent

Json = dict[str, Any]

Bench = Callable[[str], Json]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run lessons first, and let them wait for their experiment.

    The stack that other tests share stays until the end. Idle, it takes 5% of two processors, which
    disturbs what is measured here.
    """
    items.sort(key=lambda item: item.path.parent != HERE)
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.timeout(BENCH_HANG_S + COMMAND_HANG_S))


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Run an experiment once, as a user would, and give its `run.json`."""
    checkout = make_checkout(tmp_path_factory.mktemp("lessons") / "checkout")

    @cache
    def run(slug: str) -> Json:
        done = checkout.run("bench", slug, "--quick", "--json", hang_s=BENCH_HANG_S)
        # On a busy machine there need not be a verdict; the lesson has to be there all the same.
        assert done.returncode in {0, 1, 3}, done.stderr
        printed: Json = json.loads(done.stdout)
        assert printed == checkout.latest()
        return printed

    return run


@pytest.fixture(scope="module")
def experiment(bench: Bench, request: pytest.FixtureRequest) -> Json:
    """What a run of the experiment after which the test file is named found."""
    slug = request.module.__name__.rpartition("test_")[2]
    found: Json = bench(slug)["experiments"][slug]
    return found


@pytest.fixture
def at_work(experiment: Json) -> set[tuple[str, str]]:
    """The arms and processes in which evidence found the work itself; without any, skip."""
    if experiment["evidence_missing"]:
        pytest.skip(experiment["evidence_missing"])
    return {
        (each["arm"], each["process"])
        for each in experiment["evidence"]
        if each["file"].startswith(("reports/", "naive_app/"))
    }


def in_blocks(experiment: Json, arm: str, measure: str) -> list[float]:
    """A measure of each block that has the arm, disturbed or not; infinite for what never came."""
    found = [block[arm][measure] for block in experiment["blocks"] if arm in block]
    return [inf if value is None else value for value in found]


def ratio(experiment: Json, term: str, other: str) -> float:
    """One `ARM.MEASURE` over another, block by block, the median."""
    arm, _, measure = term.partition(".")
    other_arm, _, other_measure = other.partition(".")
    both = {"blocks": [each for each in experiment["blocks"] if {arm, other_arm} <= each.keys()]}
    return median_ratio(in_blocks(both, arm, measure), in_blocks(both, other_arm, other_measure))


def median_ratio(values: Sequence[float], divisors: Sequence[float]) -> float:
    return median([value / divisor for value, divisor in zip(values, divisors, strict=True)])


def assert_passed(experiment: Json, *checks: str) -> None:
    """The measurement was valid, as far as these checks go."""
    found = {check["id"]: check for check in experiment["validity"]}
    for check in checks:
        assert found[check]["ok"], found[check]
