import json
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from tests.cli.checkout import BENCH_HANG_S, make_checkout

Bench = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Run an experiment once, as a user would, and give its `run.json`."""
    checkout = make_checkout(tmp_path_factory.mktemp("lessons") / "checkout")

    @cache
    def run(slug: str) -> dict[str, Any]:
        done = checkout.run("bench", slug, "--quick", "--json", hang_s=BENCH_HANG_S)
        # On a busy machine there need not be a verdict; the lesson has to be there all the same.
        assert done.returncode in {0, 1, 3}, done.stderr
        printed: dict[str, Any] = json.loads(done.stdout)
        assert printed == checkout.latest()
        return printed

    return run


@pytest.fixture
def at_work(experiment: dict[str, Any]) -> set[tuple[str, str]]:
    """The arms and processes in which evidence found the work itself; without any, skip."""
    if experiment["evidence_missing"]:
        pytest.skip(experiment["evidence_missing"])
    return {
        (each["arm"], each["process"])
        for each in experiment["evidence"]
        if each["file"].startswith(("reports/", "naive_app/"))
    }
