"""The rows of the raw logs, shared by the process that writes them and the one that reads them."""

import csv
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

REQUESTS_FILE = "requests.csv"
REPORTS_FILE = "reports.csv"
REFUSALS_FILE = "refusals.csv"
SUMMARY_FILE = "summary.json"

#: `error` of a request whose answer did not come before the deadline.
UNANSWERED = "unanswered"


class RequestRow(NamedTuple):
    """One due request; moments are seconds since the start, None where it did not happen.

    Attributes:
        name: Name of the stream.
        due_s: When it should have been sent.
        sent_s: When the generator began to send it; connecting comes after this.
        done_s: When the last byte of the answer arrived.
        status: HTTP status of the answer.
        bytes: Length of the answer's body.
        error: Why the request failed; empty when it did not.
    """

    name: str
    due_s: float
    sent_s: float | None
    done_s: float | None
    status: int | None
    bytes: int | None
    error: str


class ReportRow(NamedTuple):
    """One followed request: what became of the report it asked for.

    Attributes:
        name: Name of the stream.
        due_s: When the request should have been sent.
        seen_s: When the client had the final state in its hands; None if it never did.
        job_id: As the server named it.
        status: Final status, `missing` if the server no longer knows the job, else None.
        accepted_at: The server's own times, as it wrote them.
        started_at: See `accepted_at`.
        finished_at: See `accepted_at`.
        rows: Lines of the report.
        bytes: Size of its file.
        sha256: Digest of its file.
    """

    name: str
    due_s: float
    seen_s: float | None
    job_id: str | None
    status: str | None
    accepted_at: str | None
    started_at: str | None
    finished_at: str | None
    rows: int | None
    bytes: int | None
    sha256: str | None


class RefusalRow(NamedTuple):
    """One `503` with `Retry-After`, to a request that is sent again then.

    Attributes:
        name: Name of the stream.
        due_s: When the request should have been sent the first time.
        sent_s: When it was sent this time.
        done_s: When it was refused.
        retry_after_s: Seconds after which it may be sent again, by the server's own words.
        again_s: When it was; None if the deadline came first.
    """

    name: str
    due_s: float
    sent_s: float
    done_s: float
    retry_after_s: int
    again_s: float | None


def seconds_between(begin: str | None, end: str | None) -> float | None:
    """Return the seconds between two of the server's own times; None unless both are known."""
    if not (begin and end):
        return None
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()


def write_rows(path: Path, header: Iterable[str], rows: Iterable[tuple[object, ...]]) -> None:
    """Write a CSV file; None becomes blank, moments keep microseconds."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(
            [f"{value:.6f}" if isinstance(value, float) else value for value in row] for row in rows
        )


def read_requests(path: Path) -> list[RequestRow]:
    """Read a `requests.csv`."""
    return [
        RequestRow(
            name=row["name"],
            due_s=float(row["due_s"]),
            sent_s=_float(row["sent_s"]),
            done_s=_float(row["done_s"]),
            status=_int(row["status"]),
            bytes=_int(row["bytes"]),
            error=row["error"],
        )
        for row in _rows(path, RequestRow._fields)
    ]


def read_reports(path: Path) -> list[ReportRow]:
    """Read a `reports.csv`."""
    return [
        ReportRow(
            name=row["name"],
            due_s=float(row["due_s"]),
            seen_s=_float(row["seen_s"]),
            job_id=row["job_id"] or None,
            status=row["status"] or None,
            accepted_at=row["accepted_at"] or None,
            started_at=row["started_at"] or None,
            finished_at=row["finished_at"] or None,
            rows=_int(row["rows"]),
            bytes=_int(row["bytes"]),
            sha256=row["sha256"] or None,
        )
        for row in _rows(path, ReportRow._fields)
    ]


def read_refusals(path: Path) -> list[RefusalRow]:
    """Read a `refusals.csv`."""
    return [
        RefusalRow(
            name=row["name"],
            due_s=float(row["due_s"]),
            sent_s=float(row["sent_s"]),
            done_s=float(row["done_s"]),
            retry_after_s=int(row["retry_after_s"]),
            again_s=_float(row["again_s"]),
        )
        for row in _rows(path, RefusalRow._fields)
    ]


def _rows(path: Path, header: tuple[str, ...]) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != header:
            raise ValueError(
                f"{path} begins with {','.join(reader.fieldnames or ()) or 'nothing'}; a log of "
                f"this version begins with {','.join(header)}. Repeat the run"
            )
        return list(reader)


def _float(text: str) -> float | None:
    return float(text) if text else None


def _int(text: str) -> int | None:
    return int(text) if text else None
