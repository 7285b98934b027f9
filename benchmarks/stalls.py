"""Are stalls timed and named rightly? `python -m benchmarks.stalls`.

Plants stalls of known length in one endpoint of an app while twenty other requests are in flight,
under each event loop that is installed, and compares what `offloop.telemetry` says. Exits with 1 if
fewer than 95% have the right length, within 20 ms or 5%, or fewer than 95% the right name. Then
keeps each loop busy for a minute with 60% of a processor, in which none may be reported. Other
programs that run meanwhile make stalls of their own.
"""

import asyncio
import contextlib
import importlib.util
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from itertools import product, repeat
from typing import NamedTuple
from uuid import uuid4

import httpx
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.table import Table

from offloop.telemetry import LoopMonitor
from offloop.telemetry.loop_monitor import HEARTBEAT_S

#: Seconds.
LENGTHS_S = (0.1, 0.2, 0.5, 1.0, 5.0)

#: Stalls of each length and kind, fewer of long ones.
REPEATS = 10
SECONDS_EACH = 5.0

#: Requests that are always in flight, and seconds that each takes.
BYSTANDERS = 20
BYSTANDER_S = 0.1

#: A healthy load: share of a processor, seconds of a piece of work, and for how many it goes on.
HEALTHY_SHARE = 0.6
HEALTHY_S = 0.01
HEALTHY_FOR_S = 60.0

#: What is promised: seconds or share by which a length may be wrong, and how many are right.
WRONG_S = 0.02
WRONG_SHARE = 0.05
RIGHT = 0.95

#: Additions by which the speed of the machine is measured; about a millisecond.
_SAMPLE = 100_000

#: Seconds after which a stall counts as not seen.
_COUNTED_S = 5.0

NewLoop = Callable[[], asyncio.AbstractEventLoop]


def sleep(seconds: float) -> None:
    """Wait, without the interpreter."""
    time.sleep(seconds)


def compute(seconds: float) -> None:
    """Run Python."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1000))


def keep_the_interpreter(seconds: float) -> None:
    """Run native code that lets no other thread have a turn."""
    sum(repeat(0, int(seconds / _addition_s())))


def _addition_s() -> float:
    """Measure the seconds of one addition, when nothing interrupts it."""
    times_s = []
    for _ in range(5):
        begin = time.monotonic()
        sum(repeat(0, _SAMPLE))
        times_s.append(time.monotonic() - begin)
    return min(times_s) / _SAMPLE


KINDS: Mapping[str, Callable[[float], None]] = {
    function.__name__: function for function in (sleep, compute, keep_the_interpreter)
}

app = FastAPI()


@app.post("/orders/{order_id}/invoice")
async def make_invoice(order_id: str, kind: str, seconds: float) -> dict[str, str | float]:
    """Hold the event loop."""
    begin = time.monotonic()
    KINDS[kind](seconds)
    return {"order_id": order_id, "held_s": time.monotonic() - begin}


@app.get("/ping")
async def ping() -> dict[str, str]:
    """Wait, as one should."""
    await asyncio.sleep(BYSTANDER_S)
    return {"ping": "pong"}


#: What a stall of this app is to be called.
ENDPOINT = "POST /orders/{order_id}/invoice"


class Planted(NamedTuple):
    """A stall, and what was said about it.

    Attributes:
        kind: The function that held the loop.
        held_s: Seconds for which it did.
        told_s: Seconds that were reported; None if nothing was.
        named: The function that was reported, and the endpoint.
    """

    kind: str
    held_s: float
    told_s: float | None
    named: tuple[str, str] | None

    @property
    def is_named(self) -> bool:
        """Whether function and endpoint are the right ones."""
        return self.named == (self.kind, ENDPOINT)

    @property
    def wrong_s(self) -> float | None:
        """Seconds by which the length is wrong."""
        return None if self.told_s is None else abs(self.told_s - self.held_s)

    @property
    def is_timed(self) -> bool:
        """Whether the length is as exact as is promised."""
        wrong_s = self.wrong_s
        return wrong_s is not None and wrong_s <= max(WRONG_S, WRONG_SHARE * self.held_s)


def plant(new_loop: NewLoop, stalls: Iterable[tuple[str, float]]) -> list[Planted]:
    """Hold a loop on which other tasks wait, again and again.

    Args:
        new_loop: Makes it.
        stalls: Kind and seconds of each stall.
    """
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(_plant(list(stalls)))


async def _plant(stalls: Sequence[tuple[str, float]]) -> list[Planted]:
    async with _watched_app() as (client, registry):
        return [await _plant_one(client, registry, *stall) for stall in stalls]


@contextlib.asynccontextmanager
async def _watched_app() -> AsyncIterator[tuple[httpx.AsyncClient, CollectorRegistry]]:
    """A client of the app beside the bystanders, and where the monitor of the loop counts."""
    registry = CollectorRegistry()
    transport = httpx.ASGITransport(app)
    with LoopMonitor(registry):
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://app") as client,
            _bystanders(client),
        ):
            yield client, registry


@contextlib.asynccontextmanager
async def _bystanders(client: httpx.AsyncClient) -> AsyncIterator[None]:
    async def ask_again_and_again() -> None:
        while True:
            await client.get("/ping")

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask_again_and_again()) for _ in range(BYSTANDERS)]
        yield
        for task in tasks:
            task.cancel()


class Healthy(NamedTuple):
    """A loop that had much to do, and never for long.

    Attributes:
        used: Share of a processor that the process used.
        stalls: How many were reported.
    """

    used: float
    stalls: int


def leave_healthy(new_loop: NewLoop, seconds: float) -> Healthy:
    """Keep a loop busy for `HEALTHY_SHARE` of the time, in pieces too short to be a stall."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(_leave_healthy(seconds))


