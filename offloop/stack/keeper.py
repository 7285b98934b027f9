"""Keeping services up: one that dies is started again, but not in a tight loop."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from offloop.stack.errors import ServiceDied, ServiceFailed
from offloop.stack.service import Service
from offloop.stack.supervisor import Stack

#: Seconds before a service that died is started again; doubled with each death in a row.
FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 15.0

#: Seconds after which a service that keeps running is forgiven its earlier deaths.
STEADY_S = 30.0


@dataclass
class _Record:
    """How often in a row a service has died, and when it may be started again."""

    deaths: int = 0
    last_death_s: float = float("-inf")
    due_s: float | None = None


class Keeper:
    """Starts services of a stack, and starts them again when they end unasked.

    Args:
        stack: Runs them.
        services: What to keep up.
        tell: Is told, in a sentence, of every death and every new start.
    """

    def __init__(
        self, stack: Stack, services: tuple[Service, ...], tell: Callable[[str], None]
    ) -> None:
        self._stack = stack
        self._services = {service.name: service for service in services}
        self._records = {name: _Record() for name in self._services}
        self._tell = tell

    def start(self) -> None:
        """Start all services.

        Raises:
            StackError: one could not be started; none is running.
        """
        self._stack.start(*self._services.values())

    def look(self) -> bool:
        """Start again what has died and waited long enough.

        Returns:
            Whether a service has died or was started, so that process ids have changed.
        """
        dead = self._stack.dead()
        for died in dead:
            self._stack.stop(died.service)  # whatever it has left behind
            self._note_death(died)
        now = time.monotonic()
        due = [
            name
            for name, record in self._records.items()
            if record.due_s is not None and record.due_s <= now
        ]
        started = [self._start_again(name) for name in due]
        return bool(dead) or any(started)

    def _note_death(self, died: ServiceDied | ServiceFailed) -> None:
        record = self._records[died.service]
        now = time.monotonic()
        if now - record.last_death_s > STEADY_S:
            record.deaths = 0
        delay_s = min(FIRST_DELAY_S * 2**record.deaths, LONGEST_DELAY_S)
        record.deaths += 1
        record.last_death_s = now
        record.due_s = now + delay_s
        self._tell(f"{died.service} {died.status or 'is not ready'}; again in {delay_s:g} s")

    def _start_again(self, name: str) -> bool:
        self._records[name].due_s = None
        try:
            self._stack.start(self._services[name])
        except ServiceFailed as failed:
            self._note_death(failed)
            return False
        self._tell(f"{name} is up again")
        return True
