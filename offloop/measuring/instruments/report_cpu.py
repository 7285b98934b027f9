"""The CPU time that reports took in the processes that build them."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Self

from offloop.load.records import ReportRow
from offloop.measuring.instruments.instrument import Instrument
from offloop.measuring.instruments.requests import by_stream
from offloop.measuring.measure import Kind, Measure, Unit
from offloop.measuring.rows import Rows
from offloop.measuring.scraping import Metrics, Scrape, scrape, scrape_process
from offloop.measuring.values import Recorded
from offloop.stack.asking import NoAnswerError
from offloop.stack.service import Service

_MS = 1000
_US = 1_000_000

#: Of a stream of orders.
OF_ORDERS = (Measure("cpu_ms", "CPU time of one", Unit.MS, Kind.LEVEL),)

MEASURES = (
    Measure(
        "jobs.cpu_us_per_line", "CPU time per line", Unit.MICROSECONDS, Kind.LEVEL, shown=False
    ),
)


class ReportCpu(Instrument):
    """Reads the counters of the processes that build reports before and after the load.

    A process that is ended takes its counts along, so it is asked right before. A server that
    kills its own workers announces nothing, so these are asked now and then.

    Args:
        builders: The services that build reports.
        killed_by_server: The one among them whose server may kill its workers, if any.
    """

    def __init__(self, builders: Sequence[Service], killed_by_server: Service | None) -> None:
        self._builders = builders
        self._killed_by_server = killed_by_server
        self._before: dict[str, Sequence[Metrics]] = {}
        self._ended: list[Scrape] = []
        self._last_seen: LastSeen | None = None

    def __enter__(self) -> Self:
        self._before = {service.name: scrape(service) for service in self._builders}
        if self._killed_by_server is not None:
            before = self._before[self._killed_by_server.name]
            self._last_seen = LastSeen(self._killed_by_server, before)
        return self

    def look(self) -> None:
        """Ask the workers that may be killed."""
        if self._last_seen is not None:
            self._last_seen.look()

    def before_end(self, services: Sequence[str]) -> None:
        """Ask the processes that are about to be ended."""
        for service in self._builders:
            if service.name in services:
                self._ended += Scrape.pairs(self._before[service.name], scrape(service))

    def measured(self, rows: Rows) -> Recorded:
        """Divide what all of them took by what they built.

        Raises:
            NoAnswerError: a process did not expose its metrics.
        """
        after = {service.name: scrape(service) for service in self._builders}
        processes = [
            *self._ended,
            *(
                pair
                for name, exposed in after.items()
                for pair in Scrape.pairs(self._before[name], exposed)
            ),
        ]
        if self._last_seen is not None and self._killed_by_server is not None:
            processes += self._last_seen.of_replaced(after[self._killed_by_server.name])
        return Recorded.of(cpu_measures(processes, rows.log.reports))


class LastSeen:
    """Asks the processes of a service now and then: one that is killed takes its counts along.

    Args:
        service: Whose server may kill and replace a process.
        before: The metrics of each process, in the order of `Service.metrics_urls`.
    """

    def __init__(self, service: Service, before: Sequence[Metrics]) -> None:
        self._service = service
        self._scrapes = [Scrape(before=each, after=each) for each in before]

    def look(self) -> None:
        """Ask each process that is still there; one that does not answer is about to be gone."""
        for number, url in enumerate(self._service.metrics_urls):
            with suppress(NoAnswerError):
                seen = Scrape(self._scrapes[number].before, scrape_process(self._service, url))
                if not seen.restarted:
                    self._scrapes[number] = seen

    def of_replaced(self, after: Sequence[Metrics]) -> list[Scrape]:
        """Return what is known of those in whose place there is another one now."""
        return [
            seen
            for seen, now in zip(self._scrapes, after, strict=True)
            if Scrape(seen.before, now).restarted
        ]


def cpu_measures(
    processes: Sequence[Scrape], reports: Sequence[ReportRow]
) -> dict[str, float | None]:
    """Measure the CPU time of a line, and by that of a report of each stream.

    A mean over all reports would depend on which of them were finished: a stream of small ones and
    a giant have no typical report.

    Args:
        processes: The metrics of those that build reports, also of those that are gone.
        reports: Every report.
    """
    cpu_s = _gained_lately("offloop_report_cpu_seconds_sum", processes)
    lines = _gained_lately("offloop_report_lines_total", processes)
    line_s = cpu_s / lines if lines else None
    longest = {
        stream: max((row.rows for row in rows if row.rows is not None), default=None)
        for stream, rows in by_stream(reports).items()
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
