"""The code that held the loop is named, and not the code that waited for it."""

import asyncio
import gc
import time
from collections.abc import Callable
from operator import eq

import pytest
from prometheus_client import CollectorRegistry

from benchmarks.stalls import ENDPOINT, RIGHT, plant
from offloop.telemetry.loop_monitor import HEARTBEAT_S, STALL_THRESHOLD_S, LoopMonitor
from tests.waiting import wait_on_loop

pytestmark = pytest.mark.medium

NewLoop = Callable[[], asyncio.AbstractEventLoop]


def test_the_code_that_holds_the_loop_is_named_and_not_code_that_waits(
    new_loop: NewLoop,
) -> None:
    kinds = ["sleep", "compute"] * 10
    seen = plant(new_loop, [(kind, 0.15) for kind in kinds])

    assert all(each.told_s is not None for each in seen)
    named = [each.named for each in seen]
    right = [(kind, ENDPOINT) for kind in kinds]
    assert sum(map(eq, named, right)) >= RIGHT * len(seen), named


def held_by(registry: CollectorRegistry) -> dict[tuple[str, str, str], float]:
    """Seconds of stalls by cause, file and function."""
    return {
        (sample.labels["cause"], sample.labels["file"], sample.labels["function"]): sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "offloop_loop_stall_seconds_sum"
    }


async def make_garbage(cycles: int) -> None:
    """Leave objects that only the collector can free, without holding the loop for long."""
    for _ in range(cycles // 1000):
        for _ in range(1000):
            cycle: list[object] = []
            cycle.append(cycle)
        await asyncio.sleep(0)


def innocent() -> float:
    """A line that had the bad luck to allocate when the collector was due."""
    begin = time.monotonic()
    gc.collect()
    return time.monotonic() - begin


def test_a_collection_is_told_apart_from_the_code_that_it_interrupted(
    new_loop: NewLoop, registry: CollectorRegistry
) -> None:
    async def collect_for_a_stall() -> float:
        cycles, collecting_s = 20_000, 0.0
        while collecting_s < STALL_THRESHOLD_S:
            await make_garbage(cycles)
            await asyncio.sleep(5 * HEARTBEAT_S)
            collecting_s = innocent()
            cycles = round(cycles * 2 * STALL_THRESHOLD_S / collecting_s)
        return collecting_s

    async def body() -> None:
        with LoopMonitor(registry):
            collecting_s = await collect_for_a_stall()
            await wait_on_loop(lambda: held_by(registry))
            held = held_by(registry)

        assert not [function for _, _, function in held if function == "innocent"]
        assert held["garbage_collection", "", ""] >= collecting_s - HEARTBEAT_S

    gc.disable()
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(body())
    finally:
        gc.enable()


def test_code_interrupted_by_a_short_collection_is_still_the_culprit(
    new_loop: NewLoop, registry: CollectorRegistry
) -> None:
    def compute_and_collect() -> None:
        end = time.monotonic() + 4 * STALL_THRESHOLD_S
        gc.collect(generation=0)
        while time.monotonic() < end:
            sum(range(1000))

    async def body() -> None:
        with LoopMonitor(registry):
            await asyncio.sleep(5 * HEARTBEAT_S)
            compute_and_collect()
            await wait_on_loop(lambda: held_by(registry))
            assert [cause for cause, _, _ in held_by(registry)] == ["code"]

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(body())
