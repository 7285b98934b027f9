"""The one place that starts, watches, restarts and stops processes."""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from offloop.stack import ports, processes, signals
from offloop.stack.errors import PortTaken, ServiceDied, ServiceFailed, StackError
from offloop.stack.lab import Lab, this_lab
from offloop.stack.priorities import prefix
from offloop.stack.service import Service, check_process

#: Seconds between SIGTERM and SIGKILL when a process does not end by itself, unless a stack has
#: nothing to lose.
GRACE_S = 2.5

#: Lines of a log that an error shows.
LOG_LINES = 20

#: Seconds until a process that was sent SIGKILL is given up (it is stuck in the kernel).
_KILL_DEADLINE_S = 2.0

_POLL_S = 0.02

#: More than twenty lines of any log worth reading.
_TAIL_BYTES = 16_384

_ENDING_SIGNALS = frozenset(
    {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGABRT}
)

_NOT_PASSED_ON = frozenset({signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT})

# What each process runs first. It announces its own process group to the guard, on standard error,
# before it becomes the program, so there is no moment at which the guard does not know it; then it
# takes its niceness, and its log as standard error. `exec` keeps the process id.
_LAUNCHER = """echo "+$$" >&2; log=$1 nice=$2; shift 2; exec nice -n "$nice" "$@" 2>>"$log" """

_stack_numbers = itertools.count(1)


@dataclass
class _Process:
    """A process of the stack and what is known about it."""

    name: str
    service: Service | None
    popen: subprocess.Popen[bytes]
    mark: str
    log: Path
    asked_to_end: bool = False

    def status(self) -> str | None:
        """How it ended, in words; None while it runs."""
        code = self.popen.poll()
        if code is None:
            return None
        if code >= 0:
            return f"exited with status {code}"
        return f"was ended by {_signal_name(-code)}"


