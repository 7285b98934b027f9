"""Following an accepted report to its end: what to read in answers, what to do next. Pure."""

import json
from collections.abc import Mapping
from typing import NamedTuple

from offloop.load.records import ReportRow
from offloop.load.retry_after import seconds_of

#: Statuses after which a report does not change any more.
FINAL = frozenset({"done", "failed", "cancelled"})

#: Our own word for a job that the server answers 404 or 410 for: it will not come any more.
MISSING = "missing"

#: The server may hold a question for this long if the report is not ready (RFC 7240, `wait`).
WAIT_S = 10

#: Between two questions when the server gives no `Retry-After`: short beside a report.
DEFAULT_RETRY_S = 0.5


class Outcome(NamedTuple):
    """The part of a `ReportRow` that the server decides."""

    job_id: str | None = None
    status: str | None = None
    accepted_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    rows: int | None = None
    bytes: int | None = None
    sha256: str | None = None

    @property
    def is_final(self) -> bool:
        """True when asking again would bring nothing new."""
        return self.status in FINAL or self.status == MISSING

    def row(self, name: str, due_s: float, seen_s: float | None) -> ReportRow:
        """Put the outcome beside the request that ordered the report."""
        return ReportRow(name, due_s, seen_s, *self)


def read_outcome(body: bytes) -> Outcome:
    """Take from a report's JSON what is there; everything is None if it is no such JSON."""
    try:
        report = json.loads(body)
    except ValueError:
        return Outcome()
    if not isinstance(report, Mapping):
        return Outcome()
    result = report.get("result")
    made = result if isinstance(result, Mapping) else {}
    return Outcome(
        job_id=_text(report, "job_id"),
        status=_text(report, "status"),
        accepted_at=_text(report, "accepted_at"),
        started_at=_text(report, "started_at"),
        finished_at=_text(report, "finished_at"),
        rows=_number(made, "rows"),
        bytes=_number(made, "bytes"),
        sha256=_text(made, "sha256"),
    )


def pause_s(retry_after: str | None, asked_for_s: float) -> float:
    """Say how long to wait before asking again.

    Args:
        retry_after: The header, in seconds; a date or nothing means `DEFAULT_RETRY_S`.
        asked_for_s: How long the server held the last question. One that was held to the full has
            done the waiting already.
    """
    if asked_for_s >= WAIT_S:
        return 0.0
    told_s = seconds_of(retry_after)
    return DEFAULT_RETRY_S if told_s is None else float(told_s)


def _text(report: Mapping[str, object], key: str) -> str | None:
    value = report.get(key)
    return value if isinstance(value, str) else None


def _number(report: Mapping[str, object], key: str) -> int | None:
    value = report.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
