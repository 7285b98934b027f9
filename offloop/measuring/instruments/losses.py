"""What became of the orders that an event met: pure functions.

There are two counts, for two kinds of damage. An order that had been *accepted* is a promise: if it
is lost, the promise is broken, and the client is not told. An order that still waits for its answer
has no promise: the connection breaks, and the client knows. In both cases no report is built.
"""

from collections.abc import Sequence
from typing import NamedTuple

from offloop.load.log import RequestLog
from offloop.load.records import ReportRow, RequestRow
from offloop.measuring.rows import DONE, Happened


def losses(log: RequestLog, happened: Sequence[Happened]) -> dict[str, float | None]:
    """Count, of each event, the orders that were on their way when it began and came to nothing.

    ``ID.lost`` had been accepted before: the client had received a job id. ``ID.undone`` are these,
    and those that had been sent and not been answered. An order counts for the first event that
    comes after it. An order that is sent while an earlier event has not ended counts as undone only
    if it was accepted: otherwise the earlier event may have refused it.

    Args:
        log: Every request.
        happened: What was done to the services meanwhile.

    Returns:
        The measures; none where no reports were ordered.
    """
    orders = _orders(log)
    events = sorted(happened, key=lambda event: event.at_s)
    if not orders:
        return {}
    found: dict[str, float | None] = {}
    for number, event in enumerate(events):
        earlier = events[:number]
        unfinished = [order for order in orders if not order.is_done]
        lost = [order for order in unfinished if _accepted_in_time(order, event, earlier)]
        waiting = [order for order in unfinished if _waits(order, event, earlier)]
        found[f"{event.id}.lost"] = len(lost)
        found[f"{event.id}.undone"] = len(lost) + len(waiting)
    return found


class _Order(NamedTuple):
    request: RequestRow
    report: ReportRow

    @property
    def is_done(self) -> bool:
        return self.report.status == DONE

    @property
    def accepted_s(self) -> float | None:
        """When the sender knew that it was accepted; None if it was not."""
        return None if self.report.job_id is None else self.request.done_s


def _orders(log: RequestLog) -> list[_Order]:
    # Both are in the order of the same plan.
    followed = {row.name for row in log.reports}
    requests = [row for row in log.requests if row.name in followed]
    return [_Order(*pair) for pair in zip(requests, log.reports, strict=True)]


def _accepted_in_time(order: _Order, event: Happened, earlier: Sequence[Happened]) -> bool:
    accepted_s = order.accepted_s
    if accepted_s is None or accepted_s > event.at_s:
        return False
    return all(accepted_s > before.at_s for before in earlier)


def _waits(order: _Order, event: Happened, earlier: Sequence[Happened]) -> bool:
    """Whether its sender had no answer yet when an event began."""
    sent_s, done_s = order.request.sent_s, order.request.done_s
    if sent_s is None or sent_s > event.at_s or (done_s is not None and done_s <= event.at_s):
        return False
    return all(sent_s > before.at_s + (before.lasted_s or 0.0) for before in earlier)
