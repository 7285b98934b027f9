"""The table of an experiment's arms, for every page that shows it."""

from collections.abc import Iterator

from offloop.bench.results import ExperimentResult

#: Of a measure: its heading, factor, format.
_Row = tuple[str, str, float, str]

#: Of any stream, after its name. Where reports are ordered, answers say less than the reports.
_REQUESTS: tuple[_Row, ...] = (
    ("p50_ms", "p50", 1, "{:,.1f} ms"),
    ("p99_ms", "p99", 1, "{:,.1f} ms"),
    ("service_p99_ms", "p99, from when it was sent", 1, "{:,.1f} ms"),
    ("max_ms", "slowest", 1, "{:,.1f} ms"),
    ("failed", "failed", 1, "{:.0f}"),
)
_ORDERS: tuple[_Row, ...] = (
    ("offered", "ordered in a block", 1, "{:.0f}"),
    ("wait_p50_ms", "queue wait p50", 1e-3, "{:.2f} s"),
    ("wait_p95_ms", "queue wait p95", 1e-3, "{:.2f} s"),
    ("run_p50_ms", "run time p50", 1e-3, "{:.2f} s"),
    ("ready_p95_ms", "ready p95", 1e-3, "{:.2f} s"),
    ("seen_p95_ms", "ready p95, as the client saw it", 1e-3, "{:.2f} s"),
)

#: Of orders that are a few and no more.
_FEW: tuple[_Row, ...] = (
    ("cpu_ms", "CPU of one", 1e-3, "{:.2f} s"),
    ("finished", "finished", 1, "{:.0f}"),
)

#: Of orders where more come than can be done.
_OVERLOAD: tuple[_Row, ...] = (
    ("refused", "refusals", 1, "{:.0f}"),
    ("refused_p95_ms", "refusals p95", 1, "{:,.1f} ms"),
    ("early_retries", "sent again too early", 1, "{:.0f}"),
    ("finished", "finished", 1, "{:.0f}"),
    ("wait_max_ms", "longest queue wait", 1e-3, "{:.2f} s"),
    ("last_seen_ms", "all ready after", 1e-3, "{:.2f} s"),
)
_QUEUE: tuple[_Row, ...] = (
    ("queue.depth_max", "deepest queue", 1, "{:.0f}"),
    ("queue.depth_slope_per_s", "queue grew by, undisturbed", 1, "{:.1f} jobs/s"),
    ("queue.wait_max_ms", "longest wait, undisturbed", 1e-3, "{:.2f} s"),
    ("queue.drain_per_s", "what was left drained by", 1, "{:.1f} jobs/s"),
)

#: Of what reports leave behind.
_EFFECTS: tuple[_Row, ...] = (
    ("jobs.count", "jobs in a block", 1, "{:.0f}"),
    ("jobs.attempts", "attempts at them", 1, "{:.0f}"),
    ("ledger.entries", "ledger entries", 1, "{:.0f}"),
    ("ledger.doubled", "reports with several entries", 1, "{:.0f}"),
    ("ledger.per_report_max", "most entries of one report", 1, "{:.0f}"),
    ("ledger.per_job_max", "most entries of one job", 1, "{:.0f}"),
    ("files.checked", "files served as done", 1, "{:.0f}"),
    ("files.partial", "files that are not whole", 1, "{:.0f}"),
    ("files.smallest_bytes", "smallest file", 1e-6, "{:.2f} MB"),
)

#: Of plain requests before an event or a stream, and from then on.
_PHASES: tuple[_Row, ...] = (
    ("p99_ms", "p99", 1, "{:,.1f} ms"),
    ("max_ms", "slowest", 1, "{:,.1f} ms"),
    ("failed", "failed", 1, "{:.0f}"),
)

#: Of orders that an event met on their way.
_LOSSES: tuple[_Row, ...] = (
    ("lost", "accepted, and never finished", 1, "{:.0f}"),
    ("undone", "accepted or not, and never finished", 1, "{:.0f}"),
)