async def _leave_healthy(seconds: float) -> Healthy:
    async with _watched_app() as (_, registry):
        began_s, began_cpu_s = time.monotonic(), time.process_time()
        while (passed_s := time.monotonic() - began_s) < seconds:
            if time.process_time() - began_cpu_s < HEALTHY_SHARE * passed_s:
                compute(HEALTHY_S)
            await asyncio.sleep(HEALTHY_S / 10)
        used = (time.process_time() - began_cpu_s) / passed_s
        stalls = registry.get_sample_value("offloop_loop_stalls_total")
        return Healthy(used, int(stalls or 0))


async def _plant_one(
    client: httpx.AsyncClient, registry: CollectorRegistry, kind: str, seconds: float
) -> Planted:
    # The request is on its way at any moment between two heartbeats.
    await asyncio.sleep(10 * HEARTBEAT_S + hash(uuid4()) % 1000 / 1000 * HEARTBEAT_S)
    before = _told(registry)
    params: dict[str, str | float] = {"kind": kind, "seconds": seconds}
    answer = await client.post(f"/orders/{uuid4().hex}/invoice", params=params)
    held_s: float = answer.json()["held_s"]
    deadline = time.monotonic() + _COUNTED_S
    gained: dict[tuple[str, str], float] = {}
    while not gained and time.monotonic() < deadline:
        await asyncio.sleep(HEARTBEAT_S)
        now = _told(registry)
        gained = {name: now[name] - before.get(name, 0.0) for name in now}
        gained = {name: told_s for name, told_s in gained.items() if told_s > 0}
    if not gained:
        return Planted(kind, held_s, None, None)
    named = max(gained, key=gained.__getitem__)
    return Planted(kind, held_s, gained[named], named)


def _told(registry: CollectorRegistry) -> dict[tuple[str, str], float]:
    return {
        (sample.labels["function"], sample.labels["endpoint"]): sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "offloop_loop_stall_seconds_sum"
    }


def loops() -> dict[str, NewLoop]:
    """Return the event loops that are installed."""
    found: dict[str, NewLoop] = {"asyncio": asyncio.new_event_loop}
    if importlib.util.find_spec("uvloop"):
        found["uvloop"] = importlib.import_module("uvloop").new_event_loop
    return found


def main() -> int:
    """Print a row for each length; 1 if a promise was not kept."""
    table = Table(title=f"Planted stalls, {BYSTANDERS} other requests in flight")
    for column in ("loop", "held s", "stalls", "wrong by ms, median", "most", "timed", "named"):
        table.add_column(column, justify="right")
    kept = True
    for (loop, new_loop), seconds in product(loops().items(), LENGTHS_S):
        repeats = max(1, min(REPEATS, round(SECONDS_EACH / seconds)))
        seen = plant(new_loop, [(kind, seconds) for kind in KINDS for _ in range(repeats)])
        wrong_ms = sorted(1000 * each.wrong_s for each in seen if each.wrong_s is not None)
        timed = sum(each.is_timed for each in seen) / len(seen)
        named = sum(each.is_named for each in seen) / len(seen)
        kept = kept and min(timed, named) >= RIGHT
        middle, most = (wrong_ms[len(wrong_ms) // 2], wrong_ms[-1]) if wrong_ms else (None, None)
        table.add_row(
            *(loop, f"{seconds:g}", f"{len(seen)}"),
            *("" if each is None else f"{each:.1f}" for each in (middle, most)),
            *(f"{timed:.0%}", f"{named:.0%}"),
        )
    console = Console()
    console.print(table)
    for loop, new_loop in loops().items():
        healthy = leave_healthy(new_loop, HEALTHY_FOR_S)
        kept = kept and not healthy.stalls and healthy.used >= HEALTHY_SHARE - 0.05
        console.print(
            f"{loop}: {healthy.stalls} stalls reported in {HEALTHY_FOR_S:g} s of healthy work "
            f"that took {healthy.used:.0%} of a processor"
        )
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
