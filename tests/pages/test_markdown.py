from datetime import UTC, datetime

import pytest

from offloop.bench.results import Run
from offloop.pages.markdown import renew
from tests.bench.support import block, result

PAGE = """\
# Offloop

<!-- result: loop_blocking -->
an old table
<!-- end -->

The rest.
"""


@pytest.fixture
def run() -> Run:
    return Run(
        started_at=datetime(2026, 1, 2, tzinfo=UTC),
        machine={"processor": "abacus", "cores": 2, "python": "3.11.7"},
        versions={},
        git={},
        seed=7,
        wall_s=61.0,
        experiments={"loop_blocking": result([block(), block(), block()])},
    )


def test_only_what_stands_between_the_marks_is_renewed(run: Run) -> None:
    page = renew(PAGE, run)

    assert page.startswith("# Offloop\n\n<!-- result: loop_blocking -->\n")
    assert page.endswith("<!-- end -->\n\nThe rest.\n")
    assert "an old table" not in page


def test_renewing_twice_is_renewing_once(run: Run) -> None:
    once = renew(PAGE, run)

    assert renew(once, run) == once


def test_a_page_shows_the_table_the_verdict_the_gain_the_price_and_the_machine(run: Run) -> None:
    page = renew(PAGE, run)

    for words in (
        "| median of 3 blocks | baseline | naive | fixed | predicted |",
        "| bystander p99 | 4.0 ms | 580.0 ms | 5.0 ms | 588.0 ms |",
        "**pass**: Bystanders waited 116 times less. It takes 4 processes instead of 1.",
        "abacus, 2 cores, Python 3.11.7, 2026-01-02, 61 s",
    ):
        assert words in page


def test_every_row_of_the_table_has_a_cell_for_each_column(run: Run) -> None:
    table = [line for line in renew(PAGE, run).splitlines() if line.startswith("|")]

    assert len({line.count("|") for line in table}) == 1


def test_a_page_without_marks_stays_as_it_is(run: Run) -> None:
    assert renew("# Offloop\n", run) == "# Offloop\n"
