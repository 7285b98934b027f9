"""What became of accepted reports in the end, where the API was away while clients asked for it."""

from contextlib import suppress
from dataclasses import replace

from offloop.bench.stage import Setting
from offloop.load.following import Outcome, read_outcome
from offloop.load.log import RequestLog
from offloop.load.records import ReportRow
from offloop.stack.asking import NoAnswerError, ask
from offloop.stack.idle import wait_until_quiet

_TIMEOUT_S = 5.0


def asked_again(setting: Setting, log: RequestLog) -> RequestLog:
    """Ask for each accepted report that no client has seen finished, and return what it came to.

    How soon an API is back depends on the machine, and whether a report is lost must not: once
    nothing is left in any queue, and no process is at work, no other will be finished. What the
    clients saw stays as it is.

    Args:
        setting: The services behind the arm; its API is there again.
        log: Every request.

    Raises:
        NotIdleError: queues do not get empty, or processes do not come to rest.
    """
    setting.wait_until_empty()
    if all(map(_is_settled, log.reports)):
        return log
    wait_until_quiet(setting.stack.pids)
    return replace(log, reports=[_as_it_is(row, setting) for row in log.reports])


def _is_settled(row: ReportRow) -> bool:
    return row.job_id is None or Outcome(status=row.status).is_final


def _as_it_is(row: ReportRow, setting: Setting) -> ReportRow:
    if _is_settled(row):
        return row
    url = f"{setting.api.url}/reports/{row.job_id}"
    with suppress(NoAnswerError):  # it does not know the report any more
        outcome = read_outcome(ask(setting.api, url, timeout_s=_TIMEOUT_S))
        if outcome.job_id is not None:
            return row._replace(**outcome._asdict())
    return row
