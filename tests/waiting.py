"""Waiting for a condition: the one way that tests do it."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

#: Seconds. A guard against hanging: five times what the slowest step of most tests may take.
HANG_S = 60.0

T = TypeVar("T")


def wait_for(look: Callable[[], T | None], hang_s: float = HANG_S, every_s: float = 0.02) -> T:
    """Return the first true value that `look` returns; fail after `hang_s` seconds."""
    deadline = time.monotonic() + hang_s
    while not (seen := look()):
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(every_s)
    return seen


async def wait_on_loop(look: Callable[[], object]) -> None:
    """Wait until `look` returns a true value, and let the event loop run meanwhile."""
    async with asyncio.timeout(HANG_S):
        while not look():  # noqa: ASYNC110 - threads and time change what is looked at
            await asyncio.sleep(0.02)
