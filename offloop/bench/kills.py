"""Workers that their server has killed, because they gave no sign of life for too long."""

from pathlib import Path

from offloop.bench.stage import Setting

#: How gunicorn's log begins to tell of one; it kills that process, and no other, for this.
_KILLED = b"WORKER TIMEOUT (pid:"


class Kills:
    """Counts the workers of an API that have been killed since it was made.

    gunicorn says so of each; the number of processes would not show one that was killed and
    replaced, and the process ids not one that was killed in its replacement's place.

    Args:
        setting: The services, which run.
    """

    def __init__(self, setting: Setting) -> None:
        self._log: Path | None = None
        if setting.arm.server.timeout_s is not None:
            self._log = setting.stack.log_dir / f"{setting.api.name}.log"
        self._before = self._told()

    def count(self) -> int | None:
        """Return how many; None where the server kills nobody."""
        return None if self._log is None else self._told() - self._before

    def _told(self) -> int:
        return 0 if self._log is None else self._log.read_bytes().count(_KILLED)
