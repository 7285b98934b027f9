import asyncio
import threading
from unittest.mock import create_autospec

import anyio.to_thread
from prometheus_client import CollectorRegistry

from offloop.telemetry import ThreadpoolMetrics

HANG_S = 30.0


class Pool:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry

    def read(self) -> dict[str, float | None]:
        value = self.registry.get_sample_value
        return {
            "used": value("offloop_threadpool_tokens", {"state": "used"}),
            "total": value("offloop_threadpool_tokens", {"state": "total"}),
            "waiting": value("offloop_threadpool_waiting"),
        }


def test_used_threads_and_waiting_calls_are_read_from_another_thread(
    registry: CollectorRegistry,
) -> None:
    pool, go_on, running = Pool(registry), threading.Event(), threading.Semaphore(0)

    def hold() -> None:
        running.release()
        go_on.wait(HANG_S)

    async def main() -> None:
        limiter = anyio.to_thread.current_default_thread_limiter()
        limiter.total_tokens = 2
        registry.register(ThreadpoolMetrics())
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(anyio.to_thread.run_sync, hold)
            for _ in range(2):
                assert await asyncio.to_thread(running.acquire, timeout=HANG_S)
            busy.append(await asyncio.to_thread(pool.read))
            go_on.set()
        idle.append(await asyncio.to_thread(pool.read))

    busy: list[dict[str, float | None]] = []
    idle: list[dict[str, float | None]] = []
    asyncio.run(main())

    assert busy == [{"used": 2, "total": 2, "waiting": 3}]
    assert idle == [{"used": 0, "total": 2, "waiting": 0}]


def test_a_pool_that_changes_during_a_read_is_absent_and_not_zero(
    registry: CollectorRegistry,
) -> None:
    limiter = create_autospec(anyio.CapacityLimiter, instance=True)
    limiter.statistics.side_effect = RuntimeError("Set changed size during iteration")
    registry.register(ThreadpoolMetrics(limiter))

    assert Pool(registry).read() == {"used": None, "total": None, "waiting": None}
