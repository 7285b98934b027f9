"""Running the program that does bursts, as a process of the lab."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from offloop.bench.burst.experiment import Burst, BurstArm
from offloop.bench.burst.protocol import Done
from offloop.errors import OffloopError
from offloop.stack.supervisor import Stack, log_tail

#: By name: the lab starts what does the work, and imports none of it.
MODULE = "loadtests.bursts"

#: Guards against a program that hangs: it takes seconds.
DEADLINE_S = 120.0

#: Niceness of every arm: there is nothing else of the lab's that it would have to make way for.
NICE = 0


class BurstError(OffloopError):
    """The program that does bursts could not do them; the message shows the end of its log."""


def command(burst: Burst, arm: BurstArm) -> tuple[str, ...]:
    """Return the command line that does what an arm does in a block."""
    return (
        sys.executable, "-m", MODULE,
        "--executor", arm.executor,
        "--workers", str(arm.workers),
        "--pieces", str(burst.pieces),
        "--repeats", str(burst.repeats),
        "--work", *burst.work,
    )  # fmt: skip


def run_program(stack: Stack, name: str, arguments: Sequence[str], root: Path) -> Done:
    """Run it to its end.

    Args:
        stack: Supervises it.
        name: Of the process, and of its log.
        arguments: As `command` returns them.
        root: The checkout, in which the program is found.

    Raises:
        BurstError: it failed, or hung.
        StackError: it could not be started.
    """
    process = stack.popen(
        name, tuple(arguments), env={"PYTHONPATH": _path(root)}, nice=NICE, stdout=True
    )
    log = stack.log_dir / f"{name}.log"
    try:
        said, _ = process.communicate(timeout=DEADLINE_S)
    except subprocess.TimeoutExpired as error:
        raise BurstError(
            f"{name} has not done its bursts after {DEADLINE_S:g} s.{_shown(log)}"
        ) from error
    if process.returncode:
        raise BurstError(f"{name} {_ended(process.returncode)}.{_shown(log)}")
    try:
        return Done.model_validate_json(said)
    except ValidationError as error:
        raise BurstError(f"{name} said {said!r}, which is no result: {error}") from error


def _ended(status: int) -> str:
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def _path(root: Path) -> str:
    return os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))


def _shown(log: Path) -> str:
    tail = log_tail(log)
    if not tail:
        return f" Its log {log} is empty."
    lines = "\n".join(f"  {line}" for line in tail.splitlines())
    return f" The end of its log {log}:\n{lines}"
