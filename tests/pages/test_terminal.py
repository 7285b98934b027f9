import io
import re
from collections.abc import Callable
from datetime import UTC, datetime
from math import inf

import pytest
from rich.console import Console

from offloop.bench.evidence import said
from offloop.load.protocol import Progress
from offloop.measuring.results import Checkout, ExperimentResult, Machine, Noise, Run
from offloop.measuring.verdicts import Judged, Verdict, judged
from offloop.pages.limits import observed
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
        with Terminal(console, verbose=True) as terminal:
            terminal.result("loop_blocking", of)
        return out.getvalue()

    return shown


def test_by_default_only_what_is_judged_is_shown(console: Console, out: io.StringIO) -> None:
    of = result([block(), block()])
    with Terminal(console) as terminal:
        terminal.result("loop_blocking", of)

    kept = [each for each in of.expectations if each.promise]
    assert kept
    assert f"{len(kept)} promises were kept" in out.getvalue()
    for each in of.expectations:
        assert (each.says in out.getvalue()) is not each.promise
    assert "bystander p50" not in out.getvalue()


def new_run(*, quick: bool = False, **experiments: ExperimentResult) -> Run:
    return Run(
        started_at=datetime.now(UTC),
        machine=Machine(processor="abacus", cores=2, python="3.11.7"),
        versions={},
        git=Checkout(),
        seed=7,
        quick=quick,
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

    for each in of.expectations:
        (row,) = [line for line in text.splitlines() if each.says in line]
        assert observed(each)[0] in row
        assert f"{each.op} {each.limit:g}" in row
        assert row.rstrip().endswith("ok")


def test_predictions_are_shown_beside_measurements(show: Show) -> None:
    text = show(result([block(), block()]))

    (row,) = [line for line in text.splitlines() if "bystander p99  " in line]
    assert row.split()[-10:] == ["4.00", "ms", "580", "ms", "5.00", "ms", "6.00", "ms", "588", "ms"]


def test_predictions_are_shown_before_the_first_measurement(
    console: Console, out: io.StringIO
) -> None:
    before = ExperimentResult(
        verdict=Verdict.NO_VERDICT,
        title="any",
        load={},
        before_load={
            "predicted": {"bystander.p99_ms": 588.0, "queue.wait_max_ms": None},
            "configured": {"queue.depth_max": 10.0},
        },
    )

    with Terminal(console) as terminal:
        terminal.predicted(before)
        terminal.predicted(before.model_copy(update={"before_load": {}}))

    assert out.getvalue().splitlines() == [
        "  Predicted, before the load begins: bystander.p99_ms 588 ms; queue.wait_max_ms never",
        "  Configured, before the load begins: queue.depth_max 10",
    ]


def test_a_failed_experiment_shows_which_expectation_is_broken(show: Show) -> None:
    slow = block(fixed={"bystander.p99_ms": 40.0})

    text = show(result([slow, slow]))

    assert "FAIL" in text
    (row,) = [line for line in text.splitlines() if "bystanders hardly notice them" in line]
    assert row.rstrip().endswith("broken")


def test_without_a_verdict_the_reason_is_shown_and_the_gain_is_marked(show: Show) -> None:
    late = block(naive={"bystander.dispatch_lag_p99_ms": 400.0})
    noise = [
        Noise(step=f"block {number}", taken_share=number / 10, taken_by=taken_by)
        for number, taken_by in enumerate([("git",), ("cc1plus", "make"), (), ("[pytest]",)])
    ]

    text = show(result([late, late], noise=noise))

    assert "NO VERDICT" in text
    assert "why there is no verdict" in text
    (row,) = [line for line in text.splitlines() if "naive: bystander requests were sent" in line]
    assert row.rstrip().endswith("broken")
    assert "  block 3: 30% of the machine was taken: [pytest]\n" in text
    assert "  block 2: 20% of the machine was taken: no process can be named\n" in text
    assert "block 0" not in text
    assert "Not to be relied on: Bystanders waited 116 times less." in text


def test_a_measure_that_is_missing_everywhere_has_no_row_and_elsewhere_an_empty_cell(
    show: Show,
) -> None:
    one_sided = block(naive={"loop.stalls": 3.0})

    text = show(result([one_sided, one_sided]))

    (row,) = [line for line in text.splitlines() if "event loop stalls" in line]
    assert row.split() == ["event", "loop", "stalls", "6"]
    assert "CPU time of one" not in text


def test_an_expectation_that_could_not_be_observed_is_missing_and_not_zero(show: Show) -> None:
    blind = block(fixed={"bystander.service_p99_ms": None})

    text = show(result([blind, blind]))

    rows = [
        line for line in text.splitlines() if "requests are timed from when they were sent" in line
    ]
    # Once among the expectations, and once as the reason why there is no verdict.
    assert [row.split()[-3:] for row in rows] == [["<=", "4", "missing"]] * 2


def judged_as(value: float | None, **changes: object) -> Judged:
    return judged("id", "a.kill.lost", value, "<=", 10, "", "").model_copy(update=changes)


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (judged_as(9.5), ["9.50"]),
        (judged_as(9.5, low=7.0, high=12.0), ["9.50", "(7.00 to 12.0)"]),
        (judged_as(9.5, low=7.0), ["9.50", "(7.00 to unbounded)"]),
        (judged_as(inf, low=7.0), ["never", "(7.00 to unbounded)"]),
        (judged_as(inf), ["never"]),
        (judged_as(None), []),
        (
            judged_as(9.5, depends_on="report: S = 0.60 s", typical_second=8.0),
            ["9.50", "at report: S = 0.60 s", "in a typical second 8.00"],
        ),
    ],
)
def test_observed_values_are_shown_with_interval_and_conditions(
    of: Judged, said: list[str]
) -> None:
    assert observed(of) == said


