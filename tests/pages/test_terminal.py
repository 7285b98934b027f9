import io
import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from rich.console import Console

from offloop.bench.results import ExperimentResult, Run
from offloop.bench.verdicts import Verdict
from offloop.load.protocol import Progress
from offloop.pages.terminal import Terminal, overview
from tests.bench.support import block, loop_blocking, result, shipped

Show = Callable[[ExperimentResult], str]


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def console(out: io.StringIO) -> Console:
    # Wide: what is tested are words, not how they wrap.
    return Console(file=out, width=200)


@pytest.fixture
def show(console: Console, out: io.StringIO) -> Show:
    def shown(of: ExperimentResult) -> str:
        with Terminal(console) as terminal:
            terminal.result("loop_blocking", of)
        return out.getvalue()

    return shown


def new_run(**experiments: ExperimentResult) -> Run:
    return Run(
        started_at=datetime.now(UTC),
        machine={"processor": "abacus", "cores": 2, "python": "3.11.7"},
        versions={},
        git={},
        seed=7,
        wall_s=61.0,
        experiments=experiments,
    )


def test_a_passed_experiment_shows_its_verdict_the_gain_and_the_price(show: Show) -> None:
    text = show(result([block(), block()]))

    for words in (
        "PASS",
        "Bystanders waited 116 times less.",
        "The price: It takes 4 processes instead of 1.",
    ):
        assert words in text
    assert "FAIL" not in text
    assert "NO VERDICT" not in text
    assert "Not to be relied on" not in text


def test_every_expectation_is_shown_with_what_was_observed_and_its_limit(show: Show) -> None:
    of = result([block(), block()])

    text = show(of)

    for judged in of.expectations:
        (row,) = [line for line in text.splitlines() if judged.says in line]
        assert f"{judged.observed:,.2f}" in row
        assert f"{judged.op} {judged.limit:g}" in row
        assert row.rstrip().endswith("ok")


def test_what_theory_predicted_stands_beside_what_was_measured(show: Show) -> None:
    text = show(result([block(), block()]))

    (row,) = [line for line in text.splitlines() if "bystander p99 " in line]
    assert row.split()[-8:] == ["4.0", "ms", "580.0", "ms", "5.0", "ms", "588.0", "ms"]


def test_what_theory_predicts_is_shown_before_there_is_anything_to_compare_it_with(
    console: Console, out: io.StringIO
) -> None:
    predicted = {"bystander.p99_ms": 588.0}
    before = ExperimentResult(
        verdict=Verdict.NO_VERDICT,
        title="any",
        load=loop_blocking().load.model_dump(mode="json"),
        predicted=predicted,
    )

    with Terminal(console) as terminal:
        terminal.predicted(before)
        terminal.predicted(before.model_copy(update={"predicted": {}}))

    assert out.getvalue() == "  Predicted, before the load begins: bystander p99 588.0 ms\n"


def test_a_failed_experiment_shows_which_expectation_is_broken(show: Show) -> None:
    slow = block(fixed={"bystander.p99_ms": 40.0})

    text = show(result([slow, slow]))

    assert "FAIL" in text
    (row,) = [line for line in text.splitlines() if "bystanders hardly notice them" in line]
    assert row.rstrip().endswith("broken")


def test_without_a_verdict_the_reason_is_shown_and_the_gain_is_doubted(show: Show) -> None:
    late = block(naive={"bystander.dispatch_lag_p99_ms": 25.0})

    text = show(result([late, late]))

    assert "NO VERDICT" in text
    assert "why there is no verdict" in text
    (row,) = [line for line in text.splitlines() if "naive: bystander requests were sent" in line]
    assert "25.00" in row
    assert "<= 10" in row
    assert "Not to be relied on: Bystanders waited 116 times less." in text


def test_a_measure_that_is_missing_everywhere_has_no_row_and_elsewhere_an_empty_cell(
    show: Show,
) -> None:
    one_sided = block(naive={"loop.stalls": 3.0})

    text = show(result([one_sided, one_sided]))

    (row,) = [line for line in text.splitlines() if "event loop stalls" in line]
    assert row.split() == ["event", "loop", "stalls", "3"]
    assert "CPU per report" in text
    assert "bystander slowest" not in text


def test_an_expectation_that_could_not_be_observed_is_missing_and_not_zero(show: Show) -> None:
    blind = block(fixed={"bystander.service_p99_ms": None})

    text = show(result([blind, blind]))

    rows = [line for line in text.splitlines() if "from the moment a request was sent" in line]
    # Once among the expectations, and once as the reason why there is no verdict.
    assert [row.split()[-3:] for row in rows] == [["<=", "1.5", "missing"]] * 2


def test_evidence_names_the_function_its_place_and_its_share(show: Show) -> None:
    text = show(result([block(), block()]))

    assert "naive spent 48% of its time in summarise (reports/pricing.py:42)" in text


