"""The table of an experiment's arms, for every page that shows it."""

from collections.abc import Iterator

from offloop.bench.results import ExperimentResult

#: Measure, heading, factor, format.
_ROWS = (
    ("bystander.p50_ms", "bystander p50", 1, "{:,.1f} ms"),
    ("bystander.p99_ms", "bystander p99", 1, "{:,.1f} ms"),
    ("bystander.service_p99_ms", "bystander p99, from when it was sent", 1, "{:,.1f} ms"),
    ("bystander.max_ms", "bystander slowest", 1, "{:,.1f} ms"),
    ("bystander.failed", "bystanders failed", 1, "{:.0f}"),
    ("loop.lag_max_ms", "event loop's worst lag", 1, "{:,.0f} ms"),
    ("loop.stalls", "event loop stalls", 1, "{:.0f}"),
    ("report.ready_p95_ms", "report ready p95", 1e-3, "{:.2f} s"),
    ("report.seen_p95_ms", "report ready p95, as the client saw it", 1e-3, "{:.2f} s"),
    ("report.cpu_s", "CPU per report", 1, "{:.2f} s"),
    ("stack.processes", "processes", 1, "{:.0f}"),
    ("stack.memory_peak_bytes", "memory", 1e-6, "{:.0f} MB"),
)


def columns(result: ExperimentResult) -> list[str]:
    """Return the headings: the arms, and what theory predicted for the naive one."""
    return [*result.arms, *(["predicted"] if result.predicted else [])]


def rows(result: ExperimentResult) -> Iterator[tuple[str, list[str]]]:
    """Yield each measure that any arm has: its heading and a cell for every column.

    What was not measured is an empty cell.
    """
    arms = [*result.arms.values(), *([result.predicted] if result.predicted else [])]
    for measure, heading, factor, form in _ROWS:
        values = [arm.get(measure) for arm in arms]
        if any(value is not None for value in values):
            yield (
                heading,
                ["" if value is None else form.format(value * factor) for value in values],
            )
