"""`python -m tests.chaos`: breaks the job tier at random, from a seed, and says what came of it."""

import argparse
import random
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from offloop.stack import catalog
from tests.chaos.campaign import Hit, Outcome, run
from tests.chaos.catalogue import work_out
from tests.chaos.coverage import shortfalls
from tests.chaos.invariants import Expected
from tests.chaos.load import CALLBACKS
from tests.chaos.stage import open_stage
from tests.chaos.tables import hits_table, summary
from tests.shop import ROOT

_SHOWN = 20


def main(argv: Sequence[str] | None = None) -> int:
    """Run one campaign; return 1 if a promise was broken, or the run proves too little."""
    arguments = _parser().parse_args(argv)
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(10**6)
    console = Console()
    console.print(f"seed {seed}: {arguments.faults} faults on {arguments.tier}")
    with tempfile.TemporaryDirectory() as folder:
        expected = work_out(Path(folder))
    logs = ROOT / ".offloop" / "chaos" / str(seed)
    shutil.rmtree(logs, ignore_errors=True)  # those of the same seed before
    outcome = _campaign(arguments, seed, logs, expected, console)
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
        return 1 if short else 0
    console.print(
        f"{len(outcome.violations)} violations; logs and journal are in {logs}. The same faults "
        f"again: --seed {seed} --faults {arguments.faults}",
        highlight=False,
    )
    return 1


def _campaign(
    arguments: argparse.Namespace,
    seed: int,
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
        return run(stage, seed, arguments.faults, tell, callbacks=callbacks)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="repeat a plan (default: any)")
    parser.add_argument("--faults", type=int, default=200, help="how many (default: %(default)s)")
    parser.add_argument(
        "--tier", default=catalog.STANDARD_TIER, help="module with the actors (%(default)s)"
    )
    parser.add_argument(
        "--redis-server", type=Path, help="another broker to run, such as /usr/bin/redis-server"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
