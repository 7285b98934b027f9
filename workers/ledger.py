"""The billing ledger: the side effect of a job that must not be doubled.

It stands for whatever a team has outside of its job store: a payment provider, a bank, another
team's service. So it is a database of its own, and no transaction spans it and the job records.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from filelock import FileLock

#: Cents a report costs, and lines that each further cent buys.
BASE_CENTS = 10
LINES_PER_CENT = 1000

#: Seconds to wait for another process that writes, which may have been frozen while it did.
_BUSY_S = 30.0

_SCHEMA = """
create table if not exists ledger (
  entry_id text primary key,
  job_id text not null,
  request_ref text not null,
  attempt integer not null,
  amount integer not null
) strict;
create trigger if not exists ledger_is_append_only_update before update on ledger
  begin select raise(abort, 'the ledger is append-only'); end;
create trigger if not exists ledger_is_append_only_delete before delete on ledger
  begin select raise(abort, 'the ledger is append-only'); end;
"""


def price_cents(lines: int) -> int:
    """Return what a report of so many lines costs."""
    return BASE_CENTS + -(-lines // LINES_PER_CENT)


class Ledger:
    """Appends entries to the ledger; amounts are in cents.

    Args:
        path: The SQLite file; made if there is none.

    Raises:
        filelock.Timeout: Another process that makes it has been at it for too long.
        sqlite3.OperationalError: The ledger is away, full or locked for too long.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        # Slots start together. Two connections that change the journal's mode at once would each
        # wait for the other, which SQLite answers with `database is locked`, whatever its timeout.
        alone = FileLock(path.with_suffix(".lock"), timeout=_BUSY_S)
        with alone, self._open() as connection:
            # Readers of the ledger must not keep those who bill waiting.
            connection.execute("pragma journal_mode = wal")
            connection.executescript(_SCHEMA)

    def charge(
        self, entry_id: str, *, job_id: str, request_ref: str, attempt: int, amount: int
    ) -> bool:
        """Append an entry, unless there is one of this id; durable when this returns.

        Args:
            entry_id: Makes charging idempotent, as with any payment provider: the same id is the
                same charge, however often it is sent.
            job_id: Which job was done.
            request_ref: What the customer calls the order.
            attempt: Which attempt at the job charges.
            amount: Cents.

        Returns:
            Whether this call has appended it.

        Raises:
            sqlite3.OperationalError: The ledger is away, full or locked for too long.
        """
        with self._open() as connection, connection:
            inserted = connection.execute(
                "insert or ignore into ledger values (?, ?, ?, ?, ?)",
                (entry_id, job_id, request_ref, attempt, amount),
            )
            return inserted.rowcount == 1

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        # A connection for each charge: a process that is killed or forks leaves nothing behind.
        with closing(sqlite3.connect(self._path, timeout=_BUSY_S)) as connection:
            connection.execute("pragma synchronous = full")
            yield connection
