"""Making the events of an experiment happen while the load of one arm runs."""

import signal
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType

from offloop.bench import scaling
from offloop.bench.events import PARTS, Event
from offloop.bench.stage import Setting
from offloop.measuring.instruments.instrument import Instrument
from offloop.measuring.rows import Happened
from offloop.stack.failpoints import Trap
from offloop.stack.service import Service
from offloop.stack.supervisor import GRACE_S

_SIGNALS = {"TERM": signal.SIGTERM, "KILL": signal.SIGKILL}

#: Seconds between two looks whether a process has ended.
_LOOK_S = 0.02


class Faults(Instrument):
    """What happens to one arm, each event in a thread of its own.

    It is the last to be entered and the first to be left. Whatever is frozen or away then goes on,
    and is started again, before it is left.

    Attributes:
        happened: What has happened, and when.
    """

    def __init__(
        self,
        setting: Setting,
        events: Sequence[Event],
        about_to_end: Callable[[Sequence[str]], object] = lambda _: None,
    ) -> None:
        """Prepare to let them happen.

        Args:
            setting: The services that they are done to.
            events: What is to happen.
            about_to_end: Told of the services that an event is going to end.
        """
        self.happened: list[Happened] = []
        self._setting = setting
        self._about_to_end = about_to_end
        self._events = [event for event in events if setting.processes_of(event)]
        self._threads: list[threading.Thread] = []
        self._over = threading.Event()
        self._aborted = False
        self._errors: list[Exception] = []

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._aborted = error is not None
        self._over.set()
        for thread in self._threads:
            thread.join()
        if error is None:
            for failed in self._errors:
                raise failed

    def began(self, start_monotonic_s: float) -> None:
        """Let them happen."""
        ones: list[_Happening] = []
        for event in self._events:
            one = _Happening(
                self._setting, event, start_monotonic_s, self._over, self._about_to_end
            )
            one.comes_after(ones)
            ones.append(one)
            name = f"event-{event.id}"
            thread = threading.Thread(target=self._run, args=(one,), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, one: "_Happening") -> None:
        try:
            if not one.wait_and_begin():
                return
            one.wait_for_the_end()
            if self._aborted:
                one.thaw()  # everything is about to be stopped
                return
            one.end()
            one.ended.set()
            self.happened.append(one.result())
            self._over.wait()
            if not self._aborted:
                one.undo()
        except Exception as error:  # noqa: BLE001 - raised by the thread that waits for this one
            self._errors.append(error)
        finally:
            one.ended.set()


class _Happening:
    """One event from its beginning to its end."""

    def __init__(
        self,
        setting: Setting,
        event: Event,
        start_s: float,
        over: threading.Event,
        about_to_end: Callable[[Sequence[str]], object],
    ) -> None:
        self.event = event
        self.ended = threading.Event()
        self._earlier: list[threading.Event] = []
        self._about_to_end = about_to_end
        self._setting = setting
        self._stack = setting.stack
        self._start_s = start_s
        self._over = over
        self._names = setting.processes_of(event)
        self._began_s = 0.0
        self._ended_s: float | None = None
        self._changed: Sequence[Service] = ()
        self._failed: Exception | None = None

    @property
    def _ends_processes(self) -> bool:
        return self.event.do in {"kill", "restart"}

    def comes_after(self, earlier: "Iterable[_Happening]") -> None:
        """Wait for earlier ones that end the same processes: these have to run again first."""
        self._earlier += [
            other.ended
            for other in earlier
            if self._ends_processes
            and other._ends_processes  # noqa: SLF001 - one of ours
            and not set(self._names).isdisjoint(other._names)  # noqa: SLF001 - one of ours
        ]

    def wait_and_begin(self) -> bool:
        """Return once it has begun, or False if the load was over first."""
        begins_s = self._start_s + (self.event.at_s or 0.0)
        if self._over.wait(max(0.0, begins_s - time.monotonic())):
            return False
        while not all(earlier.is_set() for earlier in self._earlier):
            if self._over.wait(_LOOK_S):
                return False
        if self.event.at is None:
            self._begin(self._names)
            return True
        assert self._setting.failpoints is not None  # noqa: S101 - there is one where an event waits
        trap = Trap(self.event.at, catches=self._is_meant, act=self._act)
        self._setting.failpoints.set(trap)
        while not trap.sprung.wait(_LOOK_S):
            # A process that was caught at the last moment still has to be handled.
            if self._over.is_set() and self._setting.failpoints.remove(trap):
                return False
        if self._failed is not None:
            raise self._failed
        return True

    def _is_meant(self, pid: int) -> bool:
        return self.event.what in PARTS or self._name_of(pid) in self._names

    def _act(self, pid: int) -> None:
        name = self._name_of(pid)
        try:
            self._begin(self._names if self.event.what in PARTS or name is None else (name,))
        except Exception as error:  # noqa: BLE001 - raised by the thread of the event
            self._failed = error

    def _name_of(self, pid: int) -> str | None:
        return next((name for name, pids in self._stack.pids().items() if pid in pids), None)

    def _begin(self, names: tuple[str, ...]) -> None:
        self._names = names
        if self._ends_processes:
            self._about_to_end(names)
        self._began_s = time.monotonic()
        match self.event.do:
            case "pause":
                self._send(signal.SIGSTOP)
            case "kill" | "restart":
                self._send(_SIGNALS[self.event.signal or "TERM"])
            case "scale":
                self._scale()

    def wait_for_the_end(self) -> None:
        """Return when what was begun is to end."""
        if self.event.for_s is not None:
            # A pause ends with the load at the latest: after it, the lab itself needs answers.
            self._over.wait(max(0.0, self._began_s + self.event.for_s - time.monotonic()))
        elif self.event.do == "kill":
            self._over.wait()

    def end(self) -> None:
        """Let go on what was frozen; start again what was ended, and wait until it is ready."""
        self.thaw()
        if self._ends_processes:
            self._wait_until_ended()
            for name in self._names:
                self._stack.restart(name)
        self._ended_s = time.monotonic()

    def thaw(self) -> None:
        """Let go on what was frozen."""
        if self.event.do == "pause":
            self._send(signal.SIGCONT)

    def undo(self) -> None:
        """Give back the slots that there were."""
        scaling.undo(self._setting, self._changed)

    def result(self) -> Happened:
        """Return what has happened."""
        lasted_s = None if self._ended_s is None else self._ended_s - self._began_s
        return Happened(self.event.id, self._names, self._began_s - self._start_s, lasted_s)

    def _send(self, number: signal.Signals) -> None:
        for name in self._names:
            self._stack.signal(name, number)

    def _wait_until_ended(self) -> None:
        # Asked to end a second time, a worker would drop the job that it is handing back.
        deadline = time.monotonic() + GRACE_S
        while time.monotonic() < deadline and not self._stack.pids().keys().isdisjoint(self._names):
            time.sleep(_LOOK_S)

    def _scale(self) -> None:
        self._changed = scaling.scale(self._setting, self.event.what, self.event.slots or 0)
        self._names = tuple(service.name for service in self._changed)
