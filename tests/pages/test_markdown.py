from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from offloop.measuring.results import Checkout, ExperimentResult, Machine, Run
from offloop.measuring.run_folder import RUN_FILE
from offloop.measuring.verdicts import Verdict
from offloop.pages.markdown import LAST_RUNS, renew, renew_measures, runs_of
from tests.bench.support import block, result

PAGE = """\
# Offloop

<!-- result: loop_blocking -->
an old table
<!-- end -->

The rest.
"""

SOUND = result([block(), block(), block()])

Keep = Callable[..., Path]


@pytest.fixture
def keep(tmp_path: Path) -> Keep:
    """Write the `run.json` of a day, of `loop_blocking` unless told otherwise; return all runs."""

    def kept(day: int = 2, verdict: Verdict = Verdict.PASS, **changes: Any) -> Path:  # noqa: ANN401 - any field
        found = SOUND.model_copy(update={"verdict": verdict})
        run = Run(
            started_at=datetime(2026, 1, day, tzinfo=UTC),
            machine=Machine(processor="abacus", cores=2, python="3.11.7"),
            versions={},
            git=Checkout(),
            seed=7,
            wall_s=61.0,
            experiments={"loop_blocking": found},
        ).model_copy(update=changes)
        folder = tmp_path / f"2026-01-{day:02}"
        folder.mkdir()
        (folder / RUN_FILE).write_text(run.model_dump_json())
        return tmp_path

    return kept


def test_renewing_changes_only_the_marked_part_and_is_idempotent(
    keep: Keep,
) -> None:
    runs = keep()

    page = renew(PAGE, runs)

    assert page.startswith("# Offloop\n\n<!-- result: loop_blocking -->\n")
    assert page.endswith("<!-- end -->\n\nThe rest.\n")
    assert "an old table" not in page
    assert renew(page, runs) == page
    assert renew("# Offloop\n", runs) == "# Offloop\n"


def test_a_page_shows_the_table_the_verdict_the_gain_the_price_and_the_machine(keep: Keep) -> None:
    page = renew(PAGE, keep())

    for words in (
        "| 3 blocks | baseline | naive | fixed | same_priority |",
        "| the slowest ping in a hundred (p99) | 4.00 ms | 580 ms | 5.00 ms | 6.00 ms |",
        "| price: processes |",
        "**pass**: Bystanders waited 116 times less. It takes 4 processes instead of 1.",
        "abacus, 2 cores, Python 3.11.7, 2026-01-02, 61 s. Of the last runs, 1 of 1 passed.",
    ):
        assert words in page
    table = [line for line in page.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in table}) == 1


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.FAIL])
def test_the_latest_valid_run_is_shown_whether_it_passed_or_failed(
    keep: Keep, verdict: Verdict
) -> None:
    keep(1, Verdict.FAIL)
    keep(2, Verdict.PASS)
    keep(3, verdict)
    runs = keep(4, Verdict.NO_VERDICT)

    page = renew(PAGE, runs)

    assert f"**{verdict.value}**" in page
    assert "2026-01-03, 61 s" in page
    # The invalid run is one of those that did not pass.
    assert f"Of the last runs, {2 if verdict is Verdict.PASS else 1} of 4 passed." in page


@pytest.mark.parametrize("left_out", [{"quick": True}, {"interrupted": True}, {"experiments": {}}])
def test_quick_and_interrupted_runs_and_those_without_the_experiment_are_left_out(
    keep: Keep, left_out: dict[str, object]
) -> None:
    runs = keep(1, **left_out)
    (runs / "2026-01-09").mkdir()
    (runs / "2026-01-09" / RUN_FILE).write_text('{"schema": "offloop.run/1"}')

    assert renew(PAGE, runs) == PAGE

    keep(2)
    assert "Of the last runs, 1 of 1 passed." in renew(PAGE, runs)


def test_without_a_valid_run_the_page_stays_as_it_is(keep: Keep) -> None:
    assert renew(PAGE, keep(1, Verdict.NO_VERDICT)) == PAGE


def test_only_the_last_runs_count_and_links_to_runs_do_not(keep: Keep) -> None:
    for day in range(1, LAST_RUNS + 3):
        runs = keep(day)
    (runs / "latest").symlink_to(f"2026-01-{LAST_RUNS + 2}")

    found = [run.started_at.day for run in runs_of(runs, "loop_blocking")]

    assert found == list(range(LAST_RUNS + 2, 2, -1))


def test_the_reference_of_measures_has_a_row_for_each_with_how_its_blocks_combine() -> None:
    page = renew_measures("<!-- measures -->\nold\n<!-- end -->\n")

    for row in (
        "| `p99_ms` | p99 | ms | percentile of all values, from 100 values on | lower |",
        "| `failed` | failed |  | sum | lower |",
        "| `speedup` | speed-up | times | median | higher |",
        "| `files.smallest_bytes` | smallest file | bytes | smallest | lower |",
    ):
        assert row in page
    assert renew_measures(page) == page


def test_an_experiment_without_figures_can_be_shown(keep: Keep) -> None:
    empty = ExperimentResult(verdict=Verdict.FAIL, title="", load={})

    assert "**fail**" in renew(PAGE, keep(experiments={"loop_blocking": empty}))
