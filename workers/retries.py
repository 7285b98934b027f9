"""Which errors are worth another attempt, and when.

Dramatiq's own retries are not used: they acknowledge the message even where enqueueing the next one
failed, and keep those that wait in a worker's memory. Here a job waits in the records' database,
put off and queued again in one atomic step each (`workers.housekeeping.retries`).
"""

import random
import sqlite3

from sqlalchemy.exc import OperationalError

#: What may be over in a while: a full disk, a folder, a database or the ledger that is away. All
#: else is wrong with the job or the code, and would be wrong again.
RETRYABLE = (OSError, OperationalError, sqlite3.OperationalError)

#: Seconds; the longest pause between two attempts.
LONGEST_PAUSE_S = 300.0

# Spreads attempts; no secret depends on it.
_random = random.SystemRandom()


def pause_s(attempt: int, first_s: float) -> float:
    """Return the seconds between a failed attempt and the next: doubling, with jitter.

    Half of the pause is random ("equal jitter"), so that what failed together does not come
    back together.

    Args:
        attempt: Number of the attempt that failed, from 1.
        first_s: The pause after the first one.
    """
    longest_s = min(first_s * 2.0 ** (attempt - 1), LONGEST_PAUSE_S)
    return longest_s * _random.uniform(0.5, 1)
