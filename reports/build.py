"""One report: price the lines, write the file, publish it. Everyone calls this one function."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

from prometheus_client import Counter, Summary

from reports.failpoints import Failpoint, reached
from reports.files import MeasuredFile, report_writer
from reports.pricing import PricingSummary
from reports.publish import published
from reports.rows import LineRow
from reports.spec import ReportResult, ReportSpec

#: Lines priced and written at a time, whatever batches come in: the file's bytes must not depend on
#: how it was fetched. Small enough to stay in a processor's cache between pricing and writing, so
#: that rows fetched long before cost about the same CPU as rows just fetched. Median ratio of five
#: runs: 0.95 to 1.01, both formats; with chunks of 16,384 it was 1.18 for Parquet.
CHUNK_LINES = 4_096

#: Shortest time between two calls of `on_progress`; what listens may write to a server.
PROGRESS_SECONDS = 0.5

#: Sum and count give the mean, by which runs are compared.
_CPU_SECONDS = Summary(
    "offloop_report_cpu_seconds",
    "CPU time of pricing and writing one report, without fetching its lines.",
)


#: By the line, reports of different lengths can be compared.
_LINES = Counter("offloop_report_lines", "Lines priced and written by finished reports.")


@dataclass(frozen=True)
class Published:
    """A finished report and what it cost."""

    result: ReportResult
    #: CPU seconds of this thread for pricing and writing. Fetching and `on_progress` are left out,
    #: so that the figure compares between code that fetches first and code that streams.
    cpu_seconds: float


def price_and_publish(
    batches: Iterable[Sequence[LineRow]],
    spec: ReportSpec,
    target: Path,
    on_progress: Callable[[int], None] | None = None,
) -> Published:
    """Price the lines of a report and publish its file.

    Args:
        batches: The rows of `reports.lines.select_lines(spec)`, in its order, cut anyhow.
        spec: The report; decides the format.
        target: Where the file appears, whole, when all is done; an older file is replaced.
        on_progress: Called with the number of lines written so far, at most once in
            `PROGRESS_SECONDS`, and once more with all of them.

    Raises:
        OSError: The folder is missing or not writable, or the disk is full.
    """
    with published(target) as file:
        return price_and_write(batches, spec, file, on_progress)


def price_and_write(
    batches: Iterable[Sequence[LineRow]],
    spec: ReportSpec,
    target: BinaryIO,
    on_progress: Callable[[int], None] | None = None,
) -> Published:
    """Price the lines of a report and write them to a file that is open.

    The rest is as in `price_and_publish`.
    """
    started = time.thread_time()
    elsewhere = _Stopwatch()
    pricing = PricingSummary()
    written = 0
    told = time.monotonic()
    file = MeasuredFile(target)
    with closing(report_writer(spec.format, file)) as writer:
        rows = chain.from_iterable(_timed(batches, elsewhere))
        while chunk := list(islice(rows, CHUNK_LINES)):
            writer.write(pricing.price(chunk))
            if not written:
                reached(Failpoint.WRITE)  # what is killed here has begun its file and not ended it
            written += len(chunk)
            if on_progress is not None and time.monotonic() - told >= PROGRESS_SECONDS:
                told = time.monotonic()
                with elsewhere:
                    on_progress(written)
        writer.finish()
    if on_progress is not None:
        with elsewhere:
            on_progress(written)
    result = ReportResult(rows=written, bytes=file.size, sha256=file.sha256, summary=pricing.rows())
    cpu_seconds = time.thread_time() - started - elsewhere.seconds
    _CPU_SECONDS.observe(cpu_seconds)
    _LINES.inc(written)
    return Published(result, cpu_seconds)


class _Stopwatch:
    """Adds up the CPU seconds this thread spends inside its `with` blocks."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._started = 0.0

    def __enter__(self) -> None:
        self._started = time.thread_time()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.thread_time() - self._started


def _timed(
    batches: Iterable[Sequence[LineRow]], stopwatch: _Stopwatch
) -> Iterator[Sequence[LineRow]]:
    iterator = iter(batches)
    while True:
        with stopwatch:
            batch = next(iterator, None)
        if batch is None:
            return
        yield batch
