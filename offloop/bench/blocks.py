"""Running one arm once, and recording everything about it."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

from offloop.bench.events import Event
from offloop.bench.happening import Happenings
from offloop.bench.measures import ArmRun, Scrape
from offloop.bench.scraping import scrape
from offloop.bench.stage import Setting
from offloop.load.generator import Generator
from offloop.load.plan import Plan
from offloop.load.protocol import Progress
from offloop.stack.sampling import ResourceSampler


def run_arm(  # noqa: PLR0913 - who sends what to whom, and who else is to be told and watched
    generator: Generator,
    setting: Setting,
    plan: Plan,
    out: Path,
    on_progress: Callable[[Progress], None],
    others: Callable[[], list[int]],
    events: Sequence[Event] = (),
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

    Raises:
        ServiceDied: a service ended while the arm ran, without being asked to.
        ServiceFailed: a service that was ended did not start again.
        NoAnswerError: a service did not expose its metrics.
        GeneratorError: the generator could not do its work.
    """
    scraped = {service.name: service for service in (setting.api, *setting.builders)}
    before = {name: scrape(service) for name, service in scraped.items()}

    def processes() -> dict[str, list[int]]:
        lab = {"generator": [generator.pid], "lab": [os.getpid()], "other-stacks": others()}
        return setting.stack.pids() | lab

    def watch(progress: Progress) -> None:
        happenings.begin(progress.start_monotonic_s)
        setting.stack.check()
        on_progress(progress)

    cpu_before = psutil.cpu_times()
    with (
        ResourceSampler(processes) as sampler,
        Happenings(setting, events) as happenings,
    ):
        log = generator.run(plan, out, watch)
    setting.stack.check()
    steal = _steal_share(cpu_before, psutil.cpu_times())
    scrapes = {
        name: Scrape(before=before[name], after=scrape(service))
        for name, service in scraped.items()
    }
    return ArmRun(
        log=log,
        happened=happenings.happened,
        api=setting.api.name,
        queued=bool(setting.workers),
        needed=setting.processes(),
        samples=sampler.samples,
        steal=steal,
        loop=scrapes[setting.api.name],
        workers=[scrapes[service.name] for service in setting.builders],
    )


def _steal_share(before: Any, after: Any) -> float | None:  # noqa: ANN401 - differs by system
    """Return the share of CPU time between two readings that went to other guests of the host.

    Only Linux tells; elsewhere, and where no time has passed, None.
    """
    if not hasattr(before, "steal"):
        return None
    # Guest time is counted in user time already.
    passed = {name: getattr(after, name) - getattr(before, name) for name in after._fields}
    total = sum(seconds for name, seconds in passed.items() if not name.startswith("guest"))
    return passed["steal"] / total if total > 0 else None
