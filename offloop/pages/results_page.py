"""``results.html``: what a run found, on one page that needs nothing else."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from math import inf
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from offloop.bench.evidence import said
from offloop.measuring.expressions import PSEUDO_ARMS, Expression, Term, divided
from offloop.measuring.results import ExperimentResult, Noise, Run
from offloop.measuring.verdicts import Judged, Verdict
from offloop.pages.charts import plot
from offloop.pages.charts.flame import flame
from offloop.pages.charts.forest import Row, forest
from offloop.pages.charts.plot import Chart, style_of
from offloop.pages.charts.rungs import Rung, ladder
from offloop.pages.charts.series import series
from offloop.pages.charts.spectrum import spectrum
from offloop.pages.charts.timeline import timeline
from offloop.pages.limits import fate, observed
from offloop.pages.raw import Raw
from offloop.pages.table import Shown, shown

PAGE_FILE = "results.html"

WORDS = {Verdict.PASS: "PASS", Verdict.FAIL: "FAIL", Verdict.NO_VERDICT: "NO VERDICT"}

#: A chart, and what to see in it.
Figure = tuple[Chart, str]

#: The p99 of bystanders that the ladder shows.
_P99 = "before:kill.bystander.p99_ms"

#: What to see in each chart, and what would refute it.
_TIMELINE = (
    "Each dot is a request that has nothing to do with reports, at the moment when it was due. "
    "Bars are reports: light while they wait, full while they are built. Shaded: no request was "
    "answered. If reports did not stall the loop, the lanes would look alike."
)
_SPECTRUM = (
    "Lines that lie on each other and then part: that share of the requests was harmed. A line "
    "ends where too few requests are left to say, or where they failed."
)
_FOREST = (
    "Grey: each judged block. Square and line: the value over all blocks and its 95% interval. "
    "Shaded: the side that breaks the limit. An interval that crosses the limit decides nothing."
)
_FLAME = (
    "Full colour: the project's own report builder. Wider is longer; callers stand below their "
    "callees."
)

#: How many moments at which the machine was busy are named.
_NOISE = 3


@dataclass(frozen=True)
class ExperimentPage:
    """The part of the page that is about one experiment.

    Attributes:
        slug: The experiment.
        result: What was found.
        doubts: What is in the way of a pass.
        noise: When most of the machine was taken.
        picture: The charts that explain.
        ratios: The chart of what decides.
        more: Further charts.
        flames: Flame graphs.
        table: Every measure.
        markdown: The same.
        diff: The lines of code that are the fix.
        load: What was sent, as JSON.
        settings: How each arm was set up, as JSON.
    """

    slug: str
    result: ExperimentResult
    doubts: Sequence[Judged]
    noise: Sequence[Noise]
    picture: Sequence[Figure]
    ratios: Sequence[Figure]
    more: Sequence[Figure]
    flames: Sequence[Figure]
    table: Shown
    markdown: str
    diff: Sequence[str]
    load: str
    settings: str


def results_page(run: Run, folder: Path, root: Path) -> str:
    """Render the page of a run.

    Args:
        run: What was found.
        folder: Of the run: it has the raw rows.
        root: The checkout: it has the code that differs.
    """
    environment = Environment(
        loader=PackageLoader("offloop.pages", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = _prose
    pages = [_page(slug, result, folder, root) for slug, result in run.experiments.items()]
    return environment.get_template(f"{PAGE_FILE}.jinja").render(
        run=run,
        pages=pages,
        words=WORDS,
        observed=observed,
        fate=fate,
        said=said,
        chart_style=plot.STYLE,
        command=_command(run),
    )


def _prose(text: str) -> Markup:
    """Write a text with its code in backticks as HTML."""
    parts = [
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part)
        for number, part in enumerate(text.split("`"))
    ]
    return Markup("").join(parts)


def _page(slug: str, result: ExperimentResult, folder: Path, root: Path) -> ExperimentPage:
    raw = Raw(folder, slug, result)
    doubts = [each for each in (*result.expectations, *result.validity) if each.ok is not True]
    largest = sorted(result.noise, key=lambda each: each.taken_share, reverse=True)[:_NOISE]
    table = shown(result)
    return ExperimentPage(
        slug=slug,
        result=result,
        doubts=[] if result.verdict is Verdict.PASS else doubts,
        noise=largest if result.verdict is Verdict.NO_VERDICT else [],
        picture=list(_picture(raw, result)),
        ratios=list(_ratios(result)),
        more=list(_more(raw, result)),
        flames=list(_flames(raw, result)),
        table=table,
        markdown="\n".join(_markdown(table)),
        diff=_diff(result, root),
        load=json.dumps(result.load, indent=2),
        settings=json.dumps(result.settings, indent=2),
    )


def _picture(raw: Raw, result: ExperimentResult) -> Iterator[Figure]:
    lanes = {arm: lane for arm, lane in raw.lanes().items() if lane.requests}
    if lanes:
        yield timeline(lanes), f"Block {raw.shown_block + 1}. {_TIMELINE}"
    times = raw.response_times()
    if times:
        yield spectrum(times), f"All {len(result.judged_blocks)} judged blocks. {_SPECTRUM}"


def _ratios(result: ExperimentResult) -> Iterator[Figure]:
    rows = [row for judged in result.expectations if (row := _row(judged, result)) is not None]
    if rows:
        yield forest(rows), _FOREST


def _row(judged: Judged, result: ExperimentResult) -> Row | None:
    expression = Expression.parse(judged.measure)
    if expression.denominator is None or judged.observed is None or judged.low is None:
        return None
    blocks = [_ratio_in(number, expression, result) for number in result.judged_blocks]
    return Row(
        says=judged.says,
        value=judged.observed,
        low=judged.low,
        high=judged.high,
        blocks=[ratio for ratio in blocks if ratio is not None],
        limit=judged.limit,
        below=judged.op == "<=",
        ok=judged.ok,
    )


def _ratio_in(number: int, expression: Expression, result: ExperimentResult) -> float | None:
    sides = [_value_in(number, term, result) for term in expression.terms]
    known = [side for side in sides if side is not None]
    return divided(*known) if len(known) == len(sides) else None


def _value_in(number: int, term: Term, result: ExperimentResult) -> float | None:
    blocks = result.before_load_blocks if term.arm in PSEUDO_ARMS else result.blocks
    values = blocks[number].get(term.arm, {}) if number < len(blocks) else {}
    if term.measure not in values:
        return None
    value = values[term.measure]
    return inf if value is None else value


def _more(raw: Raw, result: ExperimentResult) -> Iterator[Figure]:
    duration_s = float(result.load.get("duration_s", 0.0))
    yield from _ladder(result)
    depths = raw.depths()
    if any(jobs for points in depths.values() for _, jobs in points):
        last_s = max(at_s for points in depths.values() for at_s, _ in points)
        yield (
            series("Jobs that wait or are being worked on", "jobs", depths, last_s),
            "The slope is the arrival rate minus the drain rate.",
        )
    memory = raw.memory_mb()
    if memory:
        yield (
            series("Memory of all processes of an arm", "MB", memory, duration_s),
            "The price in memory: what each arm's services hold together.",
        )


def _ladder(result: ExperimentResult) -> Iterator[Figure]:
    """Yield the picture of the ladder, for an experiment that kills and has a table of its own."""
    needed = {_P99, "kill.undone", "stack.processes"}
    rungs = [
        Rung(
            name=arm,
            p99_ms=inf if values[_P99] is None else values[_P99] or 0.0,
            lost=values["kill.undone"] or 0.0,
            price=f"{values['stack.processes']:.0f} processes",
        )
        for arm, values in result.arms.items()
        if needed <= values.keys()
    ]
    if result.table is not None and rungs:
        yield (
            ladder(rungs),
            "Bottom left is best: bystanders wait little, and a kill loses nothing.",
        )


def _flames(raw: Raw, result: ExperimentResult) -> Iterator[Figure]:
    for guilty in result.evidence:
        stacks = raw.stacks(guilty.arm, guilty.process)
        if stacks:
            chart = flame(stacks, "(reports/", style_of(guilty.arm))
            yield chart, f"{guilty.process} in the arm {guilty.arm}. {_FLAME}"


def _markdown(table: Shown) -> Iterator[str]:
    yield f"| {' | '.join(table.headings)} |"
    side = " ---: |" if table.figures else " --- |"
    yield f"| --- |{side * (len(table.headings) - 1)}"
    for row in table.rows:
        yield f"| {' | '.join(row)} |"


def _diff(result: ExperimentResult, root: Path) -> list[str]:
    """Return the difference between the modules that answer in naive and in fixed."""
    ways = [result.settings.get(arm, {}).get("way") for arm in ("naive", "fixed")]
    naive, fixed = (
        None if way is None else root.joinpath(*way.split(".")).with_suffix(".py") for way in ways
    )
    if naive == fixed or not (naive and fixed and naive.exists() and fixed.exists()):
        return []
    before, after = (path.read_text(encoding="utf-8").splitlines() for path in (naive, fixed))
    from_file, to_file = (str(path.relative_to(root)) for path in (naive, fixed))
    return list(unified_diff(before, after, from_file, to_file, lineterm=""))


def _command(run: Run) -> str:
    quick = " --quick" if run.quick else ""
    return f"offloop bench {' '.join(run.experiments)}{quick} --seed {run.seed}"
