"""How long a report takes on this machine, today, and how long it holds the event loop."""

import json
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from statistics import mean, median
from typing import Any, NamedTuple, Self

from offloop.bench.capacity import slots_serving
from offloop.bench.experiment import Experiment, Load
from offloop.bench.plans import block_plan
from offloop.bench.scaling import scaled
from offloop.bench.stage import Setting
from offloop.bench.streams import OrderStream, ReportOrder
from offloop.load.following import read_outcome
from offloop.load.generator import Generator
from offloop.load.records import ReportRow
from offloop.measuring.instruments.queue import drain_per_s
from offloop.measuring.instruments.requests import run_s
from offloop.measuring.scraping import scrape
from offloop.stack.asking import NoAnswerError, ask
from offloop.stack.service import Service

#: Reports that are timed under load, at first and before every later block: one alone may be off by
#: a fifth, and a prediction made from it by as much.
REPORTS = 3

#: They come one at a time: the share of time in which one is being built. Reports that take 40%
#: longer than the one before the load still do not meet.
_UTILISATION = 0.7

#: Reports before that, without load.
_ALONE = 2

#: Reports by which it is timed how fast slots drain a queue. How long a slot takes to its next job
#: varies by tens of milliseconds, so that their mean needs some.
IN_A_ROW = 24

_TIMEOUT_S = 120.0

_LOOK_S = 0.05

#: Seconds more than a server's worker takes to give a sign of life.
_SPARE_S = 0.2

#: Seconds to wait at most for a stall to be counted. Reports too short to be one never are.
_COUNTED_S = 1.0


class Calibration(NamedTuple):
    """What one report of a stream costs.

    Attributes:
        runs_s: Seconds that each of a few is worked on, by its own times.
        blocked_s: Seconds of these in which the API's event loop did not run, the mean: waiting
            for rows is awaited and holds up no other request, all that follows does. None where
            workers build it.
        queue: The queue that it waits in; None where there is none.
        sha256: Of its file, as nothing has disturbed the work; None where the API does not say.
        drain_per_s: Reports that all slots on its queue together build in a second while it is
            never empty, by how many slots there are: as many as at first, and as many as there
            are when events have scaled them. Less than 1 / `run_s` for each slot, which takes a
            moment from one job to the next. Only of streams that say `drain`.
    """

    runs_s: tuple[float, ...]
    blocked_s: float | None
    queue: str | None
    sha256: str | None
    drain_per_s: Mapping[int, float]

    @property
    def run_s(self) -> float:
        """Seconds that one is worked on, the median."""
        return median(self.runs_s)

    @property
    def stalls_s(self) -> tuple[float, ...]:
        """Seconds for which each holds the event loop: its share of all that they held it."""
        return tuple((self.blocked_s or 0.0) * run_s / mean(self.runs_s) for run_s in self.runs_s)

    def at_pace(self, pace: float) -> Self:
        """Return what it costs on a machine that is as many times as fast."""
        return self._replace(
            runs_s=tuple(run_s / pace for run_s in self.runs_s),
            blocked_s=None if self.blocked_s is None else self.blocked_s / pace,
            drain_per_s={slots: drain * pace for slots, drain in self.drain_per_s.items()},
        )


class _Stalls(NamedTuple):
    number: float
    lost_s: float

    @classmethod
    def of(cls, api: Service) -> Self:
        found = scrape(api)
        try:
            return cls(
                sum(process["offloop_loop_stalls_total"] for process in found),
                sum(process["offloop_loop_lost_seconds_total"] for process in found),
            )
        except KeyError as error:
            raise NoAnswerError(f"{api.name} does not expose {error}; see its log.") from error


