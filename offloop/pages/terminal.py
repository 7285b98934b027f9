"""The terminal: how a run is going, and what it found."""

import time
from collections.abc import Iterable, Iterator
from math import inf
from textwrap import fill
from types import TracebackType
from typing import Literal, Self

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.status import Status as LiveLine
from rich.table import Table

from offloop.bench.evidence import said
from offloop.bench.question import Question
from offloop.load.protocol import Progress
from offloop.measuring.catalogue import measure_named
from offloop.measuring.results import ExperimentResult, Noise, Run
from offloop.measuring.verdicts import Judged, Verdict
from offloop.measuring.wording import value_said
from offloop.pages.limits import fate, observed
from offloop.pages.table import Shown, shown

#: Characters between two columns.
_BETWEEN = 3

_STYLES = {Verdict.PASS: "bold green", Verdict.FAIL: "bold red", Verdict.NO_VERDICT: "bold yellow"}
_WORDS = {Verdict.PASS: "PASS", Verdict.FAIL: "FAIL", Verdict.NO_VERDICT: "NO VERDICT"}


#: The colour of what became of a limit.
_FATES = {True: "green", False: "red", None: "yellow"}


class Terminal:
    """Shows a run as it goes; a live line on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console, *, quick: bool = False, verbose: bool = False) -> None:
        self._console = console
        self._quick = quick
        self._verbose = verbose
        self._status: LiveLine | None = None
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
        for source, values in result.before_load.items():
            said = "; ".join(
                f"{name} {value_said(inf if value is None else value, measure_named(name))}"
                for name, value in values.items()
                if measure_named(name).shown
            )
            self._console.print(
                f"  {source.capitalize()}, before the load begins: {escape(said)}", highlight=False
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
        # An experiment's own table is what it is about; else it is every measure there is.
        if self._verbose or result.table is not None:
            for table in _arms(result, self._console.width):
                self._console.print(table)
        kept = [] if self._verbose else [each for each in result.expectations if _is_kept(each)]
        judged = [each for each in result.expectations if each not in kept]
        self._console.print(_limits("expectation", judged))
        if kept:
            self._console.print(
                f"  {len(kept)} promises were kept in every run: no job lost, no request of a cure "
                "failed, and the like.",
                highlight=False,
            )
        if result.verdict is Verdict.NO_VERDICT:
            missing = [judged for judged in result.expectations if judged.ok is None]
            doubts = [judged for judged in result.validity if judged.ok is not True]
            self._console.print(_limits("why there is no verdict", missing + doubts))
            for noise in _largest(result.noise):
                taken = ", ".join(noise.taken_by) or "no process can be named"
                self._console.print(
                    f"  {escape(noise.step)}: {noise.taken_share:.0%} of the machine was taken: "
                    f"{escape(taken)}",
                    highlight=False,
                )
        for guilty in result.evidence:
            self._console.print(f"  {escape(said(guilty))}", highlight=False)
        if result.evidence_missing:
            self._console.print(f"  No evidence: {escape(result.evidence_missing)}")
        style = _STYLES[result.verdict]
        quick = " (quick)" if self._quick else ""
        doubt = "Not to be relied on: " if result.verdict is Verdict.NO_VERDICT else ""
        self._console.print(
            Panel(
                f"{doubt}{escape(result.gain)}\n[dim]The price:[/dim] {escape(result.price)}",
                title=f"[{style}]{_WORDS[result.verdict]}{quick}[/{style}] {slug}",
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
                # The table would fold it, too, but take the room for it from the other columns.
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


def _is_kept(judged: Judged) -> bool:
    return judged.promise and judged.ok is True


def _limits(title: str, judgements: Iterable[Judged]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(title)
    table.add_column("observed (95% interval)", justify="right")
    table.add_column("limit", justify="right")
    table.add_column("")
    for judged in judgements:
        table.add_row(
            escape(judged.says),
            "\n".join(observed(judged)),
            f"{judged.op} {judged.limit:g}",
            f"[{_FATES[judged.ok]}]{fate(judged)}[/]",
        )
    return table


def _largest(noise: Iterable[Noise]) -> list[Noise]:
    """Return the three moments at which most of the machine was taken."""
    return sorted(noise, key=lambda each: each.taken_share, reverse=True)[:3]


def overview(console: Console, run: Run, folder: str) -> None:
    """Show all verdicts of a run, and where its data is."""
    if run.quick:
        console.print(
            f"  A quick run, of fewer blocks: {_WORDS[run.verdict]} is what a look says, not a "
            "measurement.",
            highlight=False,
        )
    if len(run.experiments) > 1:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("experiment")
        table.add_column("verdict")
        for slug, result in run.experiments.items():
            style = _STYLES[result.verdict]
            quick = " (quick)" if run.quick else ""
            table.add_row(slug, f"[{style}]{_WORDS[result.verdict]}{quick}[/{style}]")
        console.print(table)
    machine = run.machine
    console.print(
        f"  {machine.processor}, {machine.cores} cores, Python {machine.python}; "
        f"{run.wall_s:.0f} s, seed {run.seed}; everything is in {folder}",
        highlight=False,
    )
