"""What became of accepted reports in the end, where the API was away while clients asked for it."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace

from offloop.bench.asking import NoAnswerError, ask
from offloop.bench.stage import Setting
from offloop.load.following import Outcome, read_outcome
from offloop.load.log import RequestLog
from offloop.load.records import ReportRow

#: Seconds to wait for a report that is not finished, once nothing is left in any queue: several
#: times as long as a report takes that an API has in its memory.
PATIENCE_S = 2.0

_LOOK_S = 0.1

_TIMEOUT_S = 5.0


def asked_again(setting: Setting, log: RequestLog) -> RequestLog:
    """Ask for each accepted report that no client has seen finished, and return what it came to.

    How soon an API is back depends on the machine, and whether a report is lost must not. What the
    clients saw stays as it is.

    Args:
        setting: The services behind the arm; its API is there again.
        log: Every request.

    Raises:
        NotIdleError: queues do not get empty.
    """
    setting.wait_until_empty()

    def find(job_id: str) -> Outcome:
        url = f"{setting.api.url}/reports/{job_id}"
        with suppress(NoAnswerError):  # it does not know the report any more
            return read_outcome(ask(setting.api, url, timeout_s=_TIMEOUT_S))
        return Outcome()

    return replace(log, reports=_settled(log.reports, find))


def _settled(rows: Iterable[ReportRow], find: Callable[[str], Outcome]) -> list[ReportRow]:
    found = list(rows)
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = [_as_it_is(row, find) for row in found]
        if all(map(_is_settled, found)) or time.monotonic() > deadline:
            return found
        time.sleep(_LOOK_S)


def _is_settled(row: ReportRow) -> bool:
    return row.job_id is None or Outcome(status=row.status).is_final


def _as_it_is(row: ReportRow, find: Callable[[str], Outcome]) -> ReportRow:
    if row.job_id is None or _is_settled(row):
        return row
    outcome = find(row.job_id)
    return row if outcome.job_id is None else row._replace(**outcome._asdict())
