"""What the jobs of one block have done to the world, beside their records.

Two effects outlast a job: the entries of the billing ledger, and the file that is served. Both are
looked at when every queue is empty again, for all jobs of the block: those that a client followed,
and those that it does not know of.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from offloop.load.records import ReportRow
from offloop.measuring.instruments.instrument import Instrument
from offloop.measuring.measure import Better, Kind, Measure, Unit, count
from offloop.measuring.rows import Rows
from offloop.measuring.values import Recorded
from offloop.stack.asking import NoAnswerError, NotFoundError, ask
from offloop.stack.service import Service

#: Of what reports leave behind.
MEASURES = (
    count("jobs.count", "jobs"),
    count("jobs.attempts", "attempts at them"),
    count("ledger.entries", "ledger entries"),
    count("ledger.doubled", "reports with several entries", Better.LOWER, promise=True),
    Measure(
        "ledger.per_report_max",
        "most entries of one report",
        Unit.COUNT,
        Kind.MAXIMUM,
        promise=True,
    ),
    Measure(
        "ledger.per_job_max", "most entries of one job", Unit.COUNT, Kind.MAXIMUM, promise=True
    ),
    count("files.checked", "files served as done"),
    count("files.partial", "files that are not whole", Better.LOWER, promise=True),
    Measure("files.smallest_bytes", "smallest file", Unit.BYTES, Kind.MINIMUM),
)

_TIMEOUT_S = 30.0

#: Seconds to wait for a process that is writing to the ledger.
_BUSY_S = 5.0


@dataclass(frozen=True)
class Entry:
    """One line of the billing ledger.

    Attributes:
        job_id: Which job was charged for.
        request_ref: What its customer calls the order: the idempotency key, or the job where there
            was none.
    """

    job_id: str
    request_ref: str


@dataclass(frozen=True)
class ServedFile:
    """A file as a client got it: its length and its SHA-256 in hexadecimal."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Served:
    """A job as it is shown to a client in the end.

    Attributes:
        job_id: Which job.
        attempts: How often a process began with it.
        is_done: Whether it is said to be done.
        file: What came when its file was asked for; None where nothing did, or it is not done.
    """

    job_id: str
    attempts: int
    is_done: bool
    file: ServedFile | None


@dataclass(frozen=True)
class Effects:
    """What is left of one block of one arm.

    Attributes:
        whole: The SHA-256 of what was ordered, as it is when nothing disturbs the work.
        jobs: Every job.
        entries: What the ledger gained; None where the arm keeps none.
    """

    whole: Collection[str]
    jobs: Sequence[Served]
    entries: Sequence[Entry] | None


class JobEffects(Instrument):
    """Looks at what one arm leaves behind in one block.

    Args:
        api: The service that shows jobs and serves files.
        ledger: The billing ledger of the arm's job tier. It only grows.
        whole: The SHA-256 of what is ordered, as it is when nothing disturbs the work.
        settle: Returns once no job is left that waits or is worked on.
    """

    def __init__(
        self, api: Service, ledger: Path, whole: Collection[str], settle: Callable[[], None]
    ) -> None:
        self._api = api
        self._ledger = ledger
        self._whole = whole
        self._settle = settle
        self._begin = 0

    def __enter__(self) -> Self:
        self._begin = len(read_ledger(self._ledger) or ())
        return self

    def measured(self, rows: Rows) -> Recorded:
        """Count what was done, and what was done twice or by half.

        Raises:
            NotIdleError: there are still jobs after a minute.
            NoAnswerError: the API does not answer.
        """
        return Recorded(effect_measures(self.read(rows.log.reports)))

    def read(self, reports: Iterable[ReportRow]) -> Effects:
        """Wait until no job is left, and look at what all of them did.

        Args:
            reports: Those of the block that were followed.
        """
        self._settle()
        ledger = read_ledger(self._ledger)
        entries = None if ledger is None else ledger[self._begin :]
        # An order that was taken for a repeated one is followed by no client, but may be billed.
        known = {row.job_id for row in reports if row.job_id is not None}
        billed = {entry.job_id for entry in entries or ()}
        jobs = [look_at(self._api, job_id) for job_id in sorted(known | billed)]
        return Effects(self._whole, jobs, entries)


def read_ledger(path: Path) -> list[Entry] | None:
    """Return the billing ledger, oldest entry first; None where there is none.

    It belongs to the job tier, of which the lab imports nothing; a test compares the two.
    """
    if not path.exists():
        return None
    address = f"file:{quote(str(path))}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=_BUSY_S)) as ledger:
        found = ledger.execute("select job_id, request_ref from ledger order by rowid")
        return [Entry(*row) for row in found]


def look_at(api: Service, job_id: str) -> Served:
    """Ask for a job and, if it is done, for its file, as any client would.

    A job that the API does not know any more is not done: a finding, and no fault of the lab.

    Raises:
        NoAnswerError: the API does not answer.
    """
    url = f"{api.url}/reports/{job_id}"
    try:
        job: dict[str, Any] = json.loads(ask(api, url, timeout_s=_TIMEOUT_S))
    except NotFoundError:
        return Served(job_id, 0, is_done=False, file=None)
    is_done = job["status"] == "done"
    file = _fetch(api, f"{url}/file") if is_done else None
    return Served(job_id, job["attempt"], is_done, file)


def _fetch(api: Service, url: str) -> ServedFile | None:
    try:
        content = ask(api, url, timeout_s=_TIMEOUT_S)
    except NoAnswerError:
        return None  # a finding, not a fault of the lab: the job is said to be done
    return ServedFile(len(content), sha256(content).hexdigest())


def effect_measures(effects: Effects) -> dict[str, float]:
    """Count what was done, and what was done twice or by half."""
    done = [job for job in effects.jobs if job.is_done]
    sizes = [job.file.size for job in done if job.file is not None]
    found: dict[str, float | None] = {
        "jobs.count": len(effects.jobs),
        "jobs.attempts": sum(job.attempts for job in effects.jobs),
        "files.checked": len(done),
        "files.partial": sum(not _is_whole(job, effects.whole) for job in done),
        "files.smallest_bytes": min(sizes, default=None),
    }
    if effects.entries is not None:
        found |= _ledger_measures(effects.entries)
    return {name: value for name, value in found.items() if value is not None}


def _is_whole(job: Served, whole: Collection[str]) -> bool:
    # A file that is promised and not there is no better than half of it.
    return job.file is not None and job.file.sha256 in whole


def _ledger_measures(entries: Sequence[Entry]) -> dict[str, float | None]:
    by_report = Counter(entry.request_ref for entry in entries)
    by_job = Counter(entry.job_id for entry in entries)
    return {
        "ledger.entries": len(entries),
        "ledger.per_report_max": _highest(by_report.values()),
        "ledger.per_job_max": _highest(by_job.values()),
        "ledger.doubled": sum(count > 1 for count in by_report.values()),
    }


def _highest(counts: Iterable[int]) -> int | None:
    return max(counts, default=None)
