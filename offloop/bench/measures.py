"""From what was recorded while an arm ran to its measures: pure functions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from offloop.bench.depth import DepthSample
from offloop.bench.observed import Observed, observed_measures
from offloop.bench.queueing import depth_measures
from offloop.bench.rows import Rows, by_stream, recorded
from offloop.bench.usage import cores_used
from offloop.measuring.catalogue import TAKEN
from offloop.measuring.values import Recorded
from offloop.stack.sampling import ResourceSample

_MS = 1000
_US = 1_000_000

#: When a process was started.
_STARTED = "process_start_time_seconds"


@dataclass(frozen=True)
class Scrape:
    """The metrics of one process before and after an arm: sample name -> value."""

    before: Mapping[str, float]
    after: Mapping[str, float]

    @property
    def restarted(self) -> bool:
        """Whether it is another process that was asked afterwards."""
        return self.before.get(_STARTED) != self.after.get(_STARTED)

    def gained(self, name: str) -> float | None:
        """How much a counter grew during the arm; None unless one process exposed it all along."""
        before, after = self.before.get(name), self.after.get(name)
        if before is None or after is None or self.restarted:
            return None
        return after - before

    def gained_lately(self, name: str) -> float | None:
        """How much it grew in the process that was there in the end; None if it was not exposed."""
        return self.after.get(name) if self.restarted else self.gained(name)


@dataclass(frozen=True)
class ArmRun:
    """Everything that was recorded while one arm ran once.

    Attributes:
        rows: Every request, and what was done to the services meanwhile.
        api: Name of the API's service.
        needed: The services that this way of answering needs, with their numbers of processes.
        samples: Resources of every process of the stack, and of everything else the lab runs.
        taken: Share of the machine's CPU time that other programs had; None if not known.
        taken_by: What took it, most first.
        loop: Metrics of the API's processes.
        workers: Metrics of the processes that build reports, the API's where it does; also of those
            that an event ended, as they were right before.
        lags_s: The largest event loop lag during the arm, of each of the API's processes; None of
            one that was replaced.
        depths: How many jobs there were in the queues.
        observed: What a scraper of the API saw meanwhile; None without one.
        timeout_s: Seconds after which the API's server kills a worker that gives no sign of life;
            None where it never does.
        workers_killed: How many it has killed for that; None where it never does.
    """

    rows: Rows
    api: str
    needed: Mapping[str, int]
    samples: Sequence[ResourceSample]
    taken: float | None
    taken_by: Sequence[str]
    loop: Sequence[Scrape]
    workers: Sequence[Scrape]
    lags_s: Sequence[float | None]
    depths: Sequence[DepthSample]
    observed: Observed | None = None
    timeout_s: int | None = None
    workers_killed: int | None = None


def measure(run: ArmRun) -> Recorded:
    """Work out everything that is measured of one arm in one block."""
    found: dict[str, float | None] = {
        **depth_measures(run.depths, run.rows.log.start_monotonic_s, run.rows.undisturbed_s),
        **_cpu_measures(run),
        "api.timeout_ms": None if run.timeout_s is None else _MS * run.timeout_s,
        "api.workers_killed": run.workers_killed,
        **_loop_measures(run),
        **({} if run.observed is None else observed_measures(run.observed, run.rows.log)),
        **_resource_measures(run),
        TAKEN: run.taken,
    }
    from_rows = recorded(run.rows)
    known = {name: value for name, value in found.items() if value is not None}
    return Recorded({**from_rows.numbers, **known}, from_rows.samples)


def _loop_measures(run: ArmRun) -> dict[str, float | None]:
    worst = _all_known(run.lags_s)
    stalls = _all_known(loop.gained("offloop_loop_stalls_total") for loop in run.loop)
    lost = _all_known(loop.gained("offloop_loop_lost_seconds_total") for loop in run.loop)
    return {
        "loop.lag_max_ms": _MS * max(worst) if worst else None,
        "loop.stalls": sum(stalls) if stalls else None,
        "loop.lost_s": sum(lost) if lost else None,
    }


def _all_known(values: Iterable[float | None]) -> list[float]:
    """Return the values; none at all where one is not known."""
    found = list(values)
    known = [value for value in found if value is not None]
    return known if len(known) == len(found) else []


def _resource_measures(run: ArmRun) -> dict[str, float | None]:
    peaks: dict[str, int] = {}
    for sample in run.samples:
        peaks[sample.name] = max(peaks.get(sample.name, 0), sample.rss_bytes)
    until_s = run.rows.log.start_monotonic_s + run.rows.undisturbed_s
    return {
        "api.memory_peak_bytes": peaks.get(run.api),
        "stack.processes": sum(run.needed.values()),
        "stack.cores_used": cores_used(run.samples, run.needed, until_s),
        # Sums of each process's own peak: at least what all held at any one moment.
        "stack.memory_peak_bytes": _total(peaks, run.needed),
        "lab.memory_peak_bytes": _total(peaks, peaks),
    }


def _total(peaks: Mapping[str, int], names: Iterable[str]) -> int | None:
    found = [peaks.get(name) for name in names]
    known = [peak for peak in found if peak is not None]
    return sum(known) if known and len(known) == len(found) else None


def _cpu_measures(run: ArmRun) -> dict[str, float | None]:
    """Measure the CPU time of a line, and by that of a report of each stream.

    A mean over all reports would depend on which of them were finished: a stream of small ones and
    a giant have no typical report.
    """
    cpu_s = _gained_lately("offloop_report_cpu_seconds_sum", run.workers)
    lines = _gained_lately("offloop_report_lines_total", run.workers)
    line_s = cpu_s / lines if lines else None
    longest = {
        stream: max((row.rows for row in rows if row.rows is not None), default=None)
        for stream, rows in by_stream(run.rows.log.reports).items()
    }
    return {
        "jobs.cpu_us_per_line": None if line_s is None else _US * line_s,
        **{
            f"{stream}.cpu_ms": None if rows is None or line_s is None else _MS * rows * line_s
            for stream, rows in longest.items()
        },
    }


def _gained_lately(name: str, processes: Sequence[Scrape]) -> float:
    gained = [process.gained_lately(name) for process in processes]
    return sum(value for value in gained if value is not None)
