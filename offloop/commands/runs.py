"""`offloop runs`, `offloop show` and `offloop compare`: earlier runs."""

import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich import box
from rich.console import Console
from rich.table import Table

from offloop.commands.ending import explained
from offloop.errors import OffloopError
from offloop.measuring.results import ExperimentResult, Run
from offloop.measuring.run_folder import RUN_FILE
from offloop.measuring.verdicts import Judged
from offloop.pages.limits import fate, observed
from offloop.pages.results_page import PAGE_FILE, WORDS, results_page
from offloop.pages.terminal import Terminal, overview
from offloop.project import project_root

_LATEST = "latest"


class NoRunError(OffloopError):
    """There is no such run, or it cannot be read."""


def runs() -> None:
    """List the runs of this checkout, newest first.

    Examples: `offloop runs`; then `offloop show 2026-01-02T03-04-05 --open`.
    """
    with explained():
        folder = project_root() / "runs"
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in ("run", "verdict", "experiments", "took"):
            table.add_column(heading)
        for path in _folders(folder):
            try:
                run = _read(path)
            except NoRunError:
                table.add_row(path.name, "", "of another version, or cut short", "")
                continue
            notes = " (quick)" * run.quick + " (interrupted)" * run.interrupted
            table.add_row(
                path.name,
                f"{WORDS[run.verdict]}{notes}",
                ", ".join(run.experiments) or "none",
                f"{run.wall_s:.0f} s",
            )
        if not table.rows:
            raise NoRunError(f"There is no run in {folder} yet. Make one with `offloop bench`.")
        Console().print(table)


def show(
    run: Annotated[str, typer.Argument(help="A run: its folder, its name, or `latest`.")] = _LATEST,
    *,
    open_page: Annotated[
        bool, typer.Option("--open", help="Open the page of the run in a browser.")
    ] = False,
) -> None:
    """Show what a run found, and where its page is.

    Examples: `offloop show`; `offloop show 2026-01-02T03-04-05 --open`.
    """
    with explained():
        root = project_root()
        folder = _find(root / "runs", run)
        found = _read(folder)
        console = Console()
        terminal = Terminal(console, quick=found.quick)
        for slug, result in found.experiments.items():
            terminal.result(slug, result)
        overview(console, found, str(folder.relative_to(root)))
        page = folder / PAGE_FILE
        if not page.exists():
            page.write_text(results_page(found, folder, root), encoding="utf-8")
        console.print(f"  Its page: {page}", soft_wrap=True, highlight=False)
        if open_page:
            webbrowser.open(page.as_uri())


def compare(
    before: Annotated[str, typer.Argument(help="A run, as in `offloop show`.")],
    after: Annotated[str, typer.Argument(help="Another one.")] = _LATEST,
) -> None:
    """Show the judged figures of two runs beside each other.

    The figures of one run are ratios within it, so they can be compared even if the machine was
    faster in the other. What differs between the runs is listed.

    Examples: `offloop compare 2026-01-02T03-04-05`; `offloop compare RUN RUN`.
    """
    with explained():
        folder = project_root() / "runs"
        one, other = (_read(_find(folder, name)) for name in (before, after))
        shared = [slug for slug in one.experiments if slug in other.experiments]
        if not shared:
            raise NoRunError(
                f"The runs have no experiment in common: {', '.join(one.experiments)} and "
                f"{', '.join(other.experiments)}."
            )
        console = Console()
        for difference in _differences(one, other, shared):
            console.print(f"  [yellow]They differ:[/] {difference}", highlight=False)
        for slug in shared:
            console.print(_table(slug, one.experiments[slug], other.experiments[slug]))


def _differences(one: Run, other: Run, shared: list[str]) -> Iterator[str]:
    if one.machine != other.machine:
        yield f"the machine ({one.machine.processor} and {other.machine.processor})"
    for package in one.versions:
        versions = one.versions[package], other.versions.get(package)
        if versions[0] != versions[1]:
            yield f"{package} {versions[0]} and {versions[1]}"
    if one.git.commit != other.git.commit:
        yield f"the commit ({one.git.commit} and {other.git.commit})"
    if one.quick != other.quick:
        yield "one is a quick run, of fewer blocks"
    for slug in shared:
        if one.experiments[slug].load != other.experiments[slug].load:
            yield f"the load of {slug}"
        if one.experiments[slug].settings != other.experiments[slug].settings:
            yield f"the settings of the arms of {slug}"


def _table(slug: str, one: ExperimentResult, other: ExperimentResult) -> Table:
    table = Table(title=slug, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("expectation", "first run", "second run", "limit"):
        table.add_column(heading)
    second = {judged.id: judged for judged in other.expectations}
    for judged in one.expectations:
        table.add_row(
            judged.says,
            _cell(judged),
            _cell(second[judged.id]) if judged.id in second else "",
            f"{judged.op} {judged.limit:g}",
        )
    return table


def _cell(judged: Judged) -> str:
    return " ".join([*observed(judged)[:2], fate(judged)])


def _folders(folder: Path) -> list[Path]:
    found = [path for path in folder.glob("*") if path.is_dir() and not path.is_symlink()]
    return sorted(found, reverse=True)


def _find(folder: Path, name: str) -> Path:
    """Return the folder of a run.

    Raises:
        NoRunError: there is none.
    """
    for path in (folder / name, Path(name)):
        if (path / RUN_FILE).exists():
            return path.resolve()
    newest = ", ".join(path.name for path in _folders(folder)[:3]) or "none"
    raise NoRunError(
        f"There is no run {name!r} in {folder}. The newest are {newest}; `offloop runs` lists all."
    )


def _read(folder: Path) -> Run:
    """Return what a run found.

    Raises:
        NoRunError: it cannot be read.
    """
    path = folder / RUN_FILE
    try:
        return Run.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise NoRunError(
            f"{path} is of another version, or was cut short. Repeat the run with `offloop bench`."
        ) from error
