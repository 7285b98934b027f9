"""The request log of one run, and the figures it comes to.

Every due request counts in every percentile. The answer of one that failed (a status that was not
expected, a broken connection, no answer before the deadline) never came, which is longer than any
time that was measured:

| figure | succeeded | failed | never sent |
| --- | --- | --- | --- |
| response time | done - due | never | never |
| service time | done - sent | never | never |
| dispatch lag | sent - due | sent - due | never |

A percentile that falls among the failed is "never": infinite here, null in `summary.json`. The
percentiles of the requests that succeeded stand apart, as `succeeded_ms`.

A request that is sent again after a refusal is one request: it was sent when it was first sent, and
its answer is the last one. Its refusals are rows of their own.

So a server that answers half of its requests with a quick error has no p99 at all, not a short one,
and `failed` says why.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict

from offloop.load.percentiles import Percentiles
from offloop.load.plan import RESERVED_NAMES
from offloop.load.records import (
    REFUSALS_FILE,
    REPORTS_FILE,
    REQUESTS_FILE,
    SUMMARY_FILE,
    RefusalRow,
    ReportRow,
    RequestRow,
    read_refusals,
    read_reports,
    read_requests,
)

SCHEMA: Final = "offloop.load/1"

#: A schedule counts as kept while the 99th percentile of dispatch lag stays below this.
DISPATCH_LAG_LIMIT_MS = 10.0

_MS = 1000.0

#: The time of what never came: longer than every time that was measured.
NEVER = math.inf


class StreamSummary(BaseModel):
    """What became of the requests of one name.

    Attributes:
        offered: Requests that were due.
        sent: Requests that were sent.
        answered: Requests that got an answer in time, whatever its status.
        failed: Requests without an answer, or with one that was not expected.
        response_ms: From the moment a request was due; None when none was.
        service_ms: From the moment it was sent.
        dispatch_lag_ms: How late the generator sent it.
        succeeded_ms: From the moment a request was due, of those that succeeded alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    offered: int
    sent: int
    answered: int
    failed: int
    response_ms: Percentiles | None
    service_ms: Percentiles | None
    dispatch_lag_ms: Percentiles | None
    succeeded_ms: Percentiles | None

    def broken_schedule(self) -> str | None:
        """Say how far the generator was from sending what was due when it was; None if it did."""
        if self.sent < self.offered:
            return f"only {self.sent} of {self.offered} due requests were sent"
        lag = self.dispatch_lag_ms
        if lag is not None and lag.p99 > DISPATCH_LAG_LIMIT_MS:
            return (
                f"requests were sent late: 99th percentile of dispatch lag {lag.p99:.1f} ms, "
                f"limit {DISPATCH_LAG_LIMIT_MS:g} ms"
            )
        return None


