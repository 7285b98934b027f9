"""The largest lag of the last seconds."""

import threading
from bisect import bisect_right
from collections import deque
from operator import itemgetter


class WindowMaximum:
    """The largest of the values that were added during a sliding window of time.

    May be used from several threads. Times are seconds on one monotonic clock and do not decrease.

    Args:
        longest_s: How long a value is kept: the longest window that can be read.
    """

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        # Falling values: one that is followed by a larger one can never be the largest again.
        self._falling: deque[tuple[float, float]] = deque()
        self._lock = threading.Lock()

    def add(self, at_s: float, value: float) -> None:
        """Add a value that was seen at this time."""
        with self._lock:
            while self._falling and self._falling[-1][1] <= value:
                self._falling.pop()
            self._falling.append((at_s, value))
            self._expire(at_s)

    def read(self, now_s: float, window_s: float) -> float | None:
        """The largest value in the window that ends now; None if there is none.

        Args:
            now_s: The time.
            window_s: Length of the window, up to `longest_s`.
        """
        with self._lock:
            self._expire(now_s)
            first = bisect_right(self._falling, now_s - window_s, key=itemgetter(0))
            return self._falling[first][1] if first < len(self._falling) else None

    def _expire(self, now_s: float) -> None:
        while self._falling and self._falling[0][0] <= now_s - self._longest_s:
            self._falling.popleft()


def swallowed(lag_s: float, interval_s: float) -> list[float]:
    """The lags of all heartbeats that one late heartbeat stands for, largest first.

    While the loop is blocked no further heartbeat becomes due, so a stall of five seconds would be
    one observation among thousands (coordinated omission). Heartbeats that would have become due
    meanwhile, one every `interval_s`, would have been late too, each by `interval_s` less.

    Args:
        lag_s: How late the heartbeat was, at least 0.
        interval_s: Seconds between heartbeats of a loop that is not blocked.
    """
    count = int(lag_s / interval_s) + 1
    # The last of a whole number of intervals can come out a rounding error below zero.
    return [max(0.0, lag_s - number * interval_s) for number in range(count)]
