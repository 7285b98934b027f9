"""Running one arm once, and recording everything about it."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from itertools import starmap
from pathlib import Path
from types import MappingProxyType

from offloop.bench.depth import DepthSampler
from offloop.bench.events import Event
from offloop.bench.faults import Faults
from offloop.bench.kills import Kills
from offloop.bench.last_seen import LastSeen
from offloop.bench.measures import ArmRun, Scrape
from offloop.bench.observer import Observer
from offloop.bench.outcomes import asked_again
from offloop.bench.rows import Rows
from offloop.bench.scraping import scrape, worst_lag_s
from offloop.bench.stage import Setting
from offloop.load.generator import Generator
from offloop.load.plan import Plan
from offloop.load.protocol import Progress
from offloop.measuring.noise import Watch


def run_arm(  # noqa: PLR0913 - who sends what to whom, and who else is to be told and watched
    generator: Generator,
    setting: Setting,
    plan: Plan,
    out: Path,
    on_progress: Callable[[Progress], None],
    others: Callable[[], list[int]],
    events: Sequence[Event] = (),
    observer: Observer | None = None,
    later: Mapping[str, float] = MappingProxyType({}),
) -> ArmRun:
    """Send one arm its load.

    Args:
        generator: Sends it.
        setting: The services behind the arm.
        plan: The load.
        out: Folder for the generator's raw log.
        on_progress: Told about once a second how far the load is.
        others: Process ids of the stacks that have nothing to do meanwhile, but take memory.
        events: What is to happen to the services meanwhile.
        observer: Who scrapes the API meanwhile, if anybody does.
        later: When streams begin that do not begin with the load, seconds.

    Raises:
        ServiceDied: a service ended while the arm ran, without being asked to.
        ServiceFailed: a service that was ended did not start again.
        NoAnswerError: a service did not expose its metrics.
        GeneratorError: the generator could not do its work.
    """
    kills = Kills(setting)
    scraped = {service.name: service for service in (setting.api, *setting.builders)}
    before = {name: scrape(service) for name, service in scraped.items()}

    # What a process has counted would be gone with it.
    ended: list[Scrape] = []
    # Whom its own server kills is not announced.
    may_be_killed = setting.api in setting.builders and setting.arm.server.timeout_s is not None
    last_seen = LastSeen(setting.api, before[setting.api.name]) if may_be_killed else None

    def remember(names: Sequence[str]) -> None:
        for service in setting.builders:
            if service.name in names:
                ended.extend(
                    starmap(Scrape, zip(before[service.name], scrape(service), strict=True))
                )

    def processes() -> dict[str, list[int]]:
        lab = {"generator": [generator.pid], "lab": [os.getpid()], "other-stacks": others()}
        return setting.stack.pids() | lab

    def watch(progress: Progress) -> None:
        happenings.begin(progress.start_monotonic_s)
        if observer is not None:
            observer.begin(progress.start_monotonic_s)
        setting.stack.check()
        if last_seen is not None:
            last_seen.look()
        on_progress(progress)

    with (
        Watch(processes) as machine,
        observer or nullcontext(),
        DepthSampler(setting.redis_url) as depths,
        Faults(setting, events, remember) as happenings,
    ):
        log = generator.run(plan, out, watch)
        lags_s = worst_lag_s(setting.api, time.monotonic() - log.start_monotonic_s)
    setting.stack.check()
    # A server may be about to replace a process that it has killed.
    setting.stack.wait_until_ready(setting.api.name)
    # A report that no client has seen finished in time is late; lost is one that never is.
    log = asked_again(setting, log)
    after = {name: scrape(service) for name, service in scraped.items()}
    scrapes = {
        name: list(starmap(Scrape, zip(before[name], after[name], strict=True))) for name in scraped
    }
    if last_seen is not None:
        ended += last_seen.of_replaced(after[setting.api.name])
    replaced = [scraped.restarted for scraped in scrapes[setting.api.name]]
    return ArmRun(
        rows=Rows(
            log=log,
            happened=happenings.happened,
            queued=bool(setting.workers),
            duration_s=plan.duration_s,
            retrying=frozenset(stream.name for stream in plan.streams if stream.retry_refused),
            later=later,
        ),
        api=setting.api.name,
        needed=setting.processes(),
        samples=machine.samples,
        taken=machine.taken,
        taken_by=machine.taken_by,
        loop=scrapes[setting.api.name],
        lags_s=[None if gone else lag_s for gone, lag_s in zip(replaced, lags_s, strict=True)],
        workers=[
            *ended,
            *(each for service in setting.builders for each in scrapes[service.name]),
        ],
        depths=depths.samples,
        observed=None if observer is None else observer.result(),
        timeout_s=setting.arm.server.timeout_s,
        workers_killed=kills.count(),
    )