@dataclass(frozen=True)
class RequestLog:
    """Raw rows of one run.

    Attributes:
        names: Streams of the plan, also those that had nothing due.
        start_monotonic_s: Second 0, on CLOCK_MONOTONIC.
        deadline_s: When the generator stopped waiting, in seconds since the start.
        requests: One row for every due request, by due time. The position of a row is the second
            part of the request's `X-Request-Id`.
        reports: One row for every due request of a followed stream, by due time.
        cpu_s: Processor seconds the generator used for the run.
        refusals: One row for every refusal of a request that is sent again, by when it was due.
    """

    names: tuple[str, ...]
    start_monotonic_s: float
    deadline_s: float
    requests: list[RequestRow]
    reports: list[ReportRow]
    cpu_s: float
    refusals: list[RefusalRow] = field(default_factory=list)

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read a directory that the generator has written.

        Raises:
            OSError: A file is missing or unreadable.
            ValueError: A file is not of this version.
        """
        path = directory / SUMMARY_FILE
        summary = json.loads(path.read_text(encoding="utf-8"))
        if summary.get("schema") != SCHEMA:
            raise ValueError(
                f"{path} has the schema {summary.get('schema')!r}; this version reads "
                f"{SCHEMA!r}. Repeat the run"
            )
        return cls.read_rows(
            directory,
            names=tuple(name for name in summary if name not in RESERVED_NAMES),
            start_monotonic_s=summary["start_monotonic_s"],
            deadline_s=summary["deadline_s"],
            cpu_s=summary["generator_cpu_s"],
        )

    @classmethod
    def read_rows(
        cls,
        directory: Path,
        *,
        names: tuple[str, ...],
        start_monotonic_s: float,
        deadline_s: float,
        cpu_s: float,
    ) -> Self:
        """Read the raw rows of a run whose summary has not been written yet."""
        return cls(
            names=names,
            start_monotonic_s=start_monotonic_s,
            deadline_s=deadline_s,
            cpu_s=cpu_s,
            requests=read_requests(directory / REQUESTS_FILE),
            reports=read_reports(directory / REPORTS_FILE),
            refusals=read_refusals(directory / REFUSALS_FILE),
        )

    def due_between(self, from_s: float, until_s: float) -> Self:
        """Keep what was due in `[from_s, until_s)`, to leave a warm-up out or look at a phase."""
        return replace(
            self,
            requests=[row for row in self.requests if from_s <= row.due_s < until_s],
            reports=[row for row in self.reports if from_s <= row.due_s < until_s],
            refusals=[row for row in self.refusals if from_s <= row.due_s < until_s],
        )

    def of(self, name: str) -> list[RequestRow]:
        """Give the requests of one stream, by due time."""
        return [row for row in self.requests if row.name == name]

    def summary(self) -> dict[str, StreamSummary]:
        """Compute the figures of every stream, by name."""
        return {name: summarise(self.of(name)) for name in self.names}

    def write_summary(self, directory: Path) -> None:
        """Write `summary.json`."""
        content = {
            "schema": SCHEMA,
            "start_monotonic_s": self.start_monotonic_s,
            "deadline_s": self.deadline_s,
            "generator_cpu_s": self.cpu_s,
            # By way of JSON, in which what never came is null.
            **{
                name: json.loads(figures.model_dump_json())
                for name, figures in self.summary().items()
            },
        }
        text = json.dumps(content, indent=2) + "\n"
        (directory / SUMMARY_FILE).write_text(text, encoding="utf-8")


def summarise(requests: Iterable[RequestRow]) -> StreamSummary:
    """Compute the figures of `requests`; the table at the top of this module is what it follows."""
    rows = list(requests)
    return StreamSummary(
        offered=len(rows),
        sent=sum(row.sent_s is not None for row in rows),
        answered=sum(row.done_s is not None for row in rows),
        failed=sum(not succeeded(row) for row in rows),
        response_ms=Percentiles.of(response_s(row) * _MS for row in rows),
        service_ms=Percentiles.of(service_s(row) * _MS for row in rows),
        dispatch_lag_ms=Percentiles.of(dispatch_lag_s(row) * _MS for row in rows),
        succeeded_ms=Percentiles.of(response_s(row) * _MS for row in rows if succeeded(row)),
    )


def succeeded(row: RequestRow) -> bool:
    """True if the expected answer came before the deadline."""
    return row.done_s is not None and not row.error


def response_s(row: RequestRow) -> float:
    """Seconds from the moment the request was due to its answer; infinite if it failed."""
    return _end_s(row) - row.due_s


def service_s(row: RequestRow) -> float:
    """Seconds from the moment the request was sent to its answer; infinite if it failed."""
    return _end_s(row) - (row.due_s if row.sent_s is None else row.sent_s)


def dispatch_lag_s(row: RequestRow) -> float:
    """Seconds by which the generator was late; infinite if it never sent."""
    return NEVER if row.sent_s is None else row.sent_s - row.due_s


def _end_s(row: RequestRow) -> float:
    return row.done_s if row.done_s is not None and succeeded(row) else NEVER
