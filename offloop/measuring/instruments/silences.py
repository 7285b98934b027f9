"""When a service answered nothing, as its clients know it: pure functions.

The plain requests tell it: those that were on their way and were not answered.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from offloop.load.log import RequestLog, succeeded
from offloop.load.records import RequestRow
from offloop.telemetry.loop_monitor import STALL_THRESHOLD_S


class Silence(NamedTuple):
    """A time in which requests were on their way and none was answered; seconds."""

    begin_s: float
    end_s: float


def silences(log: RequestLog) -> list[Silence]:
    """Find when the service answered none of the plain requests, for as long as a stall or longer.

    Each begins with the first request that was sent in it, or was on its way already, and ends
    with the next answer. So it is shorter than the stall by up to the time between two requests.
    """
    waits = sorted(
        (row.done_s if row.done_s is not None and succeeded(row) else log.deadline_s, row.sent_s)
        for row in plain_requests(log)
        if row.sent_s is not None
    )
    return [silence for silence in _silences(waits) if length_s(silence) >= STALL_THRESHOLD_S]


def plain_requests(log: RequestLog) -> list[RequestRow]:
    """Return the requests that have nothing to do with reports."""
    orders = {row.name for row in log.reports}
    return [row for row in log.requests if row.name not in orders]


def _silences(waits: Sequence[tuple[float, float]]) -> Iterator[Silence]:
    """Yield the times between two answers in which a request waited.

    Args:
        waits: When each request was answered, and when it was sent; by the first.
    """
    # The first that was sent of all that are answered now or later.
    first_sent_s: list[float] = []
    earliest_s = float("inf")
    for _, sent_s in reversed(waits):
        earliest_s = min(earliest_s, sent_s)
        first_sent_s.append(earliest_s)
    answered_s = float("-inf")
    for (done_s, _), sent_s in zip(waits, reversed(first_sent_s), strict=True):
        yield Silence(max(answered_s, sent_s), done_s)
        answered_s = done_s


def length_s(silence: Silence) -> float:
    """Return how long it was, seconds."""
    return silence.end_s - silence.begin_s


def cut_at(until_s: float, stalls: Sequence[Silence]) -> list[Silence]:
    """Cut stalls off at a moment; what is left of one need not be one."""
    cut = [stall._replace(end_s=min(stall.end_s, until_s)) for stall in stalls]
    return [stall for stall in cut if length_s(stall) >= STALL_THRESHOLD_S]
