"""Listens for processes that reach a failpoint (`reports.failpoints`), and holds them there.

A process that is started with the path of the socket in its environment announces each failpoint,
`PID FAILPOINT JOB_ID` a line, and waits for one byte before it goes on.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

#: The failpoints in their order. The lab imports nothing of the work; a test compares the two.
FAILPOINTS = (
    *("fetch", "write", "before_rename", "after_rename"),
    *("after_billing", "before_ack", "idle"),
)


@dataclass(frozen=True)
class Announcement:
    """A process has reached a failpoint.

    Attributes:
        pid: Which process.
        failpoint: What it has reached.
        job_id: With which job, if it knows; empty otherwise.
    """

    pid: int
    failpoint: str
    job_id: str


class FailpointListener:
    """Listens on a Unix socket. Processes may die at any moment, also in the middle of a line.

    Args:
        path: Where the socket goes.
        reached: Told of every failpoint, from a thread; the process goes on when this returns.
        gone: Told of the id of every process whose connection has ended.
    """

    def __init__(
        self,
        path: Path,
        reached: Callable[[Announcement], None],
        gone: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.path = path
        self._told_reached = reached
        self._told_gone = gone
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._closing = False

    def __enter__(self) -> Self:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.path))
        listener.listen()
        self._begin(self._accept, listener)
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

    def _begin(self, run: Callable[[socket.socket], None], connection: socket.socket) -> None:
        thread = threading.Thread(target=run, args=(connection,), name="failpoints", daemon=True)
        with self._lock:
            if self._closing:
                connection.close()
                return
            self._open.add(connection)
            self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with self._closed_after(listener), contextlib.suppress(OSError):
            while True:
                self._begin(self._serve, listener.accept()[0])

    def _serve(self, connection: socket.socket) -> None:
        pid: int | None = None
        with (
            self._closed_after(connection),
            contextlib.suppress(OSError),
            connection.makefile("rb") as lines,
        ):
            for line in lines:
                if line.endswith(b"\n"):  # or its writer died in the middle of it
                    announced = _parse(line)
                    pid = announced.pid
                    self._told_reached(announced)
                    connection.sendall(b".")
        if pid is not None:
            self._told_gone(pid)

    @contextlib.contextmanager
    def _closed_after(self, connection: socket.socket) -> Iterator[None]:
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(connection)
                connection.close()


def _parse(line: bytes) -> Announcement:
    pid, failpoint, job_id = line.decode().split()
    return Announcement(int(pid), failpoint, "" if job_id == "-" else job_id)


@dataclass(eq=False)
class Trap:
    """Waits for a process at a failpoint, once.

    Attributes:
        failpoint: Where.
        act: What to do with the process, by its id. It stays where it is until this returns.
        catches: Whether a process, by its id, is one that is waited for. The default is any.
        sprung: Set when it is done.
    """

    failpoint: str
    act: Callable[[int], object]
    catches: Callable[[int], bool] = lambda _: True
    sprung: threading.Event = field(default_factory=threading.Event)


class FailpointServer(FailpointListener):
    """Lets every process go on at once that no trap catches.

    Args:
        path: Where the socket goes.
        watch: Told of every failpoint before a trap is, from a thread; it must be quick.
        gone: Told of the id of every process whose connection has ended.
    """

    def __init__(
        self,
        path: Path,
        watch: Callable[[Announcement], None] = lambda _: None,
        gone: Callable[[int], None] = lambda _: None,
    ) -> None:
        super().__init__(path, self._reached, gone)
        self._watch = watch
        self._traps_lock = threading.Lock()
        self._traps: list[Trap] = []

    def set(self, trap: Trap) -> Trap:
        """Wait for a process at a failpoint; one that is there already is not caught."""
        with self._traps_lock:
            self._traps.append(trap)
        return trap

    def remove(self, trap: Trap) -> bool:
        """Stop waiting, and return whether the trap had caught no process."""
        with self._traps_lock:
            try:
                self._traps.remove(trap)
            except ValueError:
                return False
            return True

    def _reached(self, announced: Announcement) -> None:
        self._watch(announced)
        with self._traps_lock:
            waiting = [trap for trap in self._traps if trap.failpoint == announced.failpoint]
        trap = next((trap for trap in waiting if trap.catches(announced.pid)), None)
        if trap is None or not self.remove(trap):
            return  # not waited for, or another process was faster
        try:
            trap.act(announced.pid)
        finally:
            trap.sprung.set()
