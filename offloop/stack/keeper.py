"""Keeping services up: one that dies is started again, but not in a tight loop."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from offloop.stack.errors import PortTaken
from offloop.stack.service import Service
from offloop.stack.supervisor import Stack

#: Seconds before a service that died is started again; doubled with each death in a row.
FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 15.0

#: Seconds after which a service that keeps running is forgiven its earlier deaths.
STEADY_S = 30.0


@dataclass
class _Record:
    """What is known of a service that has died.

    Attributes:
        deaths: In a row.
        last_death_s: When it died last.
        due_s: When it may be started again; None unless it waits for that.
        launched_s: When it was; None unless it is not ready yet.
    """

    deaths: int = 0
    last_death_s: float = float("-inf")
    due_s: float | None = None
    launched_s: float | None = None

    def is_due(self, now: float) -> bool:
        """Whether it may be started again."""
        return self.due_s is not None and self.due_s <= now


class Keeper:
    """Starts services of a stack, and starts them again when they end unasked.

    Args:
        stack: Runs them.
        services: What to keep up.
        tell: Is told, in a sentence, of every death and every new start.
        longest_delay_s: Limit of the delay, which doubles with each death in a row.
    """

    def __init__(
        self,
        stack: Stack,
        services: tuple[Service, ...],
        tell: Callable[[str], None],
        longest_delay_s: float = LONGEST_DELAY_S,
    ) -> None:
        self._stack = stack
        self._services = {service.name: service for service in services}
        self._records = {name: _Record() for name in self._services}
        self._tell = tell
        self._longest_delay_s = longest_delay_s

    def start(self) -> None:
        """Start all services.

        Raises:
            StackError: one could not be started; none is running.
        """
        self._stack.start(*self._services.values())

    def is_up(self, name: str) -> bool:
        """Whether a service is not waiting to be started again, and has been ready."""
        record = self._records[name]
        return record.due_s is None and record.launched_s is None

    def all_up(self) -> bool:
        """Whether every service runs and has been ready."""
        return not self._stack.dead() and all(map(self.is_up, self._records))

    def look(self) -> bool:
        """Start again what has died and waited long enough.

        Returns:
            Whether a service has died or was started, so that process ids have changed.
        """
        dead = self._stack.dead()
        for died in dead:
            self._note_death(died.service, died.status or "has ended")
            self._stack.stop(died.service)  # whatever it has left behind
        now = time.monotonic()
        due = [name for name, record in self._records.items() if record.is_due(now)]
        for name in due:
            self._launch(name)
        for name, record in self._records.items():
            if record.launched_s is not None:
                self._look_whether_ready(name, now - record.launched_s)
        return bool(dead or due)

    def _note_death(self, name: str, how: str) -> None:
        record = self._records[name]
        now = time.monotonic()
        if now - record.last_death_s > STEADY_S:
            record.deaths = 0
        delay_s = min(FIRST_DELAY_S * 2**record.deaths, self._longest_delay_s)
        record.deaths += 1
        record.last_death_s = now
        record.due_s, record.launched_s = now + delay_s, None
        self._tell(f"{name} {how}; again in {delay_s:g} s")

    def _launch(self, name: str) -> None:
        # Not waiting until it is ready: another one that dies meanwhile may be what it needs.
        record = self._records[name]
        record.due_s, record.launched_s = None, time.monotonic()
        try:
            self._stack.launch(self._services[name])
        except PortTaken as taken:
            self._note_death(name, f"cannot listen on port {taken.port}")

    def _look_whether_ready(self, name: str, after_s: float) -> None:
        ready = self._services[name].ready
        if ready.missing() is None:
            self._records[name].launched_s = None
            self._tell(f"{name} is up again")
        elif after_s > ready.deadline_s:
            self._stack.stop(name)
            self._note_death(name, f"was not ready within {ready.deadline_s:g} s")
