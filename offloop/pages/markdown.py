"""Experiments and results as Markdown.

`python -m offloop.pages.markdown README.md` renews the README's tables: that of the experiments
from their files, that of results from the latest run.
"""

import re
import sys
from pathlib import Path

from offloop.bench.experiment import experiment_files, load_experiment
from offloop.bench.results import RUN_FILE, Run
from offloop.bench.verdicts import Verdict
from offloop.pages.table import shown
from offloop.project import project_root

_RESULT = re.compile(r"(<!-- result: (?P<slug>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_EXPERIMENTS = re.compile(r"(<!-- experiments -->\n).*?(<!-- end -->)", re.DOTALL)


def experiment(run: Run, slug: str) -> str:
    """Render one experiment of a run: the arms, the verdict in words, and the machine."""
    result = run.experiments[slug]
    found = shown(result)
    machine = run.machine
    table = [
        f"| {' | '.join(found.headings)} |",
        f"| --- |{(' ---: |' if found.figures else ' --- |') * (len(found.headings) - 1)}",
        *(f"| {' | '.join(row)} |" for row in found.rows),
    ]
    verdict = f"**{result.verdict.value}**: {result.gain} {result.price}"
    where = (
        f"<sub>{machine['processor']}, {machine['cores']} cores, Python {machine['python']}, "
        f"{run.started_at:%Y-%m-%d}, {run.wall_s:.0f} s.</sub>"
    )
    return "\n".join([*table, "", verdict, "", where])


def experiments(folder: Path) -> str:
    """Render the table of all experiments of a folder, each with a link to its page."""
    rows = ["| experiment | shows that | the rule |", "| --- | --- | --- |"]
    for slug, path in experiment_files(folder).items():
        found = load_experiment(path)
        rows.append(f"| [`{slug}`](docs/experiments/{slug}.md) | {found.title} | {found.rule} |")
    return "\n".join(rows)


def renew_experiments(text: str, folder: Path) -> str:
    """Replace what stands between ``<!-- experiments -->`` and ``<!-- end -->``.

    Raises:
        ExperimentError: one of the files is wrong.
    """
    return _EXPERIMENTS.sub(lambda match: f"{match[1]}{experiments(folder)}\n{match[2]}", text)


def renew(text: str, run: Run) -> str:
    """Replace what stands between ``<!-- result: SLUG -->`` and ``<!-- end -->``.

    Results of experiments that the run did not have stay as they are.
    """
    return _RESULT.sub(
        lambda match: (
            f"{match[1]}{experiment(run, match['slug'])}\n{match[3]}"
            if match["slug"] in run.experiments
            else match[0]
        ),
        text,
    )


def main() -> None:
    """Renew the files named on the command line."""
    root = project_root()
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(renew_experiments(path.read_text(), root / "loadtests" / "experiments"))
    latest = root / "runs" / "latest" / RUN_FILE
    if not latest.exists():
        sys.exit("There is no runs/latest: run `offloop bench`, and then this again.")
    run = Run.model_validate_json(latest.read_text())
    if run.interrupted or run.verdict is not Verdict.PASS:
        sys.exit("runs/latest did not end with a pass, so it is not what the README should show.")
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(renew(path.read_text(), run))


if __name__ == "__main__":
    main()
