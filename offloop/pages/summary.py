"""A run as a short Markdown page, as CI systems show it beside a job."""

from collections.abc import Iterator

from offloop.measuring.results import ExperimentResult, Run
from offloop.measuring.verdicts import Judged, Verdict
from offloop.pages.limits import fate, observed

_WORDS = {Verdict.PASS: "pass", Verdict.FAIL: "**FAIL**", Verdict.NO_VERDICT: "no verdict"}


def summary(run: Run) -> str:
    """Render a run: its verdicts, and for those that did not pass what was in the way."""
    machine = run.machine
    quick = ", a quick run" if run.quick else ""
    return "\n".join(
        [
            f"## Offloop: {_WORDS[run.verdict]}",
            "",
            (
                f"{machine.processor}, {machine.cores} cores, Python {machine.python}, "
                f"{run.wall_s:.0f} s, seed {run.seed}{quick}"
            ),
            "",
            "| experiment | verdict | shows that |",
            "| --- | --- | --- |",
            *(
                f"| `{slug}` | {_WORDS[result.verdict]} | {_cell(result.title)} |"
                for slug, result in run.experiments.items()
            ),
            *(line for slug, result in run.experiments.items() for line in _details(slug, result)),
            "",
        ]
    )


def _details(slug: str, result: ExperimentResult) -> Iterator[str]:
    judged = [each for each in (*result.expectations, *result.validity) if each.ok is not True]
    if result.verdict is Verdict.PASS or not (judged or result.error):
        return
    yield from ("", f"### `{slug}`: {_WORDS[result.verdict]}", "")
    if result.error:
        yield from (f"It was not finished: {result.error}", "")
    if judged:
        yield from ("| | observed | limit | |", "| --- | ---: | ---: | --- |", *map(_row, judged))
    disturbed = max(result.noise, key=lambda each: each.taken_share, default=None)
    if disturbed is not None:
        by = ", ".join(disturbed.taken_by) or "processes that cannot be named"
        yield from ("", f"Other programs took {disturbed.taken_share:.0%} of the machine: {by}.")


def _row(judged: Judged) -> str:
    values = " ".join(observed(judged))
    return f"| {_cell(judged.says)} | {values} | {judged.op} {judged.limit:g} | {fate(judged)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
