"""Progress of an attempt, written down often enough for people and seldom enough for the broker."""

import time

from workers.attempts import Attempt, AttemptStore

#: Seconds between two notes; each is a durable write.
INTERVAL_S = 0.5


class Progress:
    """Callable for `price_and_publish`: takes the number of lines written so far."""

    def __init__(self, attempts: AttemptStore, attempt: Attempt, *, total: int) -> None:
        self._attempts = attempts
        self._attempt = attempt
        self._total = total
        self._noted_at = time.monotonic()

    def __call__(self, lines: int) -> None:
        """Note the share of lines written, unless one was noted a moment ago.

        Raises:
            SupersededError: another attempt has the job now, so that this one can stop.
        """
        if time.monotonic() - self._noted_at < INTERVAL_S:
            return
        self._noted_at = time.monotonic()
        self._attempts.progress(self._attempt, lines / self._total if self._total else 1.0)
