"""What the fixed tier does about an attempt that does not finish its job."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dramatiq.middleware import Shutdown
from redis.exceptions import RedisError

from workers.attempts import Attempt, AttemptStore, SupersededError
from workers.backoff import backoff_s
from workers.limits import time_limit
from workers.problems import report_failed, too_many_attempts
from workers.retries import LONGEST_PAUSE_S, RETRYABLE
from workers.settings import TierSettings

_log = logging.getLogger(__name__)


@contextmanager
def broker_required() -> Iterator[None]:
    """End this process if the broker is lost within the block.

    Dramatiq would acknowledge the message of a job about which nothing could be written down. A
    dead slot acknowledges nothing: the job is delivered to another one.
    """
    try:
        yield
    except RedisError:
        _log.critical("slot ends itself: the broker is away", exc_info=True)
        os._exit(os.EX_TEMPFAIL)


class Guard:
    """Runs attempts, and records what becomes of a job whose attempt does not finish it.

    Args:
        settings: The limits on attempts and on their time, and the pause between them.
        attempts: Where it is recorded.
    """

    def __init__(self, settings: TierSettings, attempts: AttemptStore) -> None:
        self._settings = settings
        self._attempts = attempts

    def run(self, work: Callable[[Attempt], None], attempt: Attempt) -> None:
        """Do the work of an attempt, within the limits.

        The job is queued again if the slot stops or the error may pass. It fails after any other
        error, and after too many attempts. A superseded attempt ends without a trace.

        Args:
            work: Builds the report and finishes the job.
            attempt: The attempt.

        Raises:
            RedisError: The broker is away, so nothing was recorded.
            Exception: The error for which the job failed.
        """
        try:
            if attempt.counted > self._settings.max_attempts:
                _log.error("job failed: too many attempts")
                self._attempts.fail(attempt, too_many_attempts(self._settings.max_attempts))
            else:
                self._try(work, attempt)
        except SupersededError as error:
            _log.warning("job abandoned: %s", error)

    def _try(self, work: Callable[[Attempt], None], attempt: Attempt) -> None:
        try:
            with time_limit(self._settings.job_time_limit_s):
                work(attempt)
        except (SupersededError, RedisError):
            raise
        except Shutdown:
            _log.warning("job handed back: the slot stops")
            self._attempts.hand_back(attempt)
        except Exception as error:
            if not isinstance(error, RETRYABLE) or attempt.counted == self._settings.max_attempts:
                _log.exception("job failed")
                self._attempts.fail(attempt, report_failed(error))
                raise
            _log.warning("job put off", exc_info=True)
            pause_s = backoff_s(attempt.counted, self._settings.first_retry_s, LONGEST_PAUSE_S)
            self._attempts.put_off(attempt, pause_s)
