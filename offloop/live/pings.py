"""Open-loop pings: due at fixed moments, sent whether or not earlier ones were answered."""

import asyncio
from collections import deque
from contextlib import suppress
from time import monotonic
from urllib.parse import urlsplit

#: Pings a second to each side: enough to see a stall of a tenth of a second.
RATE = 50.0

#: Seconds after which a ping without an answer has failed.
TIMEOUT_S = 30.0

#: Seconds for which a connection is kept. The servers close it after five.
_KEPT_S = 2.0

_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Pings:
    """Pings one service, and keeps what came of it until that is collected.

    An HTTP library would take ten times as much CPU time, which the services need.

    Args:
        url: Of the service; plain http on loopback.
        start_s: Second 0 of the page, on CLOCK_MONOTONIC.
    """

    def __init__(self, url: str, start_s: float) -> None:
        self._start_s = start_s
        self._idle: deque[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = deque()
        self.point_at(url)
        self._waiting: dict[int, float] = {}
        self._ended: list[tuple[float, float | None]] = []

    def point_at(self, url: str) -> None:
        """Ping this service from now on."""
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._request = f"GET /ping HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
        while self._idle:
            self._idle.pop()[2].close()

    async def run(self) -> None:
        """Send pings until it is cancelled."""
        number = 0
        first_s = monotonic()
        async with asyncio.TaskGroup() as tasks:
            while True:
                due_s = first_s + number / RATE
                await asyncio.sleep(max(0.0, due_s - monotonic()))
                tasks.create_task(self._ping(number, due_s))
                number += 1

    def collect(self) -> tuple[list[tuple[float, float | None]], list[float]]:
        """Return the pings that have ended since the last time, and those that still wait.

        Returns:
            For each that has ended: when it was due, and its response time in milliseconds, None if
            it failed. For each that waits: when it was due. Moments are seconds since the page's
            second 0.
        """
        ended, self._ended = self._ended, []
        return ended, [round(due_s - self._start_s, 3) for due_s in self._waiting.values()]

    async def _ping(self, number: int, due_s: float) -> None:
        self._waiting[number] = due_s
        answered = False
        try:
            with suppress(OSError, EOFError, TimeoutError, ValueError):
                async with asyncio.timeout(TIMEOUT_S):
                    answered = await self._exchange()
        finally:
            del self._waiting[number]
            ms = 1000 * (monotonic() - due_s)
            at_s = round(due_s - self._start_s, 3)
            self._ended.append((at_s, round(ms, 2) if answered else None))

    async def _exchange(self) -> bool:
        """Send one request, and say whether its answer was a success."""
        reader, writer = self._kept() or await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(self._request)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(_length(head))
        except BaseException:
            writer.close()
            raise
        self._idle.append((monotonic(), reader, writer))
        return head.startswith(b"HTTP/1.1 200")

    def _kept(self) -> _Connection | None:
        """Return a connection that is still open; None where there is none."""
        while self._idle and monotonic() - self._idle[0][0] > _KEPT_S:
            self._idle.popleft()[2].close()
        while self._idle:
            _, reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return None


def _length(head: bytes) -> int:
    """Return the length of a body; a ping's answer always states it.

    Raises:
        ValueError: it does not.
    """
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    raise ValueError("an answer without Content-Length")
