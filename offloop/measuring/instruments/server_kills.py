"""Workers that their server has killed, because they gave no sign of life for too long."""

from pathlib import Path
from typing import Self

from offloop.measuring.instruments.instrument import Instrument
from offloop.measuring.measure import Better, Kind, Measure, Unit, count
from offloop.measuring.rows import Rows
from offloop.measuring.values import Recorded

_MS = 1000

MEASURES = (
    Measure("api.timeout_ms", "server's timeout", Unit.MS, Kind.LEVEL, shown=False),
    count("api.workers_killed", "workers killed by the server's timeout", Better.LOWER),
)

#: How gunicorn's log begins to tell of one; it kills that process, and no other, for this.
_KILLED = b"WORKER TIMEOUT (pid:"


class ServerKills(Instrument):
    """Counts the workers of an API that their server has killed.

    gunicorn says so of each; the number of processes would not show one that was killed and
    replaced, and the process ids not one that was killed in its replacement's place.

    Args:
        log: Of the API's service.
        timeout_s: Seconds after which its server kills a worker that gives no sign of life.
    """

    def __init__(self, log: Path, timeout_s: int) -> None:
        self._log = log
        self._timeout_s = timeout_s
        self._before = 0

    def __enter__(self) -> Self:
        self._before = self._told()
        return self

    def measured(self, rows: Rows) -> Recorded:  # noqa: ARG002 - the log of the server says it
        """Count those that were killed since the load began."""
        killed = self._told() - self._before
        return Recorded({"api.timeout_ms": _MS * self._timeout_s, "api.workers_killed": killed})

    def _told(self) -> int:
        return self._log.read_bytes().count(_KILLED)
