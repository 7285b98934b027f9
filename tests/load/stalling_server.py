"""A server whose stalls are known: `stalling_server.py LOG [--stall S --every S]`.

Answers everything with `200 ok`, except that its loop stands still for `--stall` seconds in every
`--every`. Prints its port, runs until standard input ends, then writes LOG: a line for each answer,
`X-Request-Id,moment`, the CLOCK_MONOTONIC moment at which the answer had been handed to the kernel.
"""

import argparse
import asyncio
import re
import sys
import time
from pathlib import Path

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REQUEST_ID = re.compile(rb"X-Request-Id: (\S+)\r\n")


class Answering(asyncio.Protocol):
    """One connection; a client that sends its requests whole and one at a time is assumed."""

    def __init__(self, left: list[tuple[bytes, float]]) -> None:
        self._left = left

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        found = REQUEST_ID.search(data)
        self._transport.write(ANSWER)
        self._left.append((found.group(1) if found else b"", time.monotonic()))


async def serve(left: list[tuple[bytes, float]], stall_s: float, every_s: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Answering(left), "127.0.0.1", backlog=4096)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    first = loop.time()

    def stall(period: int) -> None:
        time.sleep(stall_s)
        loop.call_at(first + (period + 2) * every_s - stall_s, stall, period + 1)

    if stall_s:
        loop.call_at(first + every_s - stall_s, stall, 0)
    await loop.run_in_executor(None, sys.stdin.read)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("log", type=Path)
    parser.add_argument("--stall", type=float, default=0.0)
    parser.add_argument("--every", type=float, default=1.0)
    options = parser.parse_args()
    left: list[tuple[bytes, float]] = []
    asyncio.run(serve(left, options.stall, options.every))
    with options.log.open("w", encoding="ascii") as log:
        log.writelines(f"{request_id.decode()},{moment:.6f}\n" for request_id, moment in left)


if __name__ == "__main__":
    main()
