"""Group commit: while one batch is on its way, the next one gathers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")

#: Items a batch may have at most; a longer script would keep the broker from everybody else.
MAX_BATCH = 64


class Batcher(Generic[T]):
    """Hands concurrent items to one coroutine in batches.

    An item alone goes at once and waits for nobody. Under load, one round trip and one fsync of
    the broker serve everyone who came during the previous one.
    """

    def __init__(self, send: Callable[[list[T]], Awaitable[None]]) -> None:
        self._send = send
        self._waiting: list[tuple[T, asyncio.Future[None]]] = []
        self._sender: asyncio.Task[None] | None = None

    async def submit(self, item: T) -> None:
        """Return when the batch that held ``item`` was sent.

        Raises:
            Exception: whatever sending that batch raised.
        """
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if self._sender is None:
            self._sender = asyncio.create_task(self._drain(), name="batcher")
        await done

    async def _drain(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            try:
                await self._send([item for item, _ in batch])
            except Exception as error:  # noqa: BLE001 - it belongs to those who wait for it
                for _, done in batch:
                    if not done.done():
                        done.set_exception(error)
            else:
                for _, done in batch:
                    if not done.done():  # a client that went away has cancelled its own
                        done.set_result(None)
        self._sender = None
