"""`offloop bench` and `offloop list`."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from offloop.bench.burst.experiment import BurstExperiment
from offloop.bench.burst.runner import BurstRun
from offloop.bench.experiment import (
    AnyExperiment,
    experiment_files,
    find_experiments,
    load_experiment,
)
from offloop.bench.options import QUICK_BLOCKS, Options, Reporter
from offloop.bench.question import BLOCKS, ExperimentError
from offloop.bench.quick import judged_only, with_longer_blocks
from offloop.bench.runner import ExperimentRun
from offloop.commands.ending import explained
from offloop.errors import ExitCode
from offloop.machine import git, machine, versions
from offloop.measuring.blocks import MachineBusyError
from offloop.measuring.results import Run
from offloop.measuring.run_folder import RunFolder
from offloop.measuring.verdicts import Verdict, run_verdict
from offloop.pages.junit import junit
from offloop.pages.results_page import PAGE_FILE, results_page
from offloop.pages.summary import summary
from offloop.pages.terminal import Terminal, overview
from offloop.project import project_root
from offloop.stack.signals import held, interruptible


class IfBusy(StrEnum):
    """What to do where the machine does not become quiet."""

    GO_ON = "go-on"
    STOP = "stop"


_EXIT_CODES = {
    Verdict.PASS: ExitCode.PASS,
    Verdict.FAIL: ExitCode.FAIL,
    Verdict.NO_VERDICT: ExitCode.NO_VERDICT,
}


def bench(  # noqa: PLR0913 - one parameter for each option of the command
    slugs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SLUG",
            help="Experiments; see `offloop list`. Without any: the headline ones.",
            show_default=False,
        ),
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Run every experiment.")] = False,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help=f"Only {QUICK_BLOCKS} blocks: a look, not a measurement. With --all, also without "
            "what is only shown: evidence, and arms that are not judged.",
        ),
    ] = False,
    blocks: Annotated[
        int | None,
        typer.Option(
            min=QUICK_BLOCKS,
            help="Passes over all arms; more are steadier. By default what the experiment says, "
            f"or {BLOCKS}; more in place of disturbed ones, and where nothing is decided yet.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same arrivals.")] = 1,
    if_busy: Annotated[
        IfBusy,
        typer.Option(
            help="Where other programs have more than 5% of the machine, and it does not become "
            "quiet in 20 s: `go-on` (what they disturb is discarded and repeated, within limits), "
            "or `stop` with exit code 3."
        ),
    ] = IfBusy.GO_ON,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show every measure of every arm.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print run.json to standard output, talk on stderr.")
    ] = False,
    junit_file: Annotated[
        Path | None,
        typer.Option("--junit", metavar="FILE", help="Write the verdicts as JUnit XML, for CI."),
    ] = None,
    summary_file: Annotated[
        Path | None,
        typer.Option(
            "--summary",
            metavar="FILE",
            envvar="GITHUB_STEP_SUMMARY",
            help="Append the verdicts to a Markdown file, for CI.",
        ),
    ] = None,
) -> None:
    """Run both sides of experiments under identical load and give a verdict.

    Examples: `offloop bench`; `offloop bench loop_blocking --verbose`;
    `offloop bench --all --quick`.

    Exit codes: 0 pass, 1 fail, 2 usage or tool error, 3 no verdict (the measurement was not
    valid, and says why), 130 interrupted. Results are in runs/latest.
    """
    if slugs and everything:
        raise typer.BadParameter("name experiments, or say --all, not both", param_hint="--all")
    console = Console(stderr=json)
    with explained(), interruptible():
        root = project_root()
        folder = root / "loadtests" / "experiments"
        experiments = _wanted(folder, tuple(slugs or ()), everything=everything)
        if quick:
            experiments = {slug: with_longer_blocks(each) for slug, each in experiments.items()}
        if quick and everything:
            experiments = {slug: judged_only(each) for slug, each in experiments.items()}
        options = Options(
            blocks or (QUICK_BLOCKS if quick else None),
            seed,
            stop_if_busy=if_busy is IfBusy.STOP,
            quick=quick,
        )
        # Fewer blocks than an experiment plans are a look as well.
        look = quick or any((blocks or each.blocks) < each.blocks for each in experiments.values())
        run = _new_run(root, seed, quick=look)
        run_folder = RunFolder(root / "runs", run)
        where = str(run_folder.path.relative_to(root))
        try:
            with Terminal(console, quick=look, verbose=verbose) as terminal:
                _run_all(experiments, options, root, run_folder, run, terminal)
        except KeyboardInterrupt:
            console.print(f"What was measured so far is in {where}, marked as interrupted.")
            raise
        except MachineBusyError as error:
            console.print(f"No verdict: {error} What was measured so far is in {where}.")
        page = run_folder.path / PAGE_FILE
        page.write_text(results_page(run, run_folder.path, root), encoding="utf-8")
        overview(console, run, where)
        if junit_file is not None:
            junit_file.write_text(junit(run), encoding="utf-8")
        if summary_file is not None:
            with summary_file.open("a", encoding="utf-8") as file:
                file.write(summary(run))
        if json:
            typer.echo(run.model_dump_json(indent=2))
    raise typer.Exit(_EXIT_CODES[run.verdict])


def _wanted(folder: Path, slugs: tuple[str, ...], *, everything: bool) -> dict[str, AnyExperiment]:
    found = find_experiments(folder, slugs or tuple(experiment_files(folder)))
    if slugs or everything:
        return found
    headline = {slug: experiment for slug, experiment in found.items() if experiment.headline}
    if not headline:
        raise ExperimentError(
            "No experiment says `headline = true`, so name those to run: see `offloop list`."
        )
    return headline


def _new_run(root: Path, seed: int, *, quick: bool) -> Run:
    return Run(
        started_at=datetime.now(UTC),
        machine=machine(),
        versions=versions(),
        git=git(root),
        seed=seed,
        quick=quick,
    )


def _run_all(  # noqa: PLR0913 - everything that a run is made of
    experiments: dict[str, AnyExperiment],
    options: Options,
    root: Path,
    folder: RunFolder,
    run: Run,
    reporter: Reporter,
) -> None:
    try:
        for slug, experiment in experiments.items():
            reporter.experiment(slug, experiment)
            one = _prepared(slug, experiment, root, folder, reporter)
            run.experiments[slug] = one.result
            try:
                one.run(options)
            except Exception as error:
                one.result.error = str(error)
                raise
            reporter.result(slug, one.result)
    except KeyboardInterrupt:
        run.interrupted = True
        raise
    finally:
        # Also what an interrupted or broken run has measured so far is worth keeping.
        with held():
            run.verdict = run_verdict([result.verdict for result in run.experiments.values()])
            folder.finish()


def _prepared(
    slug: str, experiment: AnyExperiment, root: Path, folder: RunFolder, reporter: Reporter
) -> ExperimentRun | BurstRun:
    if isinstance(experiment, BurstExperiment):
        return BurstRun(slug, experiment, root, folder, reporter)
    return ExperimentRun(slug, experiment, root, folder, reporter)


def list_experiments() -> None:
    """List the experiments.

    Example: `offloop list`.
    """
    with explained():
        folder = project_root() / "loadtests" / "experiments"
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in ("experiment", "shows that", "rule", "headline"):
            table.add_column(heading)
        for slug, path in experiment_files(folder).items():
            experiment = load_experiment(path)
            marked = "yes" if experiment.headline else ""
            table.add_row(slug, experiment.title, experiment.rule, marked)
        console = Console()
        console.print(table)
        console.print(
            "Run one with `offloop bench EXPERIMENT`, the headline ones with `offloop bench`, "
            "or all with `offloop bench --all`."
        )
