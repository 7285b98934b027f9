"""Which errors are worth another attempt.

Dramatiq's own retries are not used: they acknowledge the message even where enqueueing the next one
failed, and keep those that wait in a worker's memory. Here a job waits in the records' database,
put off and queued again in one atomic step each (`workers.housekeeping.delayed`).
"""

import sqlite3

from sqlalchemy.exc import OperationalError

#: What may be over in a while: a full disk, a folder, a database or the ledger that is away. All
#: else is wrong with the job or the code, and would be wrong again.
RETRYABLE = (OSError, OperationalError, sqlite3.OperationalError)

#: Seconds; the longest pause between two attempts.
LONGEST_PAUSE_S = 300.0
