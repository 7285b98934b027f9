"""`python -m tests.chaos`: breaks the job tier at random, from a seed, and says what came of it."""

import random
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from offloop.commands.ending import explained
from offloop.errors import ExitCode
from offloop.stack import catalog
from offloop.stack.signals import interruptible
from tests.chaos.campaign import Hit, Outcome, run
from tests.chaos.catalogue import work_out
from tests.chaos.coverage import shortfalls
from tests.chaos.invariants import Expected
from tests.chaos.load import CALLBACKS
from tests.chaos.stage import open_stage
from tests.chaos.tables import hits_table, summary
from tests.shop import ROOT

_SHOWN = 20


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
        typer.Option(
            exists=True, dir_okay=False, help="Another broker to run: /usr/bin/redis-server."
        ),
    ] = None,
) -> None:
    """Break the job tier at random, from a seed, and say what came of it.

    Ends with 1 if a promise was broken, or if the run proves too little.
    """
    if seed is None:
        seed = random.SystemRandom().randrange(10**6)
    with interruptible(), explained():
        kept = _kept(_Campaign(seed, faults, tier, redis_server))
    raise typer.Exit(ExitCode.PASS if kept else ExitCode.FAIL)


@dataclass(frozen=True)
class _Campaign:
    seed: int
    faults: int
    tier: str
    redis_server: Path | None


def _kept(arguments: _Campaign) -> bool:
    """Run one campaign and show it; whether every promise was kept, and the run proves it."""
    console = Console()
    console.print(f"seed {arguments.seed}: {arguments.faults} faults on {arguments.tier}")
    with tempfile.TemporaryDirectory() as folder:
        expected = work_out(Path(folder))
    logs = ROOT / ".offloop" / "chaos" / str(arguments.seed)
    shutil.rmtree(logs, ignore_errors=True)  # those of the same seed before
    outcome = _campaign(arguments, logs, expected, console)
    console.print(hits_table(outcome.hits))
    for line in summary(outcome):
        console.print(line, highlight=False)
    for violation in outcome.violations[:_SHOWN]:
        console.print(f"  {violation}", highlight=False, markup=False)
    short = shortfalls(outcome.hits)
    for words in short:
        console.print(f"This run proves too little: {words}.", highlight=False)
    if not outcome.violations:
        console.print("Nothing lost, nothing doubled, nothing half visible, nothing stuck.")
        return not short
    console.print(
        f"{len(outcome.violations)} violations; logs and journal are in {logs}. The same faults "
        f"again: --seed {arguments.seed} --faults {arguments.faults}",
        highlight=False,
    )
    return False


def _campaign(
    arguments: _Campaign,
    logs: Path,
    expected: Mapping[str, Expected],
    console: Console,
) -> Outcome:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with (
        Progress(*columns, console=console, transient=True) as progress,
        open_stage(
            logs, expected, tier=arguments.tier, redis_server=arguments.redis_server
        ) as stage,
    ):
        task = progress.add_task("faults", total=arguments.faults)

        def tell(hit: Hit) -> None:
            words = f"{hit.fault.kind} {hit.name} at {hit.phase}"
            progress.update(task, advance=1, description=words)

        # Other tiers make none, and are not to be blamed for those that do not arrive.
        callbacks = CALLBACKS if arguments.tier == catalog.STANDARD_TIER else 0.0
        return run(stage, arguments.seed, arguments.faults, tell, callbacks=callbacks)


if __name__ == "__main__":
    typer.run(chaos)
