"""Starts again what dies, at once: an operator's supervisor with a short, constant delay.

`offloop.stack.keeper` waits longer with each death in a row, because what dies again and again
under an operator is broken. Here it is we who break it.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from offloop.stack.errors import StackError
from offloop.stack.keeper import FIRST_DELAY_S
from offloop.stack.service import Service
from offloop.stack.supervisor import Stack

_LOOK_S = 0.05


class Upkeep:
    """Keeps services up while the block runs; each is started without waiting for the others."""

    def __init__(
        self, stack: Stack, services: tuple[Service, ...], tell: Callable[[str], None]
    ) -> None:
        self._stack = stack
        self._services = {service.name: service for service in services}
        self._tell = tell
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._busy: dict[str, Future[None]] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def all_up(self) -> bool:
        """Whether every service runs and has been ready."""
        return not self._stack.dead() and all(map(self.is_up, self._services))

    def is_up(self, name: str) -> bool:
        """Whether a service is not being started again."""
        return name not in self._busy or self._busy[name].done()

    def _run(self) -> None:
        with ThreadPoolExecutor(len(self._services)) as starters:
            while not self._over.wait(_LOOK_S):
                for died in self._stack.dead():
                    before = self._busy.get(died.service)
                    if before is None or before.done():
                        self._tell(f"{died.service} {died.status}")
                        self._busy[died.service] = starters.submit(self._again, died.service)

    def _again(self, name: str) -> None:
        # Whatever it has left behind has to go first: children of a slot that ended itself.
        self._stack.stop(name)
        time.sleep(FIRST_DELAY_S)
        while not self._over.is_set():
            with contextlib.suppress(StackError):  # hit again while it was being started
                self._stack.start(self._services[name])
                return
