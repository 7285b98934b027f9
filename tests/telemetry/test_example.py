"""The two lines that the package's documentation promises are enough."""

import asyncio
import re
import textwrap
import threading
from types import ModuleType

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from offloop import telemetry
from offloop.stack.ports import free_port

HANG_S = 30.0


def documented_app(port: int) -> FastAPI:
    """The app of the docstring, on a port that is free."""
    assert telemetry.__doc__ is not None
    [code] = re.findall(r"(?ms)^(    from contextlib.*?)^\S", telemetry.__doc__)
    example = ModuleType("example")
    program = textwrap.dedent(code).replace("9100", str(port))
    exec(program, vars(example))  # noqa: S102 - it is ours, and this is what readers do with it
    app: FastAPI = example.app
    return app


@pytest.mark.medium
def test_two_lines_expose_metrics_even_while_the_loop_is_blocked() -> None:
    port, scraped = free_port(), list[str]()
    app = documented_app(port)

    def scrape() -> None:
        scraped.append(httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text)

    @app.get("/block/{how}")
    async def block(how: str) -> str:
        # The loop stays blocked until the metrics have been read.
        scraper = threading.Thread(target=scrape, daemon=True)
        scraper.start()
        scraper.join(HANG_S)
        return how

    async def main() -> None:
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://test") as client,
        ):
            answers.append(await client.get("/block/hard"))

    answers: list[httpx.Response] = []
    asyncio.run(main())

    [answer], [text] = answers, scraped
    assert "x-request-id" in answer.headers
    samples = {
        (sample.name, sample.labels.get("http_route", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["http_server_active_requests", "/block/{how}"] == 1
    assert ("offloop_loop_lag_seconds_count", "") in samples
    assert ("offloop_threadpool_tokens", "") in samples
