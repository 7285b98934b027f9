import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route

from offloop.telemetry import RequestMetrics, RequestTelemetry, current_request_id
from offloop.telemetry.requests import ASGIApp, Message, Receive, Scope, Send

DURATION = "http_server_request_duration_seconds"
ACTIVE = "http_server_active_requests"


class Site:
    """An app behind the middleware, and what the metrics say of it."""

    def __init__(self, app: ASGIApp | Starlette, registry: CollectorRegistry) -> None:
        metrics = RequestMetrics()
        registry.register(metrics)
        self.registry = registry
        self.app = RequestTelemetry(app, metrics)

    def ask(self, path: str, method: str = "GET", **headers: str) -> list[Message]:
        return asyncio.run(self.asked(path, method, **headers))

    async def asked(self, path: str, method: str = "GET", **headers: str) -> list[Message]:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await self.app(scope_of(path, method, headers), receive, send)
        return sent

    def counted(self, route: str, status: str, method: str = "GET") -> float | None:
        return self.registry.get_sample_value(
            f"{DURATION}_count",
            {
                "http_request_method": method,
                "http_route": route,
                "http_response_status_code": status,
            },
        )

    def active(self, route: str) -> float | None:
        labels = {"http_request_method": "GET", "http_route": route}
        return self.registry.get_sample_value(ACTIVE, labels)


def scope_of(path: str, method: str, headers: dict[str, str]) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [
            (name.replace("_", "-").lower().encode(), value.encode())
            for name, value in headers.items()
        ],
        "scheme": "http",
        "server": ("test", 80),
    }


def header(sent: list[Message], name: bytes = b"x-request-id") -> str:
    [value] = [value for key, value in sent[0]["headers"] if key == name]
    text: str = value.decode()
    return text


def fastapi_app() -> FastAPI:
    inner, outer = APIRouter(), APIRouter()

    @inner.get("/x/{number}")
    async def read(number: int) -> int:
        return number

    @inner.get("/crash")
    async def crash() -> None:
        raise LookupError("a bug")

    outer.include_router(inner, prefix="/inner/{of}")
    app, mounted = FastAPI(), FastAPI()
    app.include_router(inner)
    app.include_router(outer, prefix="/outer")
    mounted.include_router(inner)
    app.mount("/mounted", mounted)
    return app


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/x/1", "/x/{number}"),
        ("/outer/inner/7/x/2", "/outer/inner/{of}/x/{number}"),
        ("/mounted/x/3", "/mounted/x/{number}"),
    ],
)
def test_requests_count_by_the_template_of_their_route(
    registry: CollectorRegistry, path: str, route: str
) -> None:
    site = Site(fastapi_app(), registry)

    site.ask(path)

    assert site.counted(route, "200") == 1
    assert site.active(route) == 0


def test_requests_of_a_plain_starlette_app_are_counted(registry: CollectorRegistry) -> None:
    async def read(_: Request) -> PlainTextResponse:
        return PlainTextResponse("read")

    site = Site(Starlette(routes=[Mount("/m", routes=[Route("/x/{number}", read)])]), registry)

    site.ask("/m/x/1")

    assert site.counted("/m/x/{number}", "200") == 1


def test_paths_without_a_route_share_one_series(registry: CollectorRegistry) -> None:
    site = Site(fastapi_app(), registry)

    site.ask("/wp-login.php")
    site.ask("/.env")

    assert site.counted("", "404") == 2


def test_unknown_methods_share_one_series(registry: CollectorRegistry) -> None:
    site = Site(fastapi_app(), registry)

    site.ask("/x/1", "BREW")
    site.ask("/x/1", "WHEN")

    assert site.counted("/x/{number}", "405", "_OTHER") == 2


def test_a_crash_counts_as_the_500_that_the_client_gets(registry: CollectorRegistry) -> None:
    site = Site(fastapi_app(), registry)

    with pytest.raises(LookupError):
        site.ask("/crash")

    assert site.counted("/crash", "500") == 1
    assert site.active("/crash") == 0


