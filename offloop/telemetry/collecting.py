"""How long the garbage collector kept the interpreter to itself."""

import gc
import time
from collections import deque
from typing import Any

#: Seconds. Shorter pauses delay no request noticeably, and happen many times a second.
_WORTH_KEEPING_S = 0.001

#: Pauses that are remembered: those of the last few stalls.
_KEPT = 256


class CollectionPauses:
    """Remembers when the collector ran, whichever thread's allocation began it: all wait for it.

    Between `start` and `stop` it listens by `gc.callbacks`.
    """

    def __init__(self) -> None:
        self._pauses: deque[tuple[float, float]] = deque(maxlen=_KEPT)
        self._began_s = 0.0

    def start(self) -> None:
        """Begin to listen."""
        gc.callbacks.append(self._notice)

    def stop(self) -> None:
        """Listen no more."""
        gc.callbacks.remove(self._notice)

    def seconds_between(self, from_s: float, until_s: float) -> float:
        """How much of a stretch of time, on the monotonic clock, was spent collecting."""
        return sum(
            max(0.0, min(end_s, until_s) - max(begin_s, from_s))
            for begin_s, end_s in self._pauses.copy()
        )

    def _notice(self, phase: str, _: dict[str, Any]) -> None:
        # Called up to thousands of times a second. Collections do not overlap.
        now_s = time.monotonic()
        if phase == "start":
            self._began_s = now_s
        elif now_s - self._began_s >= _WORTH_KEEPING_S:
            self._pauses.append((self._began_s, now_s))