#: Of the stack.
_LOOP: tuple[_Row, ...] = (
    ("api.workers_killed", "API workers killed as silent", 1, "{:.0f}"),
    ("loop.lag_max_ms", "event loop's worst lag", 1, "{:,.0f} ms"),
    ("loop.stalls", "event loop stalls", 1, "{:.0f}"),
    ("stalls.largest_ms", "longest time without an answer", 1, "{:,.0f} ms"),
    ("scrape.lag_seen_max_ms", "largest lag that a scrape showed", 1, "{:,.0f} ms"),
    ("scrape.offered", "scrapes in a block", 1, "{:.0f}"),
    ("scrape.missed", "scrapes without an answer", 1, "{:.0f}"),
    ("scrape.missed_outside_stalls", "of these, while nothing stalled", 1, "{:.0f}"),
    ("scrape.waited_max_ms", "slowest scrape that was answered", 1, "{:,.0f} ms"),
    ("stalls.named_share", "stalled time with the right name", 1, "{:.0%}"),
)
_STACK: tuple[_Row, ...] = (
    ("jobs.cpu_s", "CPU per report", 1, "{:.2f} s"),
    ("stack.processes", "processes", 1, "{:.0f}"),
    ("stack.memory_peak_bytes", "memory", 1e-6, "{:.0f} MB"),
)

#: Of a kind of work that is done in bursts, after its name, and of what does it.
_BURSTS: tuple[_Row, ...] = (
    ("alone_ms", "one piece alone", 1, "{:,.0f} ms"),
    ("burst_ms", "burst", 1, "{:,.0f} ms"),
    ("speedup", "speed-up", 1, "{:.2f}"),
    ("cores", "cores used", 1, "{:.2f}"),
)
_POOL: tuple[_Row, ...] = (
    ("pool.start_ms", "workers ready after", 1e-3, "{:.2f} s"),
    ("pool.memory_peak_bytes", "memory of the program", 1e-6, "{:.0f} MB"),
)


def columns(result: ExperimentResult) -> list[str]:
    """Return the headings: the arms, and what theory predicted for the naive one."""
    return [
        *(_heading(arm, result) for arm in result.arms),
        *(["predicted"] if result.predicted else []),
    ]


def blocks_said(result: ExperimentResult) -> str:
    """Say which blocks the cells are the median of."""
    every, judged = len(result.blocks), len(result.judged_blocks)
    which = f"the {judged} calmest of {every}" if judged < every else f"{every}"
    return f"median of {which} blocks"


def _heading(arm: str, result: ExperimentResult) -> str:
    once = [arm in block for block in result.blocks].count(True) < len(result.blocks)
    return f"{arm} (one block)" if once else arm


def rows(result: ExperimentResult) -> Iterator[tuple[str, list[str]]]:
    """Yield each measure that any arm has: its heading and a cell for every column.

    Plain requests come first, then bursts of work, then the event loop that answers them, then
    reports, then what all of it took. What was not measured is an empty cell.
    """
    arms = [*result.arms.values(), *([result.predicted] if result.predicted else [])]
    for measure, heading, factor, form in _all_rows(result):
        values = [arm.get(measure) for arm in arms]
        if any(value is not None for value in values):
            yield (
                heading,
                ["" if value is None else form.format(value * factor) for value in values],
            )


def _all_rows(result: ExperimentResult) -> Iterator[_Row]:
    streams = result.load.get("streams", {})
    orders = [name for name, stream in streams.items() if "order" in stream]
    for name in streams:
        if name not in orders:
            yield from _of_stream(name, _REQUESTS)
            yield from _of_phases(name, result)
    for name in result.load.get("work", []):
        yield from _of_stream(name, _BURSTS)
    yield from _POOL
    yield from _LOOP
    for name in orders:
        yield from _of_stream(name, _ORDERS)
        if result.load["streams"][name].get("count"):
            yield from _of_stream(name, _FEW)
        if result.load.get("overload"):
            yield from _of_stream(name, _OVERLOAD)
    yield from _of_losses(result)
    yield from _EFFECTS
    if result.load.get("overload"):
        yield from _QUEUE
    yield from _STACK


def _of_stream(name: str, of_each: tuple[_Row, ...]) -> Iterator[_Row]:
    for measure, heading, factor, form in of_each:
        yield f"{name}.{measure}", f"{name} {heading}", factor, form


def _of_losses(result: ExperimentResult) -> Iterator[_Row]:
    for event in dict.fromkeys(event.id for event in result.events):
        for measure, heading, factor, form in _LOSSES:
            yield f"{event}.{measure}", f"{heading}: {event}", factor, form


def _of_phases(stream: str, result: ExperimentResult) -> Iterator[_Row]:
    later = [name for name, each in result.load.get("streams", {}).items() if each.get("from_s")]
    for moment in dict.fromkeys([*(event.id for event in result.events), *later]):
        for phase in ("before", "after"):
            for measure, heading, factor, form in _PHASES:
                yield (
                    f"{phase}:{moment}.{stream}.{measure}",
                    f"{stream} {heading}, {phase} {moment}",
                    factor,
                    form,
                )
