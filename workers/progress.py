"""Progress of an attempt, written down for people; and a reason to stop."""

from workers.attempts import Attempt, AttemptStore


class Progress:
    """Callable for `price_and_publish`: takes the number of lines written so far."""

    def __init__(self, attempts: AttemptStore, attempt: Attempt, *, total: int) -> None:
        self._attempts = attempts
        self._attempt = attempt
        self._total = total

    def __call__(self, lines: int) -> None:
        """Note the share of lines written.

        Raises:
            SupersededError: another attempt has the job now, so that this one can stop.
        """
        self._attempts.progress(self._attempt, lines / self._total if self._total else 1.0)
