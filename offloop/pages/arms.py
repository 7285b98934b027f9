"""The table of an experiment's arms, for every page that shows it."""

from collections.abc import Iterator, Mapping
from math import inf

from offloop.measuring import catalogue
from offloop.measuring.expressions import PSEUDO_ARMS
from offloop.measuring.instruments import effects, queue, requests, scrapes
from offloop.measuring.measure import Measure
from offloop.measuring.results import Detail, ExperimentResult
from offloop.measuring.verdicts import Status
from offloop.measuring.wording import cell_said


def columns(result: ExperimentResult) -> list[str]:
    """Return the headings: the arms, and what was known before their load began."""
    return [*(_heading(arm, result) for arm in result.arms), *_known(result)]


def blocks_said(result: ExperimentResult) -> str:
    """Say which blocks the cells are of."""
    every, judged = len(result.blocks), len(result.judged_blocks)
    blocks = "block" if every == 1 else "blocks"
    if not judged:
        return f"{every} {blocks}, all disturbed"
    return f"{judged} undisturbed of {every} {blocks}" if judged < every else f"{every} {blocks}"


def _heading(arm: str, result: ExperimentResult) -> str:
    once = [arm in block for block in result.blocks].count(True) < len(result.blocks)
    said = f"{arm} (one block)" if once else arm
    return f"{said}, disturbed" if arm in result.disturbed_arms else said


def _known(result: ExperimentResult) -> list[str]:
    return [source for source in PSEUDO_ARMS if result.before_load.get(source)]


def rows(result: ExperimentResult) -> Iterator[tuple[str, list[str]]]:
    """Yield each measure that any arm has: its heading and a cell for every column.

    Plain requests come first, then bursts of work, then the event loop that answers them, then
    reports, then what all of it took. What was not measured is an empty cell.
    """
    arms = [*result.arms, *_known(result)]
    values: Mapping[str, Mapping[str, float | None]] = result.arms | result.before_load
    for name, heading, measure in _all_rows(result):
        found = [
            _cell(measure, values[arm][name], result.details[arm][name])
            if name in values[arm]
            else ""
            for arm in arms
        ]
        if any(found):
            yield heading, found


def _cell(measure: Measure, value: float | None, detail: Detail) -> str:
    known = inf if value is None and detail.status is Status.NEVER else value
    return "" if known is None else cell_said(known, measure, detail.n)


def _all_rows(result: ExperimentResult) -> Iterator[tuple[str, str, Measure]]:
    streams = result.load.get("streams", {})
    orders = {name: stream for name, stream in streams.items() if "order" in stream}
    for name in streams:
        if name not in orders:
            yield from _of(name, f"{name} ", requests.REQUESTS)
            yield from _of_phases(name, result)
    for name in result.load.get("work", []):
        yield from _of(name, f"{name} ", catalogue.WORK)
    yield from _named(catalogue.POOL)
    yield from _named(catalogue.API)
    yield from _named(scrapes.MEASURES)
    for name, stream in orders.items():
        yield f"{name}.offered", f"{name} ordered", catalogue.measure_named("offered")
        yield f"{name}.failed", f"{name} failed", catalogue.measure_named("failed")
        if stream.get("retry_refused"):
            yield from _of(name, f"{name} ", requests.REFUSED_ORDERS)
        yield from _of(name, f"{name} ", requests.QUEUED_ORDERS)
        yield from _of(name, f"{name} ", catalogue.ORDERS)
    for event in dict.fromkeys(event.id for event in result.events):
        for measure in requests.EVENTS:
            if measure.shown:
                yield f"{event}.{measure.name}", f"{measure.heading}: {event}", measure
    yield from _named(effects.MEASURES)
    if result.load.get("overload"):
        yield from _named(queue.MEASURES)
    yield from _named(catalogue.STACK)


def _of(subject: str, said: str, group: tuple[Measure, ...]) -> Iterator[tuple[str, str, Measure]]:
    for measure in group:
        if measure.shown:
            yield f"{subject}.{measure.name}", f"{said}{measure.heading}", measure


def _named(group: tuple[Measure, ...]) -> Iterator[tuple[str, str, Measure]]:
    for measure in group:
        if measure.shown:
            yield measure.name, measure.heading, measure


def _of_phases(stream: str, result: ExperimentResult) -> Iterator[tuple[str, str, Measure]]:
    later = [name for name, each in result.load.get("streams", {}).items() if each.get("from_s")]
    phased = ("offered", "failed", "p99_ms", "max_ms")
    group = tuple(measure for measure in requests.REQUESTS if measure.name in phased)
    for moment in dict.fromkeys([*(event.id for event in result.events), *later]):
        for phase in ("before", "after"):
            for name, heading, measure in _of(f"{phase}:{moment}.{stream}", f"{stream} ", group):
                yield name, f"{heading}, {phase} {moment}", measure
