"""The frame around both apps, without a server."""

import asyncio
import gc
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request

from web.app import create_app
from web.limits import MAX_BODY_BYTES

router = APIRouter()


@router.get("/crash")
async def crash() -> None:
    raise RuntimeError("a secret")


@router.get("/frozen")
async def frozen() -> int:
    return gc.get_freeze_count()


@router.post("/size")
async def size(request: Request) -> int:
    return len(await request.body())


@asynccontextmanager
async def no_resources(_: FastAPI) -> AsyncIterator[None]:
    yield


def ask(method: str, path: str, content: bytes = b"", *, chunk: int = 0) -> httpx.Response:
    """One request to an app that is started for it; its body in chunks of this size, if any."""

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(content), chunk):
            yield content[start : start + chunk]

    async def run() -> httpx.Response:
        app = create_app("Test", no_resources, router)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://test") as client,
        ):
            return await client.request(method, path, content=chunks() if chunk else content)

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def _thaw() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_a_crash_is_answered_with_a_problem_without_details() -> None:
    answer = ask("GET", "/crash")

    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.json()["type"], answer.json()["status"]) == ("about:blank", 500)
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("path", "status"), [("/ping", 200), ("/nothing", 404), ("/size", 413), ("/crash", 500)]
)
def test_every_answer_has_the_id_by_which_the_logs_can_be_searched(path: str, status: int) -> None:
    content = b" " * (MAX_BODY_BYTES + 1) if status == 413 else b""

    answer = ask("POST" if content else "GET", path, content)

    assert answer.status_code == status
    assert re.fullmatch(r"[0-9a-f]{16}-[0-9a-f]+", answer.headers["X-Request-Id"])


def test_objects_that_live_since_the_start_are_frozen_for_the_collector() -> None:
    assert ask("GET", "/frozen").json() > 10_000


@pytest.mark.parametrize("chunk", [0, 1_000])
def test_a_body_up_to_the_limit_is_passed_on_whole(chunk: int) -> None:
    answer = ask("POST", "/size", b" " * MAX_BODY_BYTES, chunk=chunk)

    assert (answer.status_code, answer.json()) == (200, MAX_BODY_BYTES)


@pytest.mark.parametrize("chunk", [0, 1, 1_000, MAX_BODY_BYTES + 1])
def test_a_body_over_the_limit_is_refused(chunk: int) -> None:
    answer = ask("POST", "/size", b" " * (MAX_BODY_BYTES + 1), chunk=chunk)

    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:offloop:problem:body-too-large"
    assert str(MAX_BODY_BYTES) in answer.json()["detail"]


def test_a_large_body_that_the_route_does_not_read_is_ignored() -> None:
    assert ask("GET", "/frozen", b" " * (MAX_BODY_BYTES + 1), chunk=1_000).status_code == 200
