"""How long one report takes on this machine, today, and how long it holds the event loop."""

import time
from pathlib import Path
from statistics import median
from typing import NamedTuple, Self

from offloop.bench.asking import NoAnswerError, ask
from offloop.bench.experiment import Experiment, ReportOrder
from offloop.bench.plans import block_plan
from offloop.bench.scraping import scrape
from offloop.load.generator import Generator
from offloop.load.log import service_s, succeeded
from offloop.stack.service import Service

#: Reports that are timed under load.
REPORTS = 3

#: Reports before that, without load.
_ALONE = 2

_TIMEOUT_S = 120.0

#: Seconds to wait at most for a stall to be counted. Reports too short to be one never are.
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


def calibrate(generator: Generator, api: Service, experiment: Experiment, out: Path) -> Calibration:
    """Have an API build a few reports in the request, under the bystanders of the experiment.

    Without them the machine would be quieter than in any block, and reports faster.

    Args:
        generator: Sends the load.
        api: Answers as the naive arm does.
        experiment: Says what is sent.
        out: Folder for the generator's raw log.

    Raises:
        GeneratorError: the load could not be sent.
        NoAnswerError: a report was not built, or the metrics are not there.
    """
    at_first = _Stalls.of(api)
    alone_s = _time_one(api, experiment.load.report)
    duration_s = REPORTS * alone_s / experiment.load.report_utilisation
    plan = block_plan(experiment, "naive", api.url or "", alone_s, 0, duration_s)
    before = _count_stalls(api, at_first.number + _ALONE)
    log = generator.run(plan, out)
    reports = [row for row in log.of("report") if succeeded(row)]
    if not reports:
        raise NoAnswerError(f"{api.name} built no report while it was calibrated; see its log.")
    after = _count_stalls(api, before.number + len(reports))
    return Calibration(
        report_s=median(service_s(row, log.deadline_s) for row in reports),
        blocked_s=(after.lost_s - before.lost_s) / len(reports),
    )


def _count_stalls(api: Service, expected: float) -> _Stalls:
    """Return the stalls so far, with the latest, which the monitor counts a moment later."""
    deadline = time.monotonic() + _COUNTED_S
    stalls = _Stalls.of(api)
    while stalls.number < expected and time.monotonic() < deadline:
        time.sleep(_COUNTED_S / 20)
        stalls = _Stalls.of(api)
    return stalls


def _time_one(api: Service, order: ReportOrder) -> float:
    """Return the seconds of the last of a few: the first one pays for what is loaded lazily."""
    body = order.model_dump_json().encode()
    seconds = 0.0
    for _ in range(_ALONE):
        began = time.perf_counter()
        ask(api, f"{api.url}/reports", timeout_s=_TIMEOUT_S, body=body)
        seconds = time.perf_counter() - began
    return seconds