class Calibrator:
    """Has the naive arm build a few reports under the plain requests of the experiment.

    Without them the machine would be quieter than in any block, and reports faster.
    """

    def __init__(
        self, generator: Generator, setting: Setting, experiment: Experiment, out: Path
    ) -> None:
        """Prepare to calibrate.

        Args:
            generator: Sends the load.
            setting: The services behind the naive arm.
            experiment: Says what is sent.
            out: Folder for the generator's raw logs.
        """
        self._generator = generator
        self._setting = setting
        self._experiment = experiment
        self._out = out

    def calibrate(self) -> dict[str, Calibration]:
        """Return what a report of each stream costs.

        Raises:
            GeneratorError: the load could not be sent.
            NoAnswerError: a report was not built, or the metrics are not there.
            NotIdleError: reports are still being built after all have been timed.
        """
        found = {}
        for name, stream in self._experiment.load.calibrated.items():
            found[name] = self._time(name, stream)
            self._setting.wait_until_empty()
        return found

    def calibrate_again(self, before: Mapping[str, Calibration]) -> dict[str, Calibration]:
        """Return what reports cost by now, which takes less time than at first.

        Where it is known how fast the slots that there are at first drain a stream, that is
        measured again, and what else was calibrated changes as it does. Else `REPORTS` reports are
        timed again.

        Args:
            before: What was found at first, by stream.

        Raises:
            GeneratorError: the load could not be sent.
            NoAnswerError: a report was not built, or the metrics are not there.
            NotIdleError: reports are still being built after all have been timed.
        """
        found = {name: self._again(name, first) for name, first in before.items()}
        self._setting.wait_until_empty()
        return found

    def _again(self, name: str, first: Calibration) -> Calibration:
        if first.queue is not None and first.drain_per_s:
            slots = slots_serving([first.queue], self._setting.pools)
            drain = self._drain(name, slots, first.run_s)
            return first.at_pace(drain / first.drain_per_s[slots])
        runs_s, blocked_s = self._time_under_load(name, first.run_s)
        return first._replace(runs_s=runs_s, blocked_s=blocked_s)

    def _time(self, name: str, stream: OrderStream) -> Calibration:
        # Reports that follow each other at once are one silence.
        sign_s = self._setting.arm.server.sign_of_life_s
        pause_s = 0.0 if sign_s is None else sign_s + _SPARE_S
        api = self._setting.api
        stalls = self._stalls()
        alone_s, queue, digest = _time_alone(api, stream.order, pause_s)
        if stalls is not None:
            _count_stalls(api, stalls.number + _ALONE)
        runs_s, blocked_s = self._time_under_load(name, alone_s)
        drains = {} if queue is None or stream.drain is None else self._drains(name, queue, alone_s)
        return Calibration(runs_s, blocked_s, queue, digest, drains)

    def _stalls(self) -> _Stalls | None:
        """Return the stalls so far of an API that builds reports itself."""
        tier = self._experiment.arms["naive"].has_tier
        return None if tier else _Stalls.of(self._setting.api)

    def _time_under_load(self, name: str, alone_s: float) -> tuple[tuple[float, ...], float | None]:
        """Return the seconds for which reports are worked on, and for which they block the loop."""
        api = self._setting.api
        plan = block_plan(
            self._one_at_a_time(name, self._experiment.load.orders[name]),
            (*self._plain_requests(), name),
            api.url or "",
            {name: _UTILISATION / alone_s},
            seed=0,
            duration_s=REPORTS * alone_s / _UTILISATION,
        )
        before = self._stalls()
        log = self._generator.run(plan, self._out / name)
        times = tuple(taken for row in log.reports if (taken := run_s(row)) is not None)
        if not times:
            raise NoAnswerError(
                f"{api.name} built no report of the stream {name} while it was calibrated; see "
                "the logs."
            )
        if before is None:
            return times, None
        after = _count_stalls(api, before.number + len(times))
        return times, (after.lost_s - before.lost_s) / len(times)

    def _drains(self, name: str, queue: str, alone_s: float) -> Mapping[int, float]:
        pools, scaled_pools = self._setting.pools, self._experiment.scaled_pools("naive")
        slots, scaled_slots = (slots_serving([queue], each) for each in (pools, scaled_pools))
        found = {slots: self._drain(name, slots, alone_s)}
        if scaled_slots != slots:
            # Two slots do not build twice as many where they share a core's caches or the memory.
            with ExitStack() as cleanup:
                for pool, wanted in scaled_pools.items():
                    if wanted.slots != pools[pool].slots:
                        cleanup.enter_context(scaled(self._setting, pool, wanted.slots))
                # The first report of a new slot pays for what is loaded lazily.
                self._order_at_once(name, scaled_slots, _ALONE * scaled_slots, alone_s)
                found[scaled_slots] = self._drain(name, scaled_slots, alone_s)
        return found

    def _drain(self, name: str, slots: int, alone_s: float) -> float:
        """Return how many reports so many slots build in a second that never wait for one."""
        reports = self._order_at_once(name, slots, IN_A_ROW, alone_s)
        ends = [row.finished_at for row in reports if row.finished_at is not None]
        found = drain_per_s((datetime.fromisoformat(end).timestamp() for end in ends), slots)
        if found is None:
            raise NoAnswerError(
                f"Of {IN_A_ROW} reports of the stream {name} that were ordered at once, "
                f"{self._setting.api.name} built {len(ends)} in time: how fast {slots} slots drain "
                "their queue cannot be told. See the logs."
            )
        return found

    def _order_at_once(
        self, name: str, slots: int, number: int, alone_s: float
    ) -> Sequence[ReportRow]:
        duration_s = number * alone_s / slots
        plan = block_plan(
            self._experiment.load,
            (*self._plain_requests(), name),
            self._setting.api.url or "",
            {name: number / duration_s},
            seed=0,
            duration_s=duration_s,
        )
        at_once = {"due_s": [0.0] * number}
        streams = [
            stream.model_copy(update=at_once) if stream.name == name else stream
            for stream in plan.streams
        ]
        log = self._generator.run(
            plan.model_copy(update={"streams": streams}), self._out / f"{name}-{slots}-{number}"
        )
        self._setting.wait_until_empty()
        return log.reports

    def _one_at_a_time(self, name: str, stream: OrderStream) -> Load:
        # What several of them cost each other is not what one costs.
        once = {
            "arrivals": "constant",
            "burst": 1,
            "repeat_after_s": None,
            "from_s": 0.0,
            "until_s": None,
        }
        evenly = stream.model_copy(update=once)
        load = self._experiment.load
        return load.model_copy(update={"streams": {**load.streams, name: evenly}})

    def _plain_requests(self) -> Collection[str]:
        plain = self._experiment.load.requests
        return [name for name in self._experiment.streams_of("naive") if name in plain]


