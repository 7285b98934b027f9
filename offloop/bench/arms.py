"""One arm in one block: what watches it, its load, and what is measured of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from offloop.bench.calibration import build_report
from offloop.bench.experiment import Experiment
from offloop.bench.faults import Faults
from offloop.bench.lab import Lab
from offloop.bench.outcomes import asked_again
from offloop.bench.stage import Setting
from offloop.load.plan import Plan
from offloop.load.protocol import Progress
from offloop.measuring.instruments import alone, code, effects
from offloop.measuring.instruments.alone import AloneCpu
from offloop.measuring.instruments.code import CodeSize
from offloop.measuring.instruments.effects import JobEffects
from offloop.measuring.instruments.event_loop import EventLoop
from offloop.measuring.instruments.instrument import Instrument, RawRow, run_load
from offloop.measuring.instruments.queue import QueueDepth
from offloop.measuring.instruments.report_cpu import ReportCpu
from offloop.measuring.instruments.requests import Requests
from offloop.measuring.instruments.resources import Resources
from offloop.measuring.instruments.scrapes import Scrapes
from offloop.measuring.instruments.server_kills import ServerKills
from offloop.measuring.rows import Rows
from offloop.measuring.values import Recorded, merged
from offloop.stack.catalog import WAYS


@dataclass(frozen=True)
class ArmRun:
    """What came of one run of an arm.

    Attributes:
        rows: Its requests, and the faults.
        recorded: What was measured.
        taken_by: What took the machine meanwhile, most first.
        tables: Raw rows to keep, by name of their table.
    """

    rows: Rows
    recorded: Recorded
    taken_by: Sequence[str]
    tables: Mapping[str, Sequence[RawRow]]


def run_arm(
    lab: Lab, arm: str, plan: Plan, out: Path, on_progress: Callable[[Progress], None]
) -> ArmRun:
    """Send one arm its load, and measure it.

    Args:
        lab: What is up and running. Its experiment says what is done to the services meanwhile, and
            what is measured.
        arm: The arm.
        plan: The load.
        out: Folder for the generator's raw log.
        on_progress: Told about once a second how far the load is.

    Raises:
        ServiceDied: a service ended while the arm ran, without being asked to.
        ServiceFailed: a service that was ended did not start again.
        NoAnswerError: a service did not expose its metrics.
        NotIdleError: jobs were left that did not end.
        GeneratorError: the generator could not do its work.
    """
    setting, experiment = lab.arms[arm], lab.experiment

    def watch(progress: Progress) -> None:
        setting.stack.check()
        on_progress(progress)

    resources = Resources(setting.stack.pids, partial(lab.pids_beside, arm), setting.api.name)
    instruments = [*_instruments(lab, arm), resources]
    faults = Faults(setting, experiment.events, partial(_before_end, instruments))
    log = run_load(lab.generator, plan, out, [*instruments, faults], watch)
    setting.stack.check()
    # A server may be about to replace a process that it has killed.
    setting.stack.wait_until_ready(setting.api.name)
    # A report that no client has seen finished in time is late; lost is one that never is.
    log = asked_again(setting, log)
    rows = Rows(
        log=log,
        happened=faults.happened,
        queued=bool(setting.workers),
        duration_s=plan.duration_s,
        retrying=frozenset(stream.name for stream in plan.streams if stream.retry_refused),
        later=experiment.load.later,
    )
    recorded = merged(each.measured(rows) for each in instruments)
    tables: dict[str, Sequence[RawRow]] = {}
    for each in instruments:
        tables |= each.tables()
    return ArmRun(rows, recorded, resources.taken_by, tables)


def _instruments(lab: Lab, arm: str) -> Iterator[Instrument]:
    """Yield the instruments that every arm has, and those that this experiment's measures need."""
    experiment, setting = lab.experiment, lab.arms[arm]
    setup = experiment.arms[arm]
    if experiment.looks_at(code.MEASURES):
        yield CodeSize(setup.way, experiment.arms["naive"].way, lab.root)
    if experiment.looks_at(alone.OF_ORDERS):
        yield AloneCpu(setting.stack.pids, _builds(experiment, arm, setting))
    kills = setup.server.timeout_s
    if kills is not None:
        log = setting.stack.log_dir / f"{setting.api.name}.log"
        yield ServerKills(log, kills)
    yield Requests()
    yield EventLoop(setting.api)
    may_be_killed = kills is not None and setting.api in setting.builders
    yield ReportCpu(setting.builders, setting.api if may_be_killed else None)
    # Without reports there is no stall to be seen.
    if lab.scraping is not None and experiment.scrape and experiment.orders_of(arm):
        on_loop = WAYS[setup.way].metrics_on_loop
        url = f"{setting.api.url}/metrics" if on_loop else setting.api.metrics_urls[0]
        yield Scrapes(setting.api, url, lab.scraping, experiment.scrape.guilty_code)
    yield QueueDepth(setting.redis_url)
    # The last one: it asks the API for jobs and files, which other instruments would count.
    if experiment.looks_at(effects.MEASURES):
        yield JobEffects(setting.api, setting.site.ledger, lab.whole, setting.wait_until_empty)


def _builds(
    experiment: Experiment, arm: str, setting: Setting
) -> Mapping[str, Callable[[], object]]:
    orders = experiment.load.orders
    return {
        name: partial(build_report, setting.api, orders[name].order)
        for name in experiment.orders_of(arm)
    }


def _before_end(instruments: Sequence[Instrument], services: Sequence[str]) -> None:
    for instrument in instruments:
        instrument.before_end(services)
