"""The other end of `reports.steps`: knows where each slot is, and can hold it there."""

import contextlib
import socket
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from reports.steps import Step


@dataclass(frozen=True)
class Sighting:
    """A slot has reached a step.

    Attributes:
        slot: Name of the slot.
        pid: The process that works, a child of the slot's own.
        step: What it has reached.
        job_id: The job in hand; empty where there is none.
    """

    slot: str
    pid: int
    step: Step
    job_id: str

    @property
    def in_hand(self) -> bool:
        """Whether there is a job that would have to be done again."""
        return self.step is not Step.IDLE


@dataclass(eq=False)
class Trap:
    """Waits for a slot at a step, once.

    Attributes:
        step: Where.
        slots: For whom; empty for any.
        job_id: Only with this job; empty for any.
        act: What to do. The slot stays where it is until this returns.
        sprung: Set when it is done.
    """

    step: Step
    act: Callable[[Sighting], object]
    slots: Collection[str] = ()
    job_id: str = ""
    sprung: threading.Event = field(default_factory=threading.Event)

    def catches(self, sighting: Sighting) -> bool:
        """Whether this is what it waits for."""
        return (
            sighting.step is self.step
            and (not self.slots or sighting.slot in self.slots)
            and (not self.job_id or sighting.job_id == self.job_id)
        )


class StepServer:
    """Serves the steps of several slots, each on a socket of its own.

    Everything goes on at once, except for slots that have walked into a trap. A slot may die at
    any moment.

    Args:
        folder: Where the sockets go.
        slots: Names of the slots.
        watch: Is told of every step, while the slot is held there: it must be quick.
    """

    def __init__(
        self, folder: Path, slots: Collection[str], watch: Callable[[Sighting], None]
    ) -> None:
        self._folder = folder
        self._watch = watch
        self._lock = threading.Lock()
        self._traps: list[Trap] = []
        self._latest: dict[str, Sighting] = {}
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._slots = tuple(slots)
        self._closing = False

    def path(self, slot: str) -> Path:
        """Where a slot finds us."""
        return self._folder / f"{slot}.sock"

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        for slot in self._slots:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(self.path(slot)))
            listener.listen()
            self._begin(self._accept, listener, slot)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._closing = True
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            threads = list(self._threads)
        for thread in threads:
            thread.join()

    def set(self, trap: Trap) -> Trap:
        """Wait for somebody at a step; what is there already is not caught."""
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

    def _begin(
        self, run: Callable[[socket.socket, str], None], connection: socket.socket, slot: str
    ) -> None:
        thread = threading.Thread(target=run, args=(connection, slot), daemon=True)
        with self._lock:
            if self._closing:
                connection.close()
                return
            self._open.add(connection)
            self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket, slot: str) -> None:
        with self._closed_after(listener), contextlib.suppress(OSError):
            while True:
                self._begin(self._serve, listener.accept()[0], slot)

    def _serve(self, connection: socket.socket, slot: str) -> None:
        sighting: Sighting | None = None
        with (
            self._closed_after(connection),
            contextlib.suppress(OSError),
            connection.makefile("rb") as lines,
        ):
            for line in lines:
                if line.endswith(b"\n"):  # or its writer died in the middle of it
                    sighting = _sighting(slot, line, sighting)
                    self._reached(sighting)
                    connection.sendall(b".")
        with self._lock:
            if self._latest.get(slot) == sighting:
                self._latest.pop(slot, None)

    def _reached(self, sighting: Sighting) -> None:
        with self._lock:
            self._latest[sighting.slot] = sighting
            trap = next((trap for trap in self._traps if trap.catches(sighting)), None)
            if trap is not None:
                self._traps.remove(trap)
        self._watch(sighting)
        if trap is not None:
            try:
                trap.act(sighting)
            finally:
                trap.sprung.set()

    @contextlib.contextmanager
    def _closed_after(self, connection: socket.socket) -> Iterator[None]:
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(connection)
                connection.close()


def _sighting(slot: str, line: bytes, before: Sighting | None) -> Sighting:
    pid, name, job_id = line.decode().split()
    step = Step(name)
    if job_id == "-":
        # What writes a file does not know for which job: for the one that was fetched.
        job_id = before.job_id if before is not None and step is not Step.IDLE else ""
    return Sighting(slot, int(pid), step, job_id)
