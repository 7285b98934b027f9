"""Running one arm once, and recording everything about it."""

import os
from collections.abc import Callable
from pathlib import Path

from offloop.bench.measures import ArmRun, Scrape
from offloop.bench.scraping import scrape
from offloop.bench.stage import Setting
from offloop.load.generator import Generator
from offloop.load.plan import Plan
from offloop.load.protocol import Progress
from offloop.stack.sampling import ResourceSampler


def run_arm(
    generator: Generator,
    setting: Setting,
    plan: Plan,
    out: Path,
    on_progress: Callable[[Progress], None],
) -> ArmRun:
    """Send one arm its load.

    Args:
        generator: Sends it.
        setting: The services behind the arm.
        plan: The load.
        out: Folder for the generator's raw log.
        on_progress: Told about once a second how far the load is.

    Raises:
        NotIdleError: there was work left from before.
        ServiceDied: a service ended while the arm ran.
        GeneratorError: the generator could not do its work.
    """
    setting.wait_until_idle()
    scraped = {service.name: service for service in (setting.api, *setting.builders)}
    before = {name: scrape(service) for name, service in scraped.items()}

    def processes() -> dict[str, list[int]]:
        return {**setting.stack.pids(), "generator": [generator.pid], "lab": [os.getpid()]}

    with ResourceSampler(processes) as sampler:
        log = generator.run(plan, out, on_progress)
        setting.stack.check()
    scrapes = {
        name: Scrape(before=before[name], after=scrape(service))
        for name, service in scraped.items()
    }
    return ArmRun(
        log=log,
        api=setting.api.name,
        needed=setting.processes(),
        samples=sampler.samples,
        loop=scrapes[setting.api.name],
        workers=[scrapes[service.name] for service in setting.builders],
    )
