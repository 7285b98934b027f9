import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from offloop.telemetry.loop_monitor import HEARTBEAT_S, LoopMonitor
from offloop.telemetry.stalls import LOG_EVERY_S
from tests.waiting import HANG_S, wait_on_loop

pytestmark = pytest.mark.medium

NewLoop = Callable[[], asyncio.AbstractEventLoop]


def sleep_for(seconds: float) -> None:
    time.sleep(seconds)


def compute_for(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1000))


class Watched:
    """What the metrics say while a coroutine runs under a monitor."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry

    def value(self, name: str, **labels: str) -> float:
        value = self.registry.get_sample_value(f"offloop_loop_{name}", labels)
        assert value is not None
        return value

    async def until_counted(self, stalls: int) -> None:
        """Wait for the watchdog, which counts a moment after the stall has ended."""
        await wait_on_loop(lambda: self.value("stalls_total") >= stalls)

    async def settle(self) -> None:
        """Let a few heartbeats pass, so that a stall begins anywhere between two."""
        await asyncio.sleep(5.3 * HEARTBEAT_S)


def watch(
    new_loop: NewLoop,
    registry: CollectorRegistry,
    body: Callable[[Watched], Coroutine[Any, Any, None]],
) -> None:
    async def main() -> None:
        with LoopMonitor(registry):
            await body(Watched(registry))

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())


@pytest.mark.parametrize("stall", [sleep_for, compute_for])
@pytest.mark.parametrize("seconds", [0.1, 0.4, 1.0])
def test_a_stall_is_counted_timed_and_named(
    new_loop: NewLoop,
    registry: CollectorRegistry,
    caplog: pytest.LogCaptureFixture,
    stall: Callable[[float], None],
    seconds: float,
) -> None:
    taken: list[float] = []

    async def body(watched: Watched) -> None:
        await watched.settle()
        assert watched.value("stalls_total") == 0
        begin = time.monotonic()
        stall(seconds)
        taken.append(time.monotonic() - begin)
        await watched.until_counted(1)
        assert watched.value("stalls_total") == 1
        tolerance = max(HEARTBEAT_S, 0.05 * taken[0])
        assert watched.value("lost_seconds_total") == pytest.approx(taken[0], abs=tolerance)
        assert watched.value("lag_max_seconds") == pytest.approx(taken[0], abs=tolerance)

    watch(new_loop, registry, body)

    (record,) = caplog.records
    assert record.name == "offloop.telemetry"
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("event loop stalled stall_s=")
    fields = vars(record)
    assert fields["cause"] == "code"
    assert fields["function"] == stall.__name__
    assert Path(fields["file"]) == Path(__file__)
    first = stall.__code__.co_firstlineno
    assert first < fields["line"] <= first + 3
    assert fields["stall_s"] == pytest.approx(taken[0], abs=max(HEARTBEAT_S, 0.05 * taken[0]))


def test_a_stall_counts_for_every_heartbeat_that_it_prevented(
    new_loop: NewLoop, registry: CollectorRegistry
) -> None:
    async def body(watched: Watched) -> None:
        await watched.settle()
        sleep_for(1.0)
        await watched.until_counted(1)
        beats = watched.value("lag_seconds_count")
        late = beats - watched.value("lag_seconds_bucket", le="0.1")
        # One heartbeat each 20 ms, of which those of the first 0.9 s were late by more than 0.1 s.
        assert late == pytest.approx(0.9 / HEARTBEAT_S, abs=2)

    watch(new_loop, registry, body)


def test_the_maximum_includes_a_stall_that_still_goes_on(
    new_loop: NewLoop, registry: CollectorRegistry
) -> None:
    seen: list[float] = []
    looked = threading.Event()

    async def body(watched: Watched) -> None:
        def look() -> None:
            while (lag := watched.value("lag_max_seconds")) < 0.3:
                time.sleep(0.01)
            seen.append(lag)
            looked.set()

        threading.Thread(target=look, daemon=True).start()
        # The loop stays blocked until the other thread has seen that it is.
        assert looked.wait(HANG_S)
        assert watched.value("stalls_total") == 0, "the stall is not over for the monitor"
        await watched.until_counted(1)

    watch(new_loop, registry, body)

    assert seen[0] >= 0.3


def test_a_busy_loop_of_small_callbacks_does_not_stall(
    new_loop: NewLoop, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    async def body(watched: Watched) -> None:
        used = time.thread_time()
        begin = time.monotonic()
        while time.monotonic() - begin < 2.0:
            compute_for(0.006)
            await asyncio.sleep(0.004)
        share = (time.thread_time() - used) / (time.monotonic() - begin)
        assert share > 0.3, "the loop was not busy, so this shows nothing"
        assert watched.value("stalls_total") == 0
        assert watched.value("lost_seconds_total") == 0

    watch(new_loop, registry, body)

    assert caplog.records == []


def test_many_stalls_are_all_counted_but_logged_at_most_once_a_second(
    registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    async def body(watched: Watched) -> None:
        await watched.settle()
        for number in range(3):
            sleep_for(0.15)
            await watched.until_counted(number + 1)
        await asyncio.sleep(LOG_EVERY_S)
        sleep_for(0.15)
        await watched.until_counted(4)

    begin = time.monotonic()
    watch(asyncio.new_event_loop, registry, body)
    elapsed_s = time.monotonic() - begin

    assert len(caplog.records) <= 1 + elapsed_s / LOG_EVERY_S
    suppressed = [vars(record)["suppressed"] for record in caplog.records]
    assert len(caplog.records) + sum(suppressed) == 4
    assert suppressed[0] == 0
    assert suppressed[-1] > 0


def test_a_blocked_log_handler_does_not_block_the_loop(registry: CollectorRegistry) -> None:
    entered, release = threading.Event(), threading.Event()

    class Stuck(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002 - overrides
            entered.set()
            release.wait(HANG_S)

    logger = logging.getLogger("offloop.telemetry")
    handler = Stuck()
    logger.addHandler(handler)

    async def body(watched: Watched) -> None:
        await watched.settle()
        sleep_for(0.15)
        await wait_on_loop(entered.is_set)
        before = watched.value("lag_seconds_count")
        await watched.settle()
        assert watched.value("lag_seconds_count") > before, "the heart still beats"
        release.set()

    try:
        watch(asyncio.new_event_loop, registry, body)
    finally:
        logger.removeHandler(handler)


def test_the_window_of_the_maximum_is_stated_in_its_help(registry: CollectorRegistry) -> None:
    async def body(watched: Watched) -> None:
        (help_text,) = [
            metric.documentation
            for metric in watched.registry.collect()
            if metric.name == "offloop_loop_lag_max_seconds"
        ]
        assert "15 s" in help_text

    watch(asyncio.new_event_loop, registry, body)


def test_the_metrics_are_gone_when_the_monitor_has_stopped(registry: CollectorRegistry) -> None:
    async def body(watched: Watched) -> None:
        await watched.settle()

    for _ in range(2):
        watch(asyncio.new_event_loop, registry, body)

    assert list(registry.collect()) == []
    assert not [each for each in threading.enumerate() if each.name == "loop-watchdog"]


def test_two_monitors_cannot_share_a_registry(registry: CollectorRegistry) -> None:
    async def body(_: Watched) -> None:
        with pytest.raises(ValueError, match="offloop_loop_lag_seconds"):
            LoopMonitor(registry).start()

    watch(asyncio.new_event_loop, registry, body)
