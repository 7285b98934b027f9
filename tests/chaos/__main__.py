"""`python -m tests.chaos`: breaks the job tier at random, from a seed, and shows the outcome."""

import random
import shutil
from collections import Counter
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from offloop.commands.ending import explained
from offloop.errors import ExitCode
from offloop.load.percentiles import Percentiles
from offloop.stack import catalog
from offloop.stack.signals import interruptible
from tests.chaos.campaign import Outcome, run
from tests.chaos.customers import CALLBACKS
from tests.chaos.faults import Hit, Kind, Phase, Target, shortfalls
from tests.chaos.invariants import Harm
from tests.chaos.stage import open_stage
from tests.shop import ROOT


def _known_tier(tier: str) -> str:
    if tier not in catalog.TIERS:
        raise typer.BadParameter(f"{tier!r} is not one of {', '.join(catalog.TIERS)}")
    return tier


def chaos(
    *,
    seed: Annotated[int | None, typer.Option(help="Repeat a plan (default: any).")] = None,
    faults: Annotated[int, typer.Option(min=1, help="How many.")] = 200,
    tier: Annotated[
        str, typer.Option(callback=_known_tier, help="Module with the actors.")
    ] = catalog.STANDARD_TIER,
    redis_server: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Another broker: /usr/bin/redis-server."),
    ] = None,
) -> None:
    """Break the job tier at random, from a seed, and show what came of it.

    Ends with 1 if a promise was broken, or if the run proves too little.
    """
    if seed is None:
        seed = random.SystemRandom().randrange(10**6)
    console = Console(highlight=False)
    console.print(f"seed {seed}: {faults} faults on {tier}")
    logs = ROOT / ".offloop" / "chaos" / str(seed)
    shutil.rmtree(logs, ignore_errors=True)  # those of the same seed before
    with (
        interruptible(),
        explained(),
        Progress(console=console, transient=True) as progress,
        open_stage(logs, tier=tier, redis_server=redis_server) as stage,
    ):
        task = progress.add_task("faults", total=faults)

        def tell(hit: Hit) -> None:
            words = f"{hit.fault.kind} {hit.name} at {hit.phase}"
            progress.update(task, advance=1, description=words)

        # Other tiers make no callbacks.
        callbacks = CALLBACKS if tier == catalog.STANDARD_TIER else 0.0
        outcome = run(stage, seed, faults, tell, callbacks)
    console.print(_hits_table(outcome.hits))
    # The rest is in the journal.
    for line in [*_summary(outcome), *map(str, outcome.violations[:20])]:
        console.print(line, markup=False)
    too_little = shortfalls(outcome.hits)
    for words in too_little:
        console.print(f"This run proves too little: {words}.")
    if outcome.violations:
        console.print(
            f"{len(outcome.violations)} violations; logs and journal are in {logs}. The same "
            f"faults again: --seed {seed} --faults {faults}"
        )
    else:
        console.print("Nothing lost, nothing doubled, nothing half visible, nothing stuck.")
    raise typer.Exit(ExitCode.FAIL if outcome.violations or too_little else ExitCode.PASS)


def _hits_table(hits: Sequence[Hit]) -> Table:
    """Faults by phase, target and kind; in brackets those that hit a process with work in hand."""
    columns = tuple(product(Target, Kind))
    table = Table(title="faults (with work in hand)", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("phase", no_wrap=True)
    for target, kind in columns:
        table.add_column(f"{target}\n{kind}", justify="right")
    table.add_column("\nall", justify="right")
    rows = {phase.replace("_", " "): [hit for hit in hits if hit.phase is phase] for phase in Phase}
    for name, row in {**rows, "all": hits}.items():
        cells = ([h for h in row if (h.fault.target, h.fault.kind) == cell] for cell in columns)
        table.add_row(name, *map(_count, cells), _count(row), end_section=name == Phase.ANY)
    return table


def _count(hits: Sequence[Hit]) -> str:
    return f"{len(hits)} ({sum(hit.with_work for hit in hits)})" if hits else ""


def _summary(outcome: Outcome) -> list[str]:
    """Return the figures, one a line."""
    evidence = outcome.evidence
    statuses = [record.get("status") for record in evidence.records.values()]
    done, failed = statuses.count("done"), statuses.count("failed")
    share = sum(hit.with_work for hit in outcome.hits) / len(outcome.hits)
    times = Percentiles.of(outcome.recoveries_s)
    waits = f"p50 {times.p50:.1f} s, p95 {times.p95:.1f} s" if times else "never seen"
    # A job that came to harm in one way counts once, however many words there are for it.
    harmed = Counter(
        harm for harm, _ in {(v.harm, v.job_id or v.words) for v in outcome.violations}
    )
    return [
        f"{len(outcome.hits)} faults in {outcome.seconds:.0f} s, {share:.0%} with work in hand",
        f"{len(evidence.promised)} jobs promised: {done} done, {failed} given up",
        f"{len(evidence.deliveries)} callbacks delivered",
        f"slot killed -> job running again: {waits}",
        ", ".join(f"{harmed[harm]} {harm}" for harm in Harm),
    ]


if __name__ == "__main__":
    typer.run(chaos)
