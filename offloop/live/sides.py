"""The two sides that the page shows: started for it, or joined where `offloop up` runs."""

import json
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from offloop.stack import catalog, redis
from offloop.stack.broker import given_broker
from offloop.stack.keeper import Keeper
from offloop.stack.pools import STANDARD_POOLS
from offloop.stack.ports import free_port
from offloop.stack.service import Service
from offloop.stack.supervisor import Stack

NAIVE, FIXED = "naive", "fixed"

#: The worker that the page can kill: it builds the reports that the page orders.
WORKER = "worker-long-1"

#: The ways that can play naive: the naive app, and the first fixes that need no job tier.
NAIVE_WAY = "naive_app.reports"
WAYS = (
    NAIVE_WAY,
    *(
        way
        for way, each in catalog.WAYS.items()
        if each.service == NAIVE and not each.has_tier and way != NAIVE_WAY
    ),
)


@dataclass
class Sides:
    """What is running.

    Attributes:
        urls: Of each side.
        metrics: Where the metrics of each side's API are.
        redis_url: The broker of the fixed side; None where it is not known.
        stack: What was started for the page; None where it joined.
        way: What plays naive.
    """

    urls: dict[str, str]
    metrics: dict[str, str]
    redis_url: str | None
    listing: Path
    stack: Stack | None = None
    way: str = NAIVE_WAY
    site: catalog.Site | None = None
    keeper: Keeper | None = None
    spare: list[Service] = field(default_factory=list)

    def look(self) -> None:
        """Start again what has died, where that is up to the page."""
        if self.keeper is not None:
            self.keeper.look()

    def kill_worker(self) -> bool:
        """End the worker with SIGKILL; whether there was one."""
        pid = self._pids().get(WORKER)
        if pid is None:
            return False
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return True

    def play_naive(self, way: str) -> None:
        """Serve the naive side another way.

        Raises:
            StackError: it could not be started.
            KeyError: there is no such way.
        """
        if self.stack is None or self.site is None:
            return
        service = catalog.api(catalog.WAYS[way], self.site)
        self.stack.stop(NAIVE)
        self.stack.start(service)
        self.way = way
        self.urls[NAIVE] = service.url or ""
        self.metrics[NAIVE] = service.metrics_url or ""

    def _pids(self) -> Mapping[str, int]:
        if self.stack is not None:
            return {name: pids[0] for name, pids in self.stack.pids().items() if pids}
        with suppress(OSError, ValueError):
            services = json.loads(self.listing.read_text())["services"]
            return {each["name"]: each["pid"] for each in services if each["pid"]}
        return {}


@contextmanager
def both_sides(root: Path, logs: Path) -> Iterator[Sides]:
    """Join a running `offloop up`, or start both sides and stop them in the end.

    Raises:
        StackError: a service could not be started.
    """
    listing = root / ".offloop" / "up.json"
    joined = _joined(listing)
    if joined is not None:
        yield joined
        return
    with Stack(logs, disposable=not given_broker()) as stack:
        site, services = _services(stack, root)
        keeper = Keeper(
            stack, tuple(service for service in services if service.name != NAIVE), print
        )
        stack.start(*services)
        found = {service.name: service for service in services}
        yield Sides(
            urls={side: found[side].url or "" for side in (NAIVE, FIXED)},
            metrics={side: found[side].metrics_url or "" for side in (NAIVE, FIXED)},
            redis_url=site.redis_url,
            listing=listing,
            stack=stack,
            site=site,
            keeper=keeper,
        )


def _services(stack: Stack, root: Path) -> tuple[catalog.Site, list[Service]]:
    services: list[Service] = []
    redis_url = given_broker()
    if redis_url is None:
        broker = redis.embedded_redis(stack.folder / "redis", free_port())
        services.append(broker)
        redis_url = f"{broker.url}/0"
    site = catalog.Site(root, stack.folder / "files", redis_url)
    services += [
        catalog.api(catalog.WAYS[NAIVE_WAY], site),
        catalog.api(catalog.WAYS["fixed_app.reports"], site),
        *catalog.workers(STANDARD_POOLS, catalog.STANDARD_TIER, site),
        catalog.housekeeping(site),
    ]
    return site, services


def _joined(listing: Path) -> Sides | None:
    """Return the sides of a running `offloop up`; None where there are not both."""
    try:
        services = {each["name"]: each for each in json.loads(listing.read_text())["services"]}
        os.kill(services[FIXED]["pid"], 0)
        return Sides(
            urls={side: services[side]["url"] for side in (NAIVE, FIXED)},
            metrics={side: services[side]["metrics_url"] for side in (NAIVE, FIXED)},
            redis_url=f"{services[redis.NAME]['url']}/0" if redis.NAME in services else None,
            listing=listing,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