def test_evidence_that_could_not_be_had_is_explained(show: Show) -> None:
    text = show(result([block()], evidence=[], evidence_missing="py-spy [root] is not allowed"))

    assert "No evidence: py-spy [root] is not allowed" in text


def test_text_that_looks_like_markup_is_shown_as_it_is(show: Show) -> None:
    text = show(result([block()], gain="[bold]3 times[/bold] less", price="[/] nothing"))

    assert "[bold]3 times[/bold] less" in text
    assert "[/] nothing" in text


def test_a_result_that_holds_nothing_yet_can_be_shown(show: Show) -> None:
    empty = ExperimentResult(verdict=Verdict.NO_VERDICT, title="", load={})

    assert "NO VERDICT" in show(empty)


def test_a_run_says_what_it_ran_on_and_where_its_data_is(
    console: Console, out: io.StringIO
) -> None:
    overview(console, new_run(loop_blocking=result([block()])), "runs/2026")

    for words in ("abacus, 2 cores, Python 3.11.7", "61 s", "seed 7", "runs/2026"):
        assert words in out.getvalue()


def test_a_run_of_several_experiments_lists_all_verdicts(
    console: Console, out: io.StringIO
) -> None:
    unfinished = ExperimentResult(verdict=Verdict.NO_VERDICT, title="", load={})

    overview(console, new_run(one=result([block(), block()]), other=unfinished), "runs/2026")

    rows = [line.split() for line in out.getvalue().splitlines()]
    assert ["one", "PASS"] in rows
    assert ["other", "NO", "VERDICT"] in rows


def test_the_question_is_put_before_the_run(console: Console, out: io.StringIO) -> None:
    experiment = loop_blocking()

    with Terminal(console) as terminal:
        terminal.experiment("loop_blocking", experiment)

    text = " ".join(out.getvalue().split())
    assert " ".join(experiment.question.split()) in text
    assert "Predict before you look: " + " ".join(experiment.prediction.split()) in text


def test_where_there_is_no_terminal_each_step_is_a_line_of_its_own(
    console: Console, out: io.StringIO
) -> None:
    with Terminal(console) as terminal:
        terminal.step("block 1 of 3: [naive]")
        terminal.progress(progress())
        terminal.step("block 1 of 3: fixed")

    lines = out.getvalue().splitlines()
    assert [line.partition(" s  ")[2] for line in lines] == [
        "block 1 of 3: [naive]",
        "block 1 of 3: fixed",
    ]


def test_on_a_terminal_the_step_and_how_far_it_is_are_one_live_line(out: io.StringIO) -> None:
    console = Console(file=out, width=200, force_terminal=True, color_system=None)

    with Terminal(console) as terminal:
        terminal.step("block 1 of 3: [naive]")
        terminal.progress(progress())

    # The last frame is drawn when the terminal is left.
    assert "block 1 of 3: [naive]: 1,200 of 2,400 requests sent, 1,100 answered" in out.getvalue()


def progress() -> Progress:
    return Progress(
        start_monotonic_s=1.0, elapsed_s=3.0, sent=1200, answered=1100, total=2400
    )  # fmt: skip


@pytest.mark.parametrize("width", [50, 80, 200])
def test_a_table_of_words_that_is_too_wide_goes_on_in_another_and_no_cell_is_cut(
    out: io.StringIO, width: int
) -> None:
    found = result([block()])
    headings = ["rung", *(f"a heading {number}" for number in range(9))]
    row = ["queue + workers", *(f"cell{number}" for number in range(9))]
    table = {"headings": headings, "rows": [row]}
    words = ExperimentResult.model_validate(found.model_dump() | {"table": table})

    Terminal(Console(file=out, width=width)).result("ladder", words)

    lines = [line.split() for line in out.getvalue().splitlines() if "queue + workers" in line]
    assert (len(lines) == 1) == (width == 200)
    assert [cell for line in lines for cell in line[3:]] == row[1:]


@pytest.mark.parametrize("width", range(60, 121))
def test_every_cell_of_the_ladder_is_whole_on_a_terminal_of_any_width(
    out: io.StringIO, width: int
) -> None:
    table = shipped("ladder").table
    assert table is not None
    headings = ["", *(column.heading for column in table.columns)]
    cells = ["127.2", "0.25 s", "0.24 s", "0.46", "1 (0)", "0", "150 MB", "none", "9", "a service"]
    rows = [[table.rows[arm].name, *cells] for arm in ("awaited", "fixed")]
    filled = {"table": {"headings": headings, "rows": rows}}
    words = ExperimentResult.model_validate(result([block()]).model_dump() | filled)

    Terminal(Console(file=out, width=width)).result("ladder", words)

    lines = [line.strip() for line in out.getvalue().splitlines()]
    found = [re.split(r"\s{2,}", line)[1:] for line in lines if line.startswith("awaited ")]
    assert [cell for line in found for cell in line] == cells
    assert all(word in out.getvalue() for heading in headings for word in heading.split())
