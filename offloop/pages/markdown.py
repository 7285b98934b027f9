"""Results as Markdown: `python -m offloop.pages.markdown README.md` renews the README's table."""

import re
import sys
from pathlib import Path

from offloop.bench.results import RUN_FILE, Run
from offloop.bench.verdicts import Verdict
from offloop.pages.table import shown
from offloop.project import project_root

_BLOCK = re.compile(r"(<!-- result: (?P<slug>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


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


def renew(text: str, run: Run) -> str:
    """Replace what stands between ``<!-- result: SLUG -->`` and ``<!-- end -->``."""
    return _BLOCK.sub(
        lambda match: f"{match[1]}{experiment(run, match['slug'])}\n{match[3]}",
        text,
    )


def main() -> None:
    """Renew the files named on the command line from the latest run."""
    run = Run.model_validate_json((project_root() / "runs" / "latest" / RUN_FILE).read_text())
    if run.interrupted or run.verdict is not Verdict.PASS:
        sys.exit("runs/latest did not end with a pass, so it is not what the README should show.")
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(renew(path.read_text(), run))


if __name__ == "__main__":
    main()
