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

#: Of plain requests before an event, and from then on.
_PHASES: tuple[_Row, ...] = (
    ("p99_ms", "p99", 1, "{:,.1f} ms"),
    ("max_ms", "slowest", 1, "{:,.1f} ms"),
    ("failed", "failed", 1, "{:.0f}"),
)

#: Of the stack.
_LOOP: tuple[_Row, ...] = (
    ("loop.lag_max_ms", "event loop's worst lag", 1, "{:,.0f} ms"),
    ("loop.stalls", "event loop stalls", 1, "{:.0f}"),
)
_STACK: tuple[_Row, ...] = (
    ("jobs.cpu_s", "CPU per report", 1, "{:.2f} s"),
    ("stack.processes", "processes", 1, "{:.0f}"),
    ("stack.memory_peak_bytes", "memory", 1e-6, "{:.0f} MB"),
)


def columns(result: ExperimentResult) -> list[str]:
    """Return the headings: the arms, and what theory predicted for the naive one."""
    return [*result.arms, *(["predicted"] if result.predicted else [])]


def rows(result: ExperimentResult) -> Iterator[tuple[str, list[str]]]:
    """Yield each measure that any arm has: its heading and a cell for every column.

    Plain requests come first, then the event loop that answers them, then reports, then what all
    of it took. What was not measured is an empty cell.
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
    yield from _LOOP
    for name in orders:
        yield from _of_stream(name, _ORDERS)
    yield from _STACK


def _of_stream(name: str, of_each: tuple[_Row, ...]) -> Iterator[_Row]:
    for measure, heading, factor, form in of_each:
        yield f"{name}.{measure}", f"{name} {heading}", factor, form


def _of_phases(stream: str, result: ExperimentResult) -> Iterator[_Row]:
    for event in dict.fromkeys(event.id for event in result.events):
        for phase in ("before", "after"):
            for measure, heading, factor, form in _PHASES:
                yield (
                    f"{phase}:{event}.{stream}.{measure}",
                    f"{stream} {heading}, {phase} {event}",
                    factor,
                    form,
                )
