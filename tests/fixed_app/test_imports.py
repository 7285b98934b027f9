"""The process that accepts reports stays light."""

import json
import subprocess
import sys

import pytest

WORK = [
    *("reports.build", "reports.pricing", "reports.files", "reports.lines", "reports.dataset"),
    *("workers.fixed", "workers.attempts", "pyarrow", "sqlalchemy"),
]


def modules_after(statement: str) -> set[str]:
    program = f"import json, sys; {statement}; print(json.dumps(sorted(sys.modules)))"
    output = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout
    return set(json.loads(output))


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    return modules_after("import fixed_app.main")


@pytest.mark.parametrize("module", WORK)
def test_the_fixed_app_does_not_load(loaded: set[str], module: str) -> None:
    assert module not in loaded


def test_workers_load_the_modules_that_the_fixed_app_does_not() -> None:
    """Otherwise the names above would be out of date, and the test above could not fail."""
    work = "import reports.build, reports.lines, reports.dataset, workers.attempts, fixed_app.main"

    assert set(WORK) - modules_after(work) == {"workers.fixed"}
