"""What the jobs of one block have done to the world, beside their records: pure functions.

Two effects outlast a job: the entries of the billing ledger, and the file that is served. Both are
looked at when every queue is empty again, for all jobs of the block: those that a client followed,
and those that it does not know of.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

#: What the names of their measures begin with.
PREFIXES = ("ledger.", "files.")


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
        attempts: How often somebody began with it.
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
        entries: What the ledger gained; None where nobody keeps one.
    """

    whole: Collection[str]
    jobs: Sequence[Served]
    entries: Sequence[Entry] | None


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