def warm_up(api: Service, order: ReportOrder) -> None:
    """Have a few reports built, so that none that counts pays for what is loaded lazily.

    Raises:
        NoAnswerError: a report was not built.
    """
    for _ in range(_ALONE):
        build_report(api, order)


def _count_stalls(api: Service, expected: float) -> _Stalls:
    """Return the stalls so far, with the latest, which the monitor counts a moment later."""
    deadline = time.monotonic() + _COUNTED_S
    stalls = _Stalls.of(api)
    while stalls.number < expected and time.monotonic() < deadline:
        time.sleep(_COUNTED_S / 20)
        stalls = _Stalls.of(api)
    return stalls


def _time_alone(
    api: Service, order: ReportOrder, pause_s: float
) -> tuple[float, str | None, str | None]:
    """Return the seconds of the last of a few, its queue, and the SHA-256 of its file.

    The first one pays for what is loaded lazily.
    """
    taken_s: float | None = None
    digest: str | None = None
    job: dict[str, Any] = {}
    for _ in range(_ALONE):
        time.sleep(pause_s)
        body = build_report(api, order)
        job = json.loads(body)
        report = read_outcome(body).row("", 0.0, None)
        taken_s, digest = run_s(report), report.sha256
    if not taken_s:
        raise NoAnswerError(f"{api.name} does not say how long it worked on a report: {job}")
    return taken_s, job.get("queue"), digest


def build_report(api: Service, order: ReportOrder) -> bytes:
    """Order a report, wait for it, and return its JSON.

    Raises:
        NoAnswerError: it was not built.
    """
    deadline = time.monotonic() + _TIMEOUT_S
    ordered = order.model_dump_json().encode()
    body = ask(api, f"{api.url}/reports", timeout_s=_TIMEOUT_S, body=ordered)
    outcome = read_outcome(body)
    while not outcome.is_final:
        if time.monotonic() > deadline:
            raise NoAnswerError(
                f"{api.name} has had a report for {_TIMEOUT_S:g} s that is not finished: "
                f"{outcome}. The logs say what its workers do."
            )
        time.sleep(_LOOK_S)
        url = f"{api.url}/reports/{outcome.job_id}"
        body = ask(api, url, timeout_s=_TIMEOUT_S)
        outcome = read_outcome(body)
    return body
