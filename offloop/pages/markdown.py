"""Experiments and results as Markdown.

`python -m offloop.pages.markdown README.md` renews the README's tables: that of the experiments
from their files, that of results from the latest valid run; and the reference of measures,
`docs/measures.md`, from the catalogue.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from offloop.bench.experiment import experiment_files, load_experiment
from offloop.bench.results import RUN_FILE, Run
from offloop.measuring.catalogue import GROUPS, Kind
from offloop.measuring.verdicts import Verdict
from offloop.pages.table import shown
from offloop.project import project_root

_RESULT = re.compile(r"(<!-- result: (?P<slug>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
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

#: Of how many of the last runs it is said how many passed.
LAST_RUNS = 10


def experiment(run: Run, slug: str, earlier: Sequence[Run] = ()) -> str:
    """Render one experiment of a run: the arms, the verdict in words, and the machine.

    Args:
        run: The run that is shown.
        slug: The experiment.
        earlier: The last runs that had it, this one included.
    """
    result = run.experiments[slug]
    found = shown(result)
    machine = run.machine
    table = [
        f"| {' | '.join(found.headings)} |",
        f"| --- |{(' ---: |' if found.figures else ' --- |') * (len(found.headings) - 1)}",
        *(f"| {' | '.join(row)} |" for row in found.rows),
    ]
    verdict = f"**{result.verdict.value}**: {result.gain} {result.price}"
    passed = [each.experiments[slug].verdict for each in earlier].count(Verdict.PASS)
    runs = f" Of the last runs, {passed} of {len(earlier)} passed." if earlier else ""
    where = (
        f"<sub>{machine['processor']}, {machine['cores']} cores, Python {machine['python']}, "
        f"{run.started_at:%Y-%m-%d}, {run.wall_s:.0f} s.{runs}</sub>"
    )
    return "\n".join([*table, "", verdict, "", where])


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
    rows = ["| experiment | shows that | the rule |", "| --- | --- | --- |"]
    for slug, path in experiment_files(folder).items():
        found = load_experiment(path)
        rows.append(f"| [`{slug}`](docs/experiments/{slug}.md) | {found.title} | {found.rule} |")
    return "\n".join(rows)


def measures() -> str:
    """Render the catalogue of measures, a table for each kind of subject."""
    parts = []
    for subject, group in GROUPS.items():
        rows = [
            f"Of {subject}:",
            "",
            "| measure | what it is | unit | blocks combine as | better |",
        ]
        rows.append("| --- | --- | --- | --- | --- |")
        for measure in group:
            needs = f", from {measure.needs} values on" if measure.needs > 1 else ""
            rows.append(
                f"| `{measure.name}` | {measure.heading} | {measure.unit.value} | "
                f"{_COMBINED[measure.kind]}{needs} | {measure.better.value} |"
            )
        parts.append("\n".join(rows))
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
        valid = [
            run
            for run in earlier
            if run.experiments[match["slug"]].verdict is not Verdict.NO_VERDICT
        ]
        if not valid:
            return match[0]
        return f"{match[1]}{experiment(valid[0], match['slug'], earlier)}\n{match[3]}"

    return _RESULT.sub(renewed, text)


def main() -> None:
    """Renew the files named on the command line."""
    root = project_root()
    for name in sys.argv[1:]:
        path = Path(name)
        text = renew_experiments(path.read_text(), root / "loadtests" / "experiments")
        path.write_text(renew(renew_measures(text), root / "runs"))


if __name__ == "__main__":
    main()
