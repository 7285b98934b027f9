import asyncio
import gzip
import http.client
import threading
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from offloop import telemetry
from offloop.stack.ports import LOOPBACK, free_port
from offloop.telemetry import loop_monitor
from offloop.telemetry.loop_monitor import HEARTBEAT_S

pytestmark = pytest.mark.medium

NAME = "offloop_loop_lag_max_seconds"

STALL_S = 0.5

#: A guard against hanging; shorter than the default window.
HANG_S = 10.0

Lag = Callable[[str], Awaitable[float]]


class Answer:
    def __init__(self, port: int, query: str = "", **headers: str) -> None:
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=HANG_S)
        try:
            connection.request("GET", f"/metrics{query}", headers=headers)
            response = connection.getresponse()
            self.status, self.headers = response.status, response.headers
            self.body = response.read()
        finally:
            connection.close()

    def samples(self) -> dict[str, float]:
        families = text_string_to_metric_families(self.body.decode())
        return {each.name: each.value for family in families for each in family.samples}


def stalled(registry: CollectorRegistry, look: Callable[[float, Lag], Awaitable[None]]) -> None:
    """Stall a real loop, then look: how long it took, and how to read the largest lag."""
    port = free_port()

    async def lag(query: str) -> float:
        return (await asyncio.to_thread(Answer, port, query)).samples()[NAME]

    async def main() -> None:
        async with telemetry.running(metrics_port=port, registry=registry):
            await asyncio.sleep(5 * HEARTBEAT_S)
            began = time.monotonic()
            time.sleep(STALL_S)  # noqa: ASYNC251 - the stall
            taken_s = time.monotonic() - began
            async with asyncio.timeout(HANG_S):
                await look(taken_s, lag)

    asyncio.run(main())


async def until_it_is_past(taken_s: float, lag: Lag, query: str) -> None:
    # A machine that is busy with other things may make the loop late again, for a moment.
    while await lag(query) >= taken_s / 2:  # noqa: ASYNC110 - time passes
        await asyncio.sleep(HEARTBEAT_S)


def test_a_stall_before_the_window_is_seen_only_without_one(registry: CollectorRegistry) -> None:
    async def look(taken_s: float, lag: Lag) -> None:
        assert await lag("?window=10") >= taken_s / 2
        await until_it_is_past(taken_s, lag, "?window=0.2")
        assert await lag("") >= taken_s / 2

    stalled(registry, look)


def test_a_window_may_be_longer_than_the_default(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_monitor, "WINDOW_S", 0.2)

    async def look(taken_s: float, lag: Lag) -> None:
        await until_it_is_past(taken_s, lag, "")
        assert await lag("?window=120") >= taken_s / 2

    stalled(registry, look)


def test_a_stall_that_still_goes_on_is_in_every_window(registry: CollectorRegistry) -> None:
    port = free_port()
    seen = threading.Event()

    def look() -> None:
        while Answer(port, "?window=0.01").samples()[NAME] < STALL_S:
            time.sleep(0.01)
        seen.set()

    async def main() -> None:
        async with telemetry.running(metrics_port=port, registry=registry):
            threading.Thread(target=look, daemon=True).start()
            # The loop stays blocked until the other thread has seen that it is.
            assert seen.wait(HANG_S)

    asyncio.run(main())


def test_compression_and_the_choice_of_names_still_work(registry: CollectorRegistry) -> None:
    async def main() -> Answer:
        port = free_port()
        async with telemetry.running(metrics_port=port, registry=registry):
            query = f"?window=5&name[]={NAME}"
            return await asyncio.to_thread(Answer, port, query, **{"Accept-Encoding": "gzip"})

    answer = asyncio.run(main())

    assert answer.headers["Content-Encoding"] == "gzip"
    answer.body = gzip.decompress(answer.body)
    assert answer.samples().keys() == {NAME}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    port = free_port()
    with telemetry.serve_metrics(port, CollectorRegistry()):
        yield port


@pytest.mark.parametrize(
    "window", ["0", "-1", "120.1", "inf", "nan", "soon", "", "2.5s", "1&window=2"]
)
def test_a_window_that_is_not_one_number_in_range_is_refused(port: int, window: str) -> None:
    answer = Answer(port, f"?window={window}")

    assert answer.status == 400
    assert answer.headers.get_content_type() == "text/plain"
    (sentence,) = answer.body.decode().splitlines()
    assert sentence.endswith("one number of seconds above 0 and up to 120, such as 2.5.")


@pytest.mark.parametrize("window", ["0.001", "2.5", "120"])
def test_a_window_in_range_is_accepted(port: int, window: str) -> None:
    assert Answer(port, f"?window={window}").status == 200
