"""Group commit: while one batch is on its way, the next one gathers."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

#: Items a batch may have at most; a longer script would keep the broker from everybody else.
MAX_BATCH = 64


class Batcher(Generic[T, R]):
    """Hands concurrent items to one coroutine in batches.

    An item alone goes at once and waits for nobody. Under load, one round trip and one fsync of
    the broker serve everyone who came during the previous one.

    Args:
        send: Takes items and returns an answer to each, in their order.
    """

    def __init__(self, send: Callable[[list[T]], Awaitable[Sequence[R]]]) -> None:
        self._send = send
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._sender: asyncio.Task[None] | None = None

    async def submit(self, item: T) -> R:
        """Return the answer to ``item`` when the batch that held it was sent.

        Raises:
            Exception: whatever sending that batch raised.
        """
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._drain(), name="batcher")
        return await answer

    async def _drain(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            # A client that has gone away has cancelled its own; the others wait.
            try:
                answers = await self._send([item for item, _ in batch])
            except Exception as error:  # noqa: BLE001 - it belongs to those who wait for it
                for _, waiting in batch:
                    if not waiting.done():
                        waiting.set_exception(error)
            else:
                for (_, waiting), answer in zip(batch, answers, strict=True):
                    if not waiting.done():
                        waiting.set_result(answer)
        self._sender = None
