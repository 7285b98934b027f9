"""Kills and freezes groups of processes, and lets them go on again."""

import contextlib
import os
import signal
import threading
from types import TracebackType
from typing import Self

from offloop.stack.processes import freeze


def group_of(pid: int) -> int | None:
    """Return the process group of a process; None if it is gone."""
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def kill(group: int) -> bool:
    """SIGKILL a whole process group, and return whether there was one."""
    return _signal(group, signal.SIGKILL)


class Freezer:
    """Stops process groups; whatever is still frozen at the end of the block goes on then."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thaws: dict[int, threading.Timer] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for group in self.frozen():
            self.thaw(group)

    def freeze(self, group: int, seconds: float | None = None) -> bool:
        """SIGSTOP a group, and return, when all of it has stopped, whether there was one.

        Args:
            group: Which.
            seconds: When to let it go on; None to wait for `thaw`.
        """
        if not freeze(group):
            return False
        clock = threading.Timer(seconds or 0.0, self.thaw, (group,))
        with self._lock:
            before = self._thaws.get(group)
            self._thaws[group] = clock
        if before is not None:
            before.cancel()
        if seconds is not None:
            clock.start()
        return True

    def thaw(self, group: int) -> None:
        """SIGCONT a group, unless it goes on already."""
        with self._lock:
            clock = self._thaws.pop(group, None)
        if clock is not None:
            clock.cancel()
            _signal(group, signal.SIGCONT)

    def frozen(self) -> list[int]:
        """The groups that do not go on."""
        with self._lock:
            return list(self._thaws)


def _signal(group: int, number: signal.Signals) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)
        return True
    return False