class Stack:
    """A set of processes that are started, watched and stopped together.

    Leaving the `with` block stops them all, also on an error or Ctrl-C; if the lab itself is
    killed, its guard process does. Each process is a process group in the lab's own session
    (niceness does not work between sessions on Linux) and writes its output to a log file.

    Methods may be called from any thread; signals are handled in the main thread only.

    Args:
        log_dir: Where each process's log is, as `<name>.log`; a restart appends.
        disposable: Whether its data is worthless once it is left. If so, services are not given
            time to finish: those that have not ended at once are killed.

    Raises:
        StackError: On entering, if the guard, the log folder or the temporary folder cannot be had.
    """

    def __init__(self, log_dir: Path, *, disposable: bool = False) -> None:
        self.log_dir = log_dir
        self._disposable = disposable
        self._mark = processes.new_mark()
        self._processes: dict[str, _Process] = {}
        self._lock = threading.RLock()
        self._lab: Lab | None = None
        self._folder: Path | None = None
        self._entered = contextlib.ExitStack()

    @property
    def folder(self) -> Path:
        """Temporary folder for the data of this stack, removed when it is left."""
        if self._folder is None:
            raise StackError("a stack has its folder only inside `with Stack(...)`: enter it first")
        return self._folder

    def __enter__(self) -> Self:
        self._lab = this_lab()
        folder = self._lab.folder / f"stack-{next(_stack_numbers)}"
        try:
            self.log_dir.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
        except OSError as error:
            raise StackError(
                f"the stack cannot make its folders: {error}. Make room, or choose a folder you "
                "can write to."
            ) from error
        self._folder = folder
        self._entered.enter_context(signals.interruptible())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A second Ctrl-C must not leave processes behind. This takes 5 s at most.
        interrupted = isinstance(error, KeyboardInterrupt)
        again = contextlib.suppress(KeyboardInterrupt) if interrupted else contextlib.nullcontext()
        with again, self._entered, signals.held():
            try:
                self._end(list(self._snapshot().values()), everything=True)
            finally:
                shutil.rmtree(self.folder, ignore_errors=True)
                self._folder = None

    def start(self, *services: Service) -> None:
        """Start the services all at once, then wait until each is ready.

        Raises:
            PortTaken: If a port that a service is to listen on already has a listener.
            ServiceFailed: If a service ended or missed its deadline.
            StackError: If a name is already in use, or a program does not exist.
            In each case the services of this call have been stopped.
        """
        self.launch(*services)
        self.wait_until_ready(*(service.name for service in services))

    def launch(self, *services: Service) -> None:
        """Start the services and return at once; `wait_until_ready` has to follow.

        Raises:
            PortTaken: If a port that a service is to listen on already has a listener.
            StackError: If a name is already in use, or a program does not exist.
            In each case the services of this call have been stopped.
        """
        started: list[_Process] = []
        try:
            for service in services:
                # One by one, because what was started before a failure has to be stopped.
                started.append(self._start_service(service))  # noqa: PERF401 - said above
        except BaseException:
            self._end(started)
            raise

    def wait_until_ready(self, *names: str) -> None:
        """Wait for services that have been launched.

        Raises:
            ServiceFailed: If one ended or missed its deadline; all that were named are stopped.
            StackError: If there is no such service.
        """
        started = [self._get(name) for name in names]
        try:
            self._wait_until_ready(started)
        except BaseException:
            self._end(started)
            raise

    def popen(  # noqa: PLR0913 - keywords, each with a default
        self,
        name: str,
        command: tuple[str, ...],
        *,
        env: Mapping[str, str] | None = None,
        nice: int = 0,
        stdin: bool = False,
        stdout: bool = False,
    ) -> subprocess.Popen[bytes]:
        """Start a process that is no service: one that may end by itself.

        It gets a log, a niceness and the guard as services do, and `stop` and `pids` know it, but
        `check` does not miss it.

        Args:
            name: Names it, and its log; free again once the process has ended.
            command: Program and arguments.
            env: Variables set on top of the lab's own environment.
            nice: Niceness added to the lab's own, 0 to 19.
            stdin: Whether its standard input is a pipe to the caller; otherwise it is empty.
            stdout: Whether its standard output is a pipe to the caller; otherwise it is the log.

        Raises:
            StackError: If the name is in use or the program does not exist.
        """
        check_process(name, command, nice)
        with self._lock:
            before = self._processes.get(name)
            if before and before.service is None and before.status() is not None:
                self.stop(name)
        return self._launch(
            name, command, env=env or {}, nice=nice, stdin=stdin, stdout=stdout
        ).popen

    def stop(self, *names: str) -> None:
        """Stop processes at once, with all their descendants: SIGTERM, a grace period, SIGKILL.

        Only the processes themselves get SIGTERM, and each tells its descendants as it sees fit:
        Dramatiq's main process passes the signal on, and a worker that gets it twice drops its job.

        Raises:
            StackError: If there is no such process, or one survives SIGKILL.
        """
        self._end([self._get(name) for name in names])

    def restart(self, name: str) -> None:
        """Stop a service if it still runs, start it again and wait until it is ready.

        Raises:
            ServiceFailed: If it ended or missed its deadline.
            StackError: If there is no such service.
        """
        process = self._get(name)
        if process.service is None:
            raise StackError(f"{name} is not a service, so it cannot be restarted: start it again.")
        self._end([process])
        self.start(process.service)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a service.

        What it cannot pass on, SIGKILL, SIGSTOP and SIGCONT, reaches its whole process group; any
        other signal reaches only the service itself, as when it is asked to end. After a SIGSTOP
        none of its processes goes on when this returns.

        A service ended by one of the usual ending signals counts as asked to end.

        Raises:
            StackError: If there is no such process, or it has ended.
        """
        process = self._get(name)
        status = process.status()
        if status is not None:
            raise StackError(f"{name} {status}, so it cannot get {number.name}: restart it first.")
        if number in _ENDING_SIGNALS:
            process.asked_to_end = True
        if number in _NOT_PASSED_ON:
            _signal_group(process, number)
        else:
            _signal(process, number)

    def check(self) -> None:
        """Do nothing if every service runs that has not been asked to end.

        Raises:
            ServiceDied: If a service ended unasked.
        """
        for died in self.dead():
            raise died

    def dead(self) -> list[ServiceDied]:
        """Every service that ended unasked."""
        return [
            ServiceDied(
                process.name,
                f"ended unasked: it {status}; its whole log is {process.log}",
                status=status,
                log_tail=log_tail(process.log),
            )
            for process in self._snapshot().values()
            if process.service and not process.asked_to_end and (status := process.status())
        ]

    def pids(self) -> dict[str, list[int]]:
        """For each running process, its process id and then those of its descendants."""
        running = {
            process.popen.pid: name
            for name, process in self._snapshot().items()
            if process.status() is None
        }
        families = processes.families(running.keys())
        return {name: [pid, *families[pid]] for pid, name in running.items()}

    def _snapshot(self) -> dict[str, _Process]:
        with self._lock:
            return dict(self._processes)

    def _get(self, name: str) -> _Process:
        known = self._snapshot()
        if name not in known:
            raise StackError(
                f"this stack has no process named {name!r}; it has {', '.join(known) or 'none'}."
            )
        return known[name]

    def _start_service(self, service: Service) -> _Process:
        port = service.ready.port
        if port is not None and not ports.is_free(port):
            raise PortTaken(service.name, port)
        return self._launch(
            service.name, service.command, env=service.env, nice=service.nice, service=service
        )

    def _launch(  # noqa: PLR0913 - the options of `popen` and `Service`, in one place
        self,
        name: str,
        command: tuple[str, ...],
        *,
        env: Mapping[str, str],
        nice: int,
        service: Service | None = None,
        stdin: bool = False,
        stdout: bool = False,
    ) -> _Process:
        if self._lab is None or self._folder is None:
            raise StackError(f"{name} can be started only inside `with Stack(...)`: enter it first")
        mark = processes.new_mark()
        environment = os.environ | {"PYTHONUNBUFFERED": "1", **env}
        for each in (self._lab.mark, self._mark, mark):
            environment[processes.MARK_VARIABLE] = processes.add_mark(environment, each)
        program = shutil.which(command[0], path=environment.get("PATH"))
        if program is None:
            raise StackError(
                f"{name} cannot be started: there is no program {command[0]!r} that can be "
                "executed. Install it, or correct the path."
            )
        log = self.log_dir / f"{name}.log"
        with self._lock, signals.held(), _open_log(log) as output:
            if name in self._processes:
                raise StackError(
                    f"this stack already has a process named {name!r}: stop it first, or choose "
                    "another name."
                )
            popen = subprocess.Popen(
                [
                    *("/bin/sh", "-c", _LAUNCHER, name, log, str(nice)),
                    *(*prefix(nice), program, *command[1:]),
                ],
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE if stdout else output,
                stderr=self._lab.announcing(),
                env=environment,
                process_group=0,
            )
            process = _Process(name, service, popen, mark, log)
            self._processes[name] = process
            return process

    def _wait_until_ready(self, started: Iterable[_Process]) -> None:
        begin = time.monotonic()
        pending = [(process, process.service) for process in started if process.service]
        while pending:
            still: list[tuple[_Process, Service]] = []
            for process, service in pending:
                missing = service.ready.missing()
                status = process.status()
                late = time.monotonic() - begin > service.ready.deadline_s
                if status is not None or (missing is not None and late):
                    raise _failed(process, service, status, missing)
                if missing is not None:
                    still.append((process, service))
            pending = still
            if pending:
                time.sleep(_POLL_S)

    def _end(self, ending: list[_Process], *, everything: bool = False) -> None:
        """Stop processes concurrently, with all that descends from them.

        Args:
            ending: The processes to stop.
            everything: Whether to look for whatever else carries the mark of this stack.
        """
        if not ending and not everything:
            return
        marks = {process.mark for process in ending} | ({self._mark} if everything else set())
        groups = {process.popen.pid for process in ending}
        for process in ending:
            process.asked_to_end = True
        # Before anything ends: an orphan without a mark could not be found afterwards.
        known = processes.find(marks, groups)
        for process in ending:
            _signal(process, signal.SIGTERM)
            # A stopped process acts on SIGTERM only when it continues.
            _signal_group(process, signal.SIGCONT)
        grace_s = 0.0 if everything and self._disposable else GRACE_S
        deadline = time.monotonic() + grace_s
        while time.monotonic() < deadline and any(p.popen.poll() is None for p in ending):
            time.sleep(_POLL_S)
        deadline = time.monotonic() + _KILL_DEADLINE_S
        while known := processes.find(marks, groups, known):
            if time.monotonic() > deadline:
                left = ", ".join(f"{process.pid} ({process.name()})" for process in known)
                raise StackError(
                    f"these processes survive SIGKILL: {left}. They are stuck in the kernel, "
                    "mostly waiting for a disk; see `dmesg`."
                )
            processes.kill(known)
            for process in ending:
                process.popen.poll()
            time.sleep(_POLL_S)
        for process in ending:
            self._forget(process)

    def _forget(self, process: _Process) -> None:
        process.popen.wait()
        for pipe in (process.popen.stdin, process.popen.stdout):
            if pipe is not None:
                # Closing writes what is buffered, and the process that would read it has ended.
                with contextlib.suppress(OSError):
                    pipe.close()
        with self._lock:
            if self._processes.get(process.name) is process:
                del self._processes[process.name]
        if self._lab is not None:
            self._lab.forget(process.popen.pid)


def log_tail(log: Path, lines: int = LOG_LINES) -> str:
    """The last lines of a log; empty if there is none."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            end = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(end.splitlines()[-lines:])


def _failed(
    process: _Process, service: Service, status: str | None, missing: str | None
) -> ServiceFailed:
    if status is not None:
        what = f"{status} while it was being started"
    else:
        what = f"was not ready within {service.ready.deadline_s:g} s: {missing}"
    return ServiceFailed(
        process.name,
        f"{what}; its whole log is {process.log}",
        status=status,
        log_tail=log_tail(process.log),
    )


@contextlib.contextmanager
def _open_log(log: Path) -> Iterator[int]:
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError as error:
        raise StackError(
            f"the log {log} cannot be written: {error}. Make room, or choose a folder you can "
            "write to."
        ) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _signal(process: _Process, number: signal.Signals) -> None:
    with contextlib.suppress(PermissionError):
        process.popen.send_signal(number)


def _signal_group(process: _Process, number: signal.Signals) -> None:
    # Once the process has been waited for, its number may be another's.
    if process.popen.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if number is signal.SIGSTOP:
                processes.freeze(process.popen.pid)
            else:
                os.killpg(process.popen.pid, number)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