def test_a_cancelled_request_has_no_status_and_is_not_active(
    registry: CollectorRegistry,
) -> None:
    begun = asyncio.Event()

    async def endless(_: Scope, __: Receive, ___: Send) -> None:
        begun.set()
        await asyncio.Event().wait()

    site = Site(endless, registry)

    async def main() -> None:
        request = asyncio.create_task(site.asked("/"))
        await begun.wait()
        assert site.active("") == 1
        request.cancel()
        await asyncio.wait([request])

    asyncio.run(main())

    assert site.counted("", "") == 1
    assert site.active("") == 0


def test_requests_in_flight_are_counted_by_their_route(registry: CollectorRegistry) -> None:
    app, begun, go_on = FastAPI(), asyncio.Event(), asyncio.Event()

    @app.get("/slow/{number}")
    async def slow(number: int) -> int:
        begun.set()
        await go_on.wait()
        return number

    site = Site(app, registry)

    async def main() -> None:
        requests = [asyncio.create_task(site.asked(f"/slow/{number}")) for number in range(3)]
        await begun.wait()
        await asyncio.sleep(0)
        seen.append(site.active("/slow/{number}"))
        go_on.set()
        await asyncio.gather(*requests)

    seen: list[float | None] = []
    asyncio.run(main())

    assert seen == [3]
    assert site.active("/slow/{number}") == 0


def test_a_request_ends_with_its_answer_and_not_with_background_tasks(
    registry: CollectorRegistry,
) -> None:
    app, seen = FastAPI(), list[float | None]()

    async def afterwards() -> None:
        seen.append(site.counted("/", "200"))

    @app.get("/")
    async def answer(background: BackgroundTasks) -> int:
        background.add_task(afterwards)
        return 1

    site = Site(app, registry)
    site.ask("/")

    assert seen == [1]
    assert site.counted("/", "200") == 1


def test_a_streamed_answer_ends_with_its_last_part(registry: CollectorRegistry) -> None:
    seen = list[float | None]()

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(2):
            seen.append(site.counted("/", "200"))
            yield b"part"

    async def answer(_: Request) -> StreamingResponse:
        return StreamingResponse(parts())

    site = Site(Starlette(routes=[Route("/", answer)]), registry)
    site.ask("/")

    assert seen == [None, None]
    assert site.counted("/", "200") == 1


def test_the_id_of_a_request_is_known_to_its_code_and_returned(
    registry: CollectorRegistry,
) -> None:
    app = FastAPI()

    @app.get("/")
    async def answer() -> str | None:
        return current_request_id()

    sent = Site(app, registry).ask("/", X_Request_Id="7-42")

    assert header(sent) == "7-42"
    assert sent[1]["body"] == b'"7-42"'


@pytest.mark.parametrize("bad", ["", "a b", "x" * 129, 'a"b', "a\x1b[1m", "\u00e9"])
def test_an_id_that_could_do_harm_in_a_log_is_replaced(
    registry: CollectorRegistry, bad: str
) -> None:
    site = Site(fastapi_app(), registry)

    ids = {header(site.ask("/x/1", X_Request_Id=bad)) for _ in range(2)}

    assert len(ids) == 2
    assert bad not in ids
    assert all(re.fullmatch(r"[0-9a-f]{16}-[0-9a-f]+", each) for each in ids)


def test_other_kinds_of_connections_are_passed_on(registry: CollectorRegistry) -> None:
    passed: list[str] = []

    async def app(scope: Scope, _: Receive, __: Send) -> None:
        passed.append(scope["type"])

    site = Site(app, registry)

    async def never() -> Message:
        raise AssertionError("nothing is received")

    async def nothing(_: Message) -> None:
        raise AssertionError("nothing is sent")

    asyncio.run(site.app({"type": "websocket"}, never, nothing))

    assert passed == ["websocket"]
    assert site.counted("", "") is None
