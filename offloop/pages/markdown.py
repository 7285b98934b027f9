"""Experiments and results as Markdown.

`python -m offloop.pages.markdown README.md` renews the README's tables: that of the experiments
from their files, that of results from the latest valid run; and the reference of measures,
`docs/measures.md`, from the catalogue.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from pydantic import ValidationError

from offloop.bench.experiment import experiment_files, load_experiment
from offloop.measuring.catalogue import GROUPS
from offloop.measuring.instruments.requests import HARMED_MS
from offloop.measuring.judging import conditions
from offloop.measuring.measure import Kind
from offloop.measuring.results import Run
from offloop.measuring.run_folder import RUN_FILE
from offloop.measuring.verdicts import Verdict
from offloop.pages.arms import blocks_said, rows
from offloop.pages.charts.timeline import timeline
from offloop.pages.raw import Raw
from offloop.project import project_root

_RESULT = re.compile(r"(<!-- result: (?P<slug>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_HEADLINE = re.compile(r"(<!-- headline: (?P<slug>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_MEASURES = re.compile(r"(<!-- measures -->\n).*?(<!-- end -->)", re.DOTALL)
_EXPERIMENTS = re.compile(r"(<!-- experiments -->\n).*?(<!-- end -->)", re.DOTALL)


#: How the blocks of a run combine to one value, in words.
_COMBINED = {
    Kind.PERCENTILE: "percentile of all values",
    Kind.SHARE: "share of all values",
    Kind.MAXIMUM: "largest",
    Kind.MINIMUM: "smallest",
    Kind.COUNT: "sum",
    Kind.LEVEL: "median",
}

#: The arms of the README's table, and its rows: the heading of a measure -> in words.
_SHOWN_ARMS = ("baseline", "naive", "fixed", "same_priority")
_SHOWN_ROWS = {
    "bystander p99": "the slowest ping in a hundred (p99)",
    "report ready p95, as clients saw it": "report ready after (p95)",
    "processes": "price: processes",
    "memory": "price: memory",
}

#: The two sides of the README's picture.
_SIDES = ("naive", "fixed")

_NUMBERS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}

#: Of how many of the last runs it is said how many passed.
LAST_RUNS = 10


def experiment(run: Run, slug: str, earlier: Sequence[Run] = ()) -> str:
    """Render one experiment of a run in a few rows: what clients wait, the price, the verdict.

    Args:
        run: The run that is shown.
        slug: The experiment.
        earlier: The last runs that had it, this one included.
    """
    result = run.experiments[slug]
    arms = [arm for arm in _SHOWN_ARMS if arm in result.arms]
    cells = dict(rows(result))
    every = list(result.arms)
    machine = run.machine
    passed = [each.experiments[slug].verdict for each in earlier].count(Verdict.PASS)
    runs = f" Of the last runs, {passed} of {len(earlier)} passed." if earlier else ""
    return "\n".join(
        [
            f"| {blocks_said(result)} | {' | '.join(arms)} |",
            f"| --- |{' ---: |' * len(arms)}",
            *(
                f"| {said} | {' | '.join(cells[heading][every.index(arm)] for arm in arms)} |"
                for heading, said in _SHOWN_ROWS.items()
                if heading in cells
            ),
            "",
            f"**{result.verdict.value}**: {result.gain} {result.price}",
            "",
            (
                f"<sub>{machine.processor}, {machine.cores} cores, Python {machine.python}, "
                f"{run.started_at:%Y-%m-%d}, {run.wall_s:.0f} s.{runs}</sub>"
            ),
        ]
    )


def headline(run: Run, slug: str, folder: Path, root: Path) -> str:
    """Render what a run shows in one sentence, and its picture, which is drawn into ``docs/img``.

    Args:
        run: The run.
        slug: The experiment, which has plain requests and one stream of reports.
        folder: Of the run.
        root: The checkout.
    """
    result = run.experiments[slug]
    stream = next(name for name, each in result.load["streams"].items() if "request" in each)
    calibrated = [each for block in result.calibrations for each in block.values()]
    run_s = median(each.run_s for each in calibrated)
    harmed = {arm: result.arms[arm].get(f"{stream}.harmed_share") or 0.0 for arm in _SIDES}
    lanes = Raw(folder, slug, result).lanes()
    chart = timeline({arm: lanes[arm] for arm in _SIDES if arm in lanes})
    picture = root / "docs" / "img" / f"{slug}.svg"
    picture.parent.mkdir(exist_ok=True)
    picture.write_text(chart.svg(standalone=True) + "\n", encoding="utf-8")
    return (
        f"**One {run_s:.1f} s report made {_share(harmed['naive'])} wait. With a worker: "
        f"{_share(harmed['fixed'])}.** ({conditions(result)}; a ping waits if it takes more than "
        f"{HARMED_MS:g} ms.)\n\n![{chart.says}](docs/img/{slug}.svg)"
    )


def _share(share: float) -> str:
    """Say a share of pings in words."""
    if share == 0:
        return "none"
    return f"one ping in {_NUMBERS.get(round(1 / share), f'{1 / share:,.0f}')}"


def runs_of(folder: Path, slug: str) -> list[Run]:
    """Return the last finished runs that had an experiment, newest first.

    Interrupted runs and quick ones are left out, and those of another version.
    """
    found = []
    for path in sorted(folder.glob(f"*/{RUN_FILE}"), reverse=True):
        if path.parent.is_symlink():
            continue
        try:
            run = Run.model_validate_json(path.read_text())
        except ValidationError:
            continue
        if not run.interrupted and not run.quick and slug in run.experiments:
            found.append(run)
    return found[:LAST_RUNS]


def experiments(folder: Path) -> str:
    """Render the table of all experiments of a folder, each with a link to its page."""
    lines = ["| experiment | shows that | the rule |", "| --- | --- | --- |"]
    for slug, path in experiment_files(folder).items():
        found = load_experiment(path)
        lines.append(f"| [`{slug}`](docs/experiments/{slug}.md) | {found.title} | {found.rule} |")
    return "\n".join(lines)


def measures() -> str:
    """Render the catalogue of measures, a table for each kind of subject."""
    parts = []
    for subject, group in GROUPS.items():
        lines = [
            f"Of {subject}:",
            "",
            "| measure | what it is | unit | blocks combine as | better |",
        ]
        lines.append("| --- | --- | --- | --- | --- |")
        for measure in group:
            needs = f", from {measure.needs} values on" if measure.needs > 1 else ""
            lines.append(
                f"| `{measure.name}` | {measure.heading} | {measure.unit.value} | "
                f"{_COMBINED[measure.kind]}{needs} | {measure.better.value} |"
            )
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def renew_measures(text: str) -> str:
    """Replace what stands between ``<!-- measures -->`` and ``<!-- end -->``."""
    return _MEASURES.sub(lambda match: f"{match[1]}{measures()}\n{match[2]}", text)


def renew_experiments(text: str, folder: Path) -> str:
    """Replace what stands between ``<!-- experiments -->`` and ``<!-- end -->``.

    Raises:
        ExperimentError: one of the files is wrong.
    """
    return _EXPERIMENTS.sub(lambda match: f"{match[1]}{experiments(folder)}\n{match[2]}", text)


def renew(text: str, runs: Path) -> str:
    """Replace what stands between ``<!-- result: SLUG -->`` and ``<!-- end -->``.

    By the latest run that was valid, whether it passed or failed. Where there is none, it stays.
    """

    def renewed(match: re.Match[str]) -> str:
        earlier = runs_of(runs, match["slug"])
        valid = _valid(earlier, match["slug"])
        if valid is None:
            return match[0]
        return f"{match[1]}{experiment(valid, match['slug'], earlier)}\n{match[3]}"

    return _RESULT.sub(renewed, text)


def renew_headline(text: str, runs: Path, root: Path) -> str:
    """Replace what stands between ``<!-- headline: SLUG -->`` and ``<!-- end -->``, likewise."""

    def renewed(match: re.Match[str]) -> str:
        valid = _valid(runs_of(runs, match["slug"]), match["slug"])
        if valid is None:
            return match[0]
        folder = runs / f"{valid.started_at:%Y-%m-%dT%H-%M-%S}"
        return f"{match[1]}{headline(valid, match['slug'], folder, root)}\n{match[3]}"

    return _HEADLINE.sub(renewed, text)


def _valid(runs: Sequence[Run], slug: str) -> Run | None:
    """Return the latest valid run; None where there is none."""
    valid = (run for run in runs if run.experiments[slug].verdict is not Verdict.NO_VERDICT)
    return next(valid, None)


def main() -> None:
    """Renew the files named on the command line."""
    root = project_root()
    for name in sys.argv[1:]:
        path = Path(name)
        text = renew_experiments(path.read_text(), root / "loadtests" / "experiments")
        runs = root / "runs"
        path.write_text(renew_headline(renew(renew_measures(text), runs), runs, root))


if __name__ == "__main__":
    main()