def test_a_limit_inside_of_the_interval_is_undecided_and_not_missing(show: Show) -> None:
    between = judged_as(9.5, low=7.0, high=12.0, ok=None, says="about ten")

    text = show(result([block()], verdict=Verdict.NO_VERDICT, expectations=[between]))

    # Once among the expectations, and once as the reason why there is no verdict.
    rows = [line.split()[-1] for line in text.splitlines() if "about ten" in line]
    assert rows == ["undecided"] * 2


def test_evidence_names_the_function_its_place_and_its_share(show: Show) -> None:
    found = result([block(), block()])

    text = show(found)

    assert said(found.evidence[0]) in text
    assert "summarise (reports/pricing.py:42)" in text


def test_missing_evidence_is_explained(show: Show) -> None:
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


def test_a_quick_run_is_marked_with_its_verdict_everywhere(
    console: Console, out: io.StringIO
) -> None:
    found = result([block(), block()])

    with Terminal(console, quick=True) as terminal:
        terminal.result("loop_blocking", found)
    overview(console, new_run(quick=True, one=found, other=found), "runs/2026")

    text = out.getvalue()
    assert "PASS (quick) loop_blocking" in text
    assert ["one", "PASS", "(quick)"] in [line.split() for line in text.splitlines()]
    assert "A quick run, of fewer blocks" in text


def test_the_question_is_shown_before_the_run(console: Console, out: io.StringIO) -> None:
    experiment = loop_blocking()

    with Terminal(console) as terminal:
        terminal.experiment("loop_blocking", experiment)

    text = " ".join(out.getvalue().split())
    assert " ".join(experiment.question.split()) in text
    assert "Predict before you look: " + " ".join(experiment.prediction.split()) in text


def test_without_a_terminal_each_step_is_a_line_of_its_own(
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
def test_a_table_that_is_too_wide_is_split_and_no_cell_is_cut(out: io.StringIO, width: int) -> None:
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
