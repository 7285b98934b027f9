"""The other end of `reports.failpoints`: knows where each slot is, and can hold it there."""

import contextlib
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from offloop.stack.failpoints import Announcement, FailpointListener
from reports.failpoints import Failpoint


@dataclass(frozen=True)
class Sighting:
    """A slot has reached a failpoint.

    Attributes:
        slot: Name of the slot.
        pid: The process that works, a child of the slot's own.
        failpoint: What it has reached.
        job_id: The job in hand; empty where there is none.
    """

    slot: str
    pid: int
    failpoint: Failpoint
    job_id: str

    @property
    def in_hand(self) -> bool:
        """Whether there is a job that would have to be done again."""
        return self.failpoint is not Failpoint.IDLE


@dataclass(eq=False)
class Trap:
    """Waits for a slot at a failpoint, once.

    Attributes:
        failpoint: Where.
        slots: For whom; empty for any.
        job_id: Only with this job; empty for any.
        act: What to do. The slot stays where it is until this returns.
        sprung: Set when it is done.
    """

    failpoint: Failpoint
    act: Callable[[Sighting], object]
    slots: Collection[str] = ()
    job_id: str = ""
    sprung: threading.Event = field(default_factory=threading.Event)

    def catches(self, sighting: Sighting) -> bool:
        """Whether this is what it waits for."""
        return (
            sighting.failpoint is self.failpoint
            and (not self.slots or sighting.slot in self.slots)
            and (not self.job_id or sighting.job_id == self.job_id)
        )


class FailpointServer:
    """Serves the failpoints of several slots, each on a socket of its own.

    Everything goes on at once, except for slots that a trap has caught. A slot may die at
    any moment.

    Args:
        folder: Where the sockets go.
        slots: Names of the slots.
        watch: Is told of every failpoint, while the slot is held there: it must be quick.
    """

    def __init__(
        self, folder: Path, slots: Collection[str], watch: Callable[[Sighting], None]
    ) -> None:
        self._folder = folder
        self._watch = watch
        self._lock = threading.Lock()
        self._traps: list[Trap] = []
        self._latest: dict[str, Sighting] = {}
        self._slots = tuple(slots)
        self._listening = contextlib.ExitStack()

    def path(self, slot: str) -> Path:
        """Where a slot finds us."""
        return self._folder / f"{slot}.sock"

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        for slot in self._slots:
            listener = FailpointListener(
                self.path(slot), partial(self._reached, slot), partial(self._gone, slot)
            )
            self._listening.enter_context(listener)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listening.close()

    def set(self, trap: Trap) -> Trap:
        """Wait for a slot at a failpoint; one that is there already is not caught."""
        with self._lock:
            self._traps.append(trap)
        return trap

    def remove(self, trap: Trap) -> bool:
        """Wait no more, and return whether the trap was still set."""
        with self._lock:
            try:
                self._traps.remove(trap)
            except ValueError:
                return False
            return True

    def latest(self, slot: str) -> Sighting | None:
        """Where a slot was seen last; None if it has reached nothing since it was started."""
        with self._lock:
            return self._latest.get(slot)

    def _reached(self, slot: str, announced: Announcement) -> None:
        with self._lock:
            sighting = _sighting(slot, announced, self._latest.get(slot))
            self._latest[slot] = sighting
            trap = next((trap for trap in self._traps if trap.catches(sighting)), None)
            if trap is not None:
                self._traps.remove(trap)
        self._watch(sighting)
        if trap is not None:
            try:
                trap.act(sighting)
            finally:
                trap.sprung.set()

    def _gone(self, slot: str, pid: int) -> None:
        with self._lock:
            latest = self._latest.get(slot)
            if latest is not None and latest.pid == pid:
                del self._latest[slot]


def _sighting(slot: str, announced: Announcement, before: Sighting | None) -> Sighting:
    failpoint, job_id = Failpoint(announced.failpoint), announced.job_id
    # What writes a file does not know for which job: for the one that was fetched.
    if not job_id and failpoint is not Failpoint.IDLE and before and before.pid == announced.pid:
        job_id = before.job_id
    return Sighting(slot, announced.pid, failpoint, job_id)
