"""The terminal: how a run is going, and what it found."""

import time
from collections.abc import Iterable, Iterator
from textwrap import fill
from types import TracebackType
from typing import Literal, Self

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.status import Status
from rich.table import Table

from offloop.bench.question import Question
from offloop.bench.results import ExperimentResult, Run
from offloop.bench.verdicts import Judged, Verdict
from offloop.load.protocol import Progress
from offloop.pages.arms import rows
from offloop.pages.table import Shown, shown

#: Characters between two columns.
_BETWEEN = 3

_STYLES = {Verdict.PASS: "bold green", Verdict.FAIL: "bold red", Verdict.NO_VERDICT: "bold yellow"}
_WORDS = {Verdict.PASS: "PASS", Verdict.FAIL: "FAIL", Verdict.NO_VERDICT: "NO VERDICT"}


class Terminal:
    """Shows a run as it goes; a live line on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        self._step = ""
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            # To draw it takes the processor from what is measured.
            self._status = self._console.status("", refresh_per_second=1)
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def experiment(self, slug: str, experiment: Question) -> None:
        """Put the question, and ask for a prediction."""
        self._console.print()
        self._console.print(f"[bold]{slug}[/bold]  {escape(experiment.title)}", highlight=False)
        self._console.print(f"  {escape(experiment.question.strip())}", highlight=False)
        self._console.print(
            f"  [italic]Predict before you look:[/italic] {escape(experiment.prediction.strip())}",
            highlight=False,
        )

    def step(self, text: str) -> None:
        """Say what is being done now."""
        self._step = text
        seconds = time.monotonic() - self._began
        if self._status is not None:
            self._status.update(f"[dim]{seconds:4.0f} s[/dim]  {escape(text)}")
        else:
            self._console.print(f"  {seconds:4.0f} s  {escape(text)}", highlight=False)

    def predicted(self, result: ExperimentResult) -> None:
        """Show what theory says, before anything could be fitted to it."""
        if result.predicted:
            said = "; ".join(f"{heading} {cells[-1]}" for heading, cells in rows(result))
            self._console.print(
                f"  Predicted, before the load begins: {escape(said)}", highlight=False
            )

    def progress(self, progress: Progress) -> None:
        """Show how far the load is."""
        if self._status is not None:
            seconds = time.monotonic() - self._began
            self._status.update(
                f"[dim]{seconds:4.0f} s[/dim]  {escape(self._step)}: "
                f"{progress.sent:,} of {progress.total:,} requests sent, "
                f"{progress.answered:,} answered"
            )

    def result(self, slug: str, result: ExperimentResult) -> None:
        """Show what an experiment found."""
        self._console.print()
        for table in _arms(result, self._console.width):
            self._console.print(table)
        self._console.print(_limits("expectation", result.expectations))
        if result.verdict is Verdict.NO_VERDICT:
            missing = [judged for judged in result.expectations if judged.ok is None]
            doubts = [judged for judged in result.validity if judged.ok is not True]
            self._console.print(_limits("why there is no verdict", missing + doubts))
        for guilty in result.evidence:
            self._console.print(
                f"  {guilty.arm}: {guilty.process} spent {guilty.share:.0%} of its time in "
                f"[bold]{escape(guilty.function)}[/bold] ({escape(guilty.file)}:{guilty.line})",
                highlight=False,
            )
        if result.evidence_missing:
            self._console.print(f"  No evidence: {escape(result.evidence_missing)}")
        style = _STYLES[result.verdict]
        doubt = "Not to be relied on: " if result.verdict is Verdict.NO_VERDICT else ""
        self._console.print(
            Panel(
                f"{doubt}{escape(result.gain)}\n[dim]The price:[/dim] {escape(result.price)}",
                title=f"[{style}]{_WORDS[result.verdict]}[/{style}] {slug}",
                title_align="left",
                border_style=style.split()[-1],
            )
        )


def _arms(result: ExperimentResult, width: int) -> Iterator[Table]:
    """What was measured; of words there are many columns, in as many tables as the width asks for.

    Each begins with the column that names the rows, and its cells stay whole.
    """
    found = shown(result)
    side: Literal["right", "left"] = "right" if found.figures else "left"
    several = [range(1, len(found.headings))] if found.figures else _fitting(found, width)
    for columns in several:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in (0, *columns):
            heading = found.headings[column]
            if not found.figures:
                # The table would fold it, too, and take the room for that from others' cells.
                heading = fill(heading, _widest(found, column))
            table.add_column(escape(heading), justify=side if column else "left", overflow="fold")
        for row in found.rows:
            table.add_row(escape(row[0]), *(escape(row[column]) for column in columns))
        yield table


def _fitting(found: Shown, width: int) -> list[range]:
    """Divide the columns after the first into runs that fit beside it."""
    runs, begin, left = list[range](), 1, width
    for column in range(1, len(found.headings)):
        needed = _widest(found, column) + _BETWEEN
        if column > begin and needed > left:
            runs.append(range(begin, column))
            begin, left = column, width
        if column == begin:
            left = width - _widest(found, 0) - _BETWEEN
        left -= needed
    return [*runs, range(begin, len(found.headings))]


def _widest(found: Shown, column: int) -> int:
    """Return the characters of a column's longest cell; its heading may be folded at spaces."""
    heading = found.headings[column].split()
    return max(map(len, [*heading, *(row[column] for row in found.rows)]))


def _limits(title: str, judgements: Iterable[Judged]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(title)
    table.add_column("observed", justify="right")
    table.add_column("limit", justify="right")
    table.add_column("")
    words = {
        True: "[green]ok[/green]",
        False: "[red]broken[/red]",
        None: "[yellow]missing[/yellow]",
    }
    for judged in judgements:
        observed = "" if judged.observed is None else f"{judged.observed:,.2f}"
        table.add_row(
            escape(judged.says), observed, f"{judged.op} {judged.limit:g}", words[judged.ok]
        )
    return table


def overview(console: Console, run: Run, folder: str) -> None:
    """Show all verdicts of a run, and where its data is."""
    if len(run.experiments) > 1:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("experiment")
        table.add_column("verdict")
        for slug, result in run.experiments.items():
            style = _STYLES[result.verdict]
            table.add_row(slug, f"[{style}]{_WORDS[result.verdict]}[/{style}]")
        console.print(table)
    machine = run.machine
    console.print(
        f"  {machine['processor']}, {machine['cores']} cores, Python {machine['python']}; "
        f"{run.wall_s:.0f} s, seed {run.seed}; everything is in {folder}",
        highlight=False,
    )
