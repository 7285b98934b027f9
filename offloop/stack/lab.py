"""What all stacks of one lab process share: its mark, its temporary folder and its guard."""

import atexit
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from offloop.stack import guard, processes
from offloop.stack.errors import StackError

#: Seconds the lab waits, when it ends, for the guard to have looked for survivors.
_GUARD_EXIT_S = 6.0


class Lab:
    """One process that starts other processes, and the guard that outlives it.

    Attributes:
        mark: What every process of this lab carries in its environment.
        folder: Temporary folder, removed when the lab ends, however it ends.
    """

    def __init__(self) -> None:
        self.mark = processes.new_mark()
        self.folder = Path(tempfile.gettempdir()) / f"offloop-{self.mark}"
        self._guard = self._start_guard()
        try:
            self.folder.mkdir(mode=0o700)
        except OSError as error:
            self.close()
            raise StackError(
                f"no temporary folder for the lab: {error}. Make room or set TMPDIR to a folder "
                "you can write to."
            ) from error

    def announcing(self) -> int:
        """The descriptor on which a new process announces its group to the guard, as `+PID`.

        Raises:
            StackError: If the guard has ended, so that nothing would clean up after the lab.
        """
        status = self._guard.poll()
        if status is not None:
            raise StackError(
                f"the guard process of this lab has ended (status {status}), so nothing would end "
                "its services if the lab crashed. Start the lab again."
            )
        return self._pipe()

    def forget(self, group: int) -> None:
        """Tell the guard that a process group is gone: its number may be used again."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._pipe(), b"-%d\n" % group)

    def close(self) -> None:
        """End the guard, which ends whatever is left."""
        if self._guard.stdin:
            self._guard.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._guard.wait(_GUARD_EXIT_S)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _pipe(self) -> int:
        assert self._guard.stdin is not None  # noqa: S101 - it was started with a pipe
        return self._guard.stdin.fileno()

    def _start_guard(self) -> subprocess.Popen[bytes]:
        command = [
            sys.executable,
            "-m",
            guard.__name__,
            self.mark,
            str(os.getpid()),
            str(self.folder),
        ]
        # The package is found wherever this process found it.
        paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
                bufsize=0,
                # Its own group, so that Ctrl-C in the terminal does not reach it.
                process_group=0,
            )
        except OSError as error:
            raise StackError(f"the guard process cannot be started: {error}.") from error
        assert process.stdout is not None  # noqa: S101 - it was started with a pipe
        with process.stdout as output:
            first = output.readline()
            if first != guard.READY:
                reason = (first + output.read()).decode(errors="replace").strip()
                process.communicate()
                raise StackError(
                    "the guard process, which ends all services if the lab is killed, cannot be "
                    f"started (`{' '.join(command[:3])}`), so nothing was:\n{reason}"
                )
        return process


_lock = threading.Lock()
_current: Lab | None = None


def this_lab() -> Lab:
    """The lab of this process; made, with its guard, on first use.

    Raises:
        StackError: If the guard or the temporary folder cannot be had.
    """
    global _current  # noqa: PLW0603 - a process is one lab: one guard, one mark
    with _lock:
        if _current is None:
            _current = Lab()
            atexit.register(_current.close)
        return _current
