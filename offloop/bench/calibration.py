"""How long one report takes on this machine, today, and how long it holds the event loop."""

import time
from statistics import median
from typing import NamedTuple, Self

from offloop.bench.asking import NoAnswerError, ask
from offloop.bench.experiment import ReportOrder
from offloop.bench.scraping import scrape
from offloop.stack.service import Service

#: Reports that are timed, after one that is not.
REPORTS = 3

_TIMEOUT_S = 120.0

#: Seconds to wait for the last stall to be counted: the monitor's thread does that, a moment
#: after the loop goes on.
_COUNTED_S = 1.0


class Calibration(NamedTuple):
    """What one report costs.

    Attributes:
        report_s: Seconds from request to answer, the median.
        blocked_s: Seconds of these in which the event loop did not run, the mean: waiting for
            rows is awaited and holds up nobody, all that follows does.
    """

    report_s: float
    blocked_s: float


class _Stalls(NamedTuple):
    number: float
    lost_s: float

    @classmethod
    def of(cls, api: Service) -> Self:
        found = scrape(api)
        try:
            return cls(found["offloop_loop_stalls_total"], found["offloop_loop_lost_seconds_total"])
        except KeyError as error:
            raise NoAnswerError(f"{api.name} does not expose {error}; see its log.") from error


def calibrate(api: Service, order: ReportOrder) -> Calibration:
    """Order a report a few times, one after the other, from an API that builds it in the request.

    Raises:
        NoAnswerError: the service did not answer, or not with a report, or without its metrics.
    """
    body = order.model_dump_json().encode()
    ask(api, f"{api.url}/reports", timeout_s=_TIMEOUT_S, body=body)
    before = _Stalls.of(api)
    seconds = []
    for _ in range(REPORTS):
        began = time.perf_counter()
        ask(api, f"{api.url}/reports", timeout_s=_TIMEOUT_S, body=body)
        seconds.append(time.perf_counter() - began)
    deadline = time.monotonic() + _COUNTED_S
    after = _Stalls.of(api)
    while after.number < before.number + REPORTS and time.monotonic() < deadline:
        time.sleep(_COUNTED_S / 20)
        after = _Stalls.of(api)
    return Calibration(median(seconds), (after.lost_s - before.lost_s) / REPORTS)
