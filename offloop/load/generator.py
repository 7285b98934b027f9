"""The lab's side of the load generator: one Locust process that runs many plans."""

import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import IO, Self

from pydantic import ValidationError

from offloop.errors import OffloopError
from offloop.load.log import RequestLog
from offloop.load.plan import Plan
from offloop.load.protocol import EVENT, Done, Event, Failed, Job, Progress, Ready

PLAN_FILE = "plan.json"

_COMMAND = (sys.executable, "-m", "offloop.load.piped")

#: Guards against a generator that hangs, not limits on its speed: it starts in about 1.5 s, and
#: writes the log of 100,000 requests in less than a second.
_START_DEADLINE_S = 60.0
_WRITE_DEADLINE_S = 60.0

#: How long the process may take to notice the end of its input before it is killed.
_EXIT_DEADLINE_S = 5.0

_LOG_TAIL_LINES = 20

#: Starts a process from its arguments. Standard input and output must be pipes, standard error the
#: given file, and the environment inherited.
Start = Callable[[Sequence[str], IO[bytes]], subprocess.Popen[bytes]]


class GeneratorError(OffloopError):
    """The load generator could not do its work; the message shows the end of its log."""


def start_process(command: Sequence[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a process in a group of its own, in the lab's session.

    A group keeps Ctrl-C in the terminal from the generator, which ends when the lab closes its
    standard input. A session of its own would take it out of the scheduler's autogroup, and
    niceness does not work between those.
    """
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, process_group=0
    )


class Generator:
    """Runs plans in a Locust process, which is started once because that takes over a second.

    Use it as a context manager. It belongs to one thread at a time.

    Args:
        start: How to start the process.
        log: Where its output goes; a temporary file by default.
    """

    def __init__(self, *, start: Start = start_process, log: Path | None = None) -> None:
        self._start = start
        self._log_path = log
        self._cleanup = ExitStack()
        self._events: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        """Start the process and wait until it is ready.

        Raises:
            GeneratorError: It did not start.
        """
        with ExitStack() as cleanup:
            self._log: IO[bytes] = cleanup.enter_context(
                tempfile.TemporaryFile() if self._log_path is None else self._log_path.open("w+b")
            )
            self._process = self._start(_COMMAND, self._log)
            cleanup.callback(self._stop)
            threading.Thread(target=self._read_events, name="generator-events", daemon=True).start()
            event = self._next_event(monotonic() + _START_DEADLINE_S)
            if not isinstance(event, Ready):
                raise self._error(f"the load generator began with {event.event!r}, not 'ready'")
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the process, also in the middle of a plan."""
        self._cleanup.close()

    @property
    def pid(self) -> int:
        """Process id of the generator."""
        return self._process.pid

    def run(
        self,
        plan: Plan,
        out_dir: Path,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> RequestLog:
        """Send what `plan` says and return when the last answer or the deadline has come.

        Writes `plan.json`, `requests.csv`, `reports.csv`, `refusals.csv` and `summary.json` into
        `out_dir`.

        Args:
            plan: What to send.
            out_dir: Created if missing; files of an earlier run are replaced.
            on_progress: Called when the plan starts, about once a second, and at its end.

        Raises:
            GeneratorError: The process died, hung, or could not run the plan. Leave the context:
                the generator cannot be used again.
            OSError: `out_dir` cannot be written.
        """
        out_dir.mkdir(parents=True, exist_ok=True)
        plan_path = out_dir / PLAN_FILE
        plan_path.write_text(plan.model_dump_json(by_alias=True), encoding="utf-8")
        deadline_s = monotonic() + plan.deadline_s + _WRITE_DEADLINE_S
        self._send(Job(plan=plan_path.absolute(), out=out_dir.absolute()))
        while True:
            match self._next_event(deadline_s):
                case Progress() as progress:
                    if on_progress is not None:
                        on_progress(progress)
                case Done(start_monotonic_s=start_s, cpu_s=cpu_s):
                    log = RequestLog.read_rows(
                        out_dir,
                        names=plan.names,
                        start_monotonic_s=start_s,
                        deadline_s=plan.deadline_s,
                        cpu_s=cpu_s,
                    )
                    log.write_summary(out_dir)
                    return log
                case Failed(reason=reason):
                    raise self._error(f"the load generator could not run the plan: {reason}")
                case Ready():
                    raise self._error("the load generator started again in the middle of a plan")

    def _send(self, job: Job) -> None:
        assert self._process.stdin is not None  # noqa: S101 - `Start` promises pipes
        try:
            self._process.stdin.write(job.model_dump_json().encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise self._died() from None

    def _next_event(self, deadline_s: float) -> Event:
        try:
            line = self._events.get(timeout=max(deadline_s - monotonic(), 0.0))
        except queue.Empty:
            raise self._error("the load generator has stopped talking") from None
        if line is None:
            raise self._died()
        try:
            return EVENT.validate_json(line)
        except ValidationError:
            raise self._error(f"the load generator said {line!r}, which is no event") from None

    def _read_events(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - `Start` promises pipes
        with self._process.stdout as events:
            for line in events:
                self._events.put(line)
        self._events.put(None)

    def _stop(self) -> None:
        assert self._process.stdin is not None  # noqa: S101 - `Start` promises pipes
        # Closing flushes, which a dead process refuses.
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(_EXIT_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _died(self) -> GeneratorError:
        code = self._process.wait(_EXIT_DEADLINE_S)
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return self._error(f"the load generator died ({how})")

    def _error(self, what: str) -> GeneratorError:
        self._log.flush()
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        shown = "\n".join(f"  {line}" for line in lines)
        return GeneratorError(
            f"{what}. The end of its log:\n{shown}"
            if shown
            else f"{what}. Its log is empty; run `{' '.join(_COMMAND)}` to see whether it starts"
        )
