"""The page's server: one page, a stream of events, and the buttons."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.resources import files
from time import monotonic
from typing import Annotated, Literal

from jinja2 import Environment, PackageLoader
from pydantic import AfterValidator, BaseModel, Field, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from offloop.live.orders import SIZES, Orders
from offloop.live.pings import Pings
from offloop.live.sides import FIXED, NAIVE, WAYS, Sides
from offloop.live.watching import METRICS_S, QUEUES_S, LoopWatch, depth
from offloop.stack.errors import StackError

#: Seconds between two batches of pings.
_BATCH_S = 0.1

#: Orders of one press of a button, at most.
_AT_MOST = 10

#: Events that wait for a page that does not read; then it has lost some, and is cut off.
_BACKLOG = 2_000

_TOKEN = "x-offloop-token"  # noqa: S105 - the name of a header


def _offered(size: str) -> str:
    if size not in SIZES:
        raise ValueError(f"there is {', '.join(SIZES)}")
    return size


class _Order(BaseModel):
    """What the buttons of a lane ask for."""

    lane: Literal["naive", "fixed"]
    size: Annotated[str, AfterValidator(_offered)]
    count: int = Field(ge=1, le=_AT_MOST)


class Live:
    """The page's state: what is running, and who watches.

    Args:
        sides: What is running.
        port: On which the page is served.
    """

    def __init__(self, sides: Sides, port: int) -> None:
        self._sides = sides
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self._token = secrets.token_urlsafe(24)
        self._start_s = monotonic()
        self._watchers: set[asyncio.Queue[str]] = set()
        self._pings: dict[str, Pings] = {}
        self._orders: dict[str, Orders] = {}
        self._running: set[asyncio.Task[None]] = set()
        environment = Environment(loader=PackageLoader("offloop.live", "."), autoescape=True)
        self._page = environment.get_template("page.html.jinja")

    def app(self) -> Starlette:
        """Return the application."""
        return Starlette(
            routes=[
                Route("/", self._index),
                Route("/live.js", self._script),
                Route("/events", self._events),
                Route("/order", self._order, methods=["POST"]),
                Route("/kill", self._kill, methods=["POST"]),
                Route("/way", self._way, methods=["POST"]),
            ],
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            running = [
                *(tasks.create_task(self._ping(side)) for side in (NAIVE, FIXED)),
                *(tasks.create_task(self._watch(side)) for side in (NAIVE, FIXED)),
                tasks.create_task(self._batches()),
                tasks.create_task(self._depths()),
                tasks.create_task(self._look()),
            ]
            self._orders = {
                side: Orders(side, self._sides.urls[side], self._start_s, self._tell)
                for side in (NAIVE, FIXED)
            }
            yield
            for task in (*running, *self._running):
                task.cancel()
        for orders in self._orders.values():
            await orders.close()

    # --- what the page is told ---

    def _tell(self, event: Mapping[str, object]) -> None:
        text = f"data: {json.dumps(event, separators=(',', ':'))}\n\n"
        for watcher in tuple(self._watchers):
            try:
                watcher.put_nowait(text)
            except asyncio.QueueFull:
                self._watchers.discard(watcher)

    async def _ping(self, side: str) -> None:
        self._pings[side] = Pings(self._sides.urls[side], self._start_s)
        await self._pings[side].run()

    async def _batches(self) -> None:
        while True:
            await asyncio.sleep(_BATCH_S)
            lanes = {}
            for side, pings in self._pings.items():
                ended, waiting = pings.collect()
                lanes[side] = {"ended": ended, "waiting": waiting}
            self._tell({"now_s": round(monotonic() - self._start_s, 3), "pings": lanes})

    async def _watch(self, side: str) -> None:
        watch = LoopWatch()
        try:
            while True:
                await asyncio.sleep(METRICS_S)
                found = await watch.look(self._sides.metrics[side])
                self._tell({"loop": {"lane": side, **found}})
        finally:
            await watch.close()

    async def _depths(self) -> None:
        while self._sides.redis_url is not None:
            await asyncio.sleep(QUEUES_S)
            self._tell({"depth": await depth(self._sides.redis_url)})

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_BATCH_S)
            await asyncio.to_thread(self._sides.look)

    # --- what the page asks ---

    async def _index(self, request: Request) -> Response:
        self._check_host(request)
        return HTMLResponse(
            self._page.render(
                token=self._token,
                sizes=list(SIZES),
                ways=WAYS if self._sides.stack is not None else [],
                way=self._sides.way,
            ),
            headers={
                "Content-Security-Policy": "default-src 'self'; style-src 'unsafe-inline'; "
                "img-src data:; "
                "frame-ancestors 'none'",
                "Cache-Control": "no-store",
            },
        )

    async def _script(self, request: Request) -> Response:
        self._check_host(request)
        script = files("offloop.live").joinpath("live.js").read_text(encoding="utf-8")
        return Response(script, media_type="text/javascript")

    async def _events(self, request: Request) -> Response:
        self._check_host(request)
        watcher: asyncio.Queue[str] = asyncio.Queue(_BACKLOG)
        self._watchers.add(watcher)

        async def stream() -> AsyncIterator[str]:
            try:
                yield "retry: 1000\n\n"
                while watcher in self._watchers:
                    yield await watcher.get()
            finally:
                self._watchers.discard(watcher)

        return StreamingResponse(stream(), media_type="text/event-stream")

    async def _order(self, request: Request) -> Response:
        try:
            asked = _Order.model_validate(await self._checked(request))
        except ValidationError as error:
            raise HTTPException(400, f"That is no order: {error}") from error
        for _ in range(asked.count):
            task = asyncio.create_task(self._orders[asked.lane].order(asked.size))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return JSONResponse({"ordered": asked.count})

    async def _kill(self, request: Request) -> Response:
        await self._checked(request)
        killed = await asyncio.to_thread(self._sides.kill_worker)
        self._tell({"killed": killed})
        return JSONResponse({"killed": killed})

    async def _way(self, request: Request) -> Response:
        way = str((await self._checked(request)).get("way"))
        if way not in WAYS or self._sides.stack is None:
            raise HTTPException(400, "There is no such way, or it cannot be changed here.")
        try:
            await asyncio.to_thread(self._sides.play_naive, way)
        except StackError as error:
            raise HTTPException(503, str(error)) from error
        for each in (self._pings[NAIVE], self._orders[NAIVE]):
            each.point_at(self._sides.urls[NAIVE])
        return JSONResponse({"way": self._sides.way})

    # --- nothing but the page itself may press its buttons ---

    def _check_host(self, request: Request) -> None:
        if request.headers.get("host") not in self._hosts:
            raise HTTPException(403, "This page is served on loopback only.")

    async def _checked(self, request: Request) -> dict[str, object]:
        """Return what a button asks for.

        Raises:
            HTTPException: it was not this page that asked.
        """
        self._check_host(request)
        origin = request.headers.get("origin")
        if origin is not None and origin.removeprefix("http://") not in self._hosts:
            raise HTTPException(403, "Another page may not press these buttons.")
        if not secrets.compare_digest(request.headers.get(_TOKEN, ""), self._token):
            raise HTTPException(403, "The page's token is missing. Reload the page.")
        try:
            asked = await request.json()
        except ValueError as error:
            raise HTTPException(400, "The body is not JSON.") from error
        if not isinstance(asked, dict):
            raise HTTPException(400, "The body is not a JSON object.")
        return asked
