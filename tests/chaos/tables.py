"""What a campaign came to, for people."""

from collections import Counter
from collections.abc import Sequence
from itertools import product
from statistics import quantiles

from rich import box
from rich.table import Table

from tests.chaos.campaign import Hit, Outcome
from tests.chaos.faults import Kind, Phase, Target
from tests.chaos.invariants import harms, honest_failures

#: Columns: a target and a kind each.
_COLUMNS = tuple(product(Target, Kind))


def hits_table(hits: Sequence[Hit]) -> Table:
    """Faults by when they hit and what; in brackets those that hit a process with work in hand."""
    table = Table(title="faults (with work in hand)", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("phase", no_wrap=True)
    for target, kind in _COLUMNS:
        table.add_column(f"{target}\n{kind}", justify="right")
    table.add_column("\nall", justify="right")
    for phase in Phase:
        words = phase.replace("_", " ")
        table.add_row(words, *_cells([hit for hit in hits if hit.phase is phase]))
    table.add_section()
    table.add_row("all", *_cells(hits))
    return table


def summary(outcome: Outcome) -> list[str]:
    """The figures, one a line."""
    statuses = Counter(record.get("status") for record in outcome.evidence.records.values())
    with_work = sum(hit.with_work for hit in outcome.hits)
    harmed = harms(outcome.violations)
    hits = outcome.hits
    promised = {promise.job_id for promise in outcome.evidence.promises}
    every = [recovery.seconds for recovery in outcome.recoveries]
    alone = [recovery.seconds for recovery in outcome.recoveries if not recovery.disturbed]
    share = with_work / max(len(hits), 1)
    jobs = f"{statuses['done']} done, {honest_failures(outcome.evidence)} failed honestly"
    return [
        f"{len(hits)} faults in {outcome.seconds:.0f} s, {share:.0%} with work in hand",
        f"{len(promised)} jobs promised: {jobs}",
        f"{len(outcome.evidence.deliveries)} callbacks delivered",
        _recovery("slot killed -> job running again", every),
        _recovery("the same where nothing else was broken", alone),
        ", ".join(f"{number} {harm}" for harm, number in harmed.items()),
    ]


def _cells(hits: Sequence[Hit]) -> list[str]:
    columns = (
        [hit for hit in hits if (hit.fault.target, hit.fault.kind) == column] for column in _COLUMNS
    )
    return [*map(_cell, columns), _cell(hits)]


def _cell(hits: Sequence[Hit]) -> str:
    return f"{len(hits)} ({sum(hit.with_work for hit in hits)})" if hits else ""


def _recovery(what: str, seconds: Sequence[float]) -> str:
    if len(seconds) < 2:
        return f"{what}: {len(seconds)} measured, too few"
    cuts = quantiles(seconds, n=20, method="inclusive")
    return f"{what}: p50 {cuts[9]:.1f} s, p95 {cuts[18]:.1f} s, of {len(seconds)}"
