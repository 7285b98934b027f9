"""Whatever happens to the lab, nothing it started is left."""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from offloop.stack import processes
from tests.stack.support import HANG_S, STUBBORN, working_in
from tests.waiting import wait_for

pytestmark = pytest.mark.medium

#: Signals are set as a terminal would: a test run in the background has some of them ignored.
LAB = f"""
import itertools, json, os, signal, sys, time
from pathlib import Path
from offloop.stack.lab import this_lab
from offloop.stack.ports import free_port
from offloop.stack.redis import embedded_redis
from offloop.stack.service import Service
from offloop.stack.supervisor import Stack

signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

def stubborn(folder):
    return (sys.executable, "-c", {STUBBORN!r}, str(folder))

def say(stack):
    where = {{"mark": this_lab().mark, "folder": str(stack.folder)}}
    print(json.dumps(where), flush=True)
"""

#: A broker, which wipes its environment, and a stubborn family, with a paused member.
SETTLED = """
with Stack(Path(sys.argv[1])) as stack:
    stack.start(
        embedded_redis(stack.folder / "redis", free_port()),
        Service("stubborn", stubborn(stack.folder)),
        Service("paused", ("sleep", "600")),
    )
    while "child" not in (stack.log_dir / "stubborn.log").read_text():
        time.sleep(0.01)
    stack.signal("paused", signal.SIGSTOP)
    say(stack)
    time.sleep(600)
"""

#: Never stops starting processes.
STARTING = """
with Stack(Path(sys.argv[1])) as stack:
    say(stack)
    for number in itertools.count():
        stack.popen(f"stubborn-{number}", stubborn(stack.folder))
        broker = embedded_redis(stack.folder, free_port())
        stack.popen(f"redis-{number}", broker.command)
        print("started", flush=True)
"""

#: Ends without leaving the `with` block.
CRASHING = SETTLED.replace("time.sleep(600)", "os._exit(7)")

#: Ends because of its own mistake.
FAILING = SETTLED.replace("time.sleep(600)", "raise RuntimeError('a mistake in the lab')")


@dataclass
class RunningLab:
    process: subprocess.Popen[str]
    mark: str
    folder: Path

    def left(self) -> list[psutil.Process]:
        """What is still there, found by the mark and, independently, by the working folder."""
        return processes.find([self.mark]) + working_in(self.folder)

    def is_clean(self) -> bool:
        return not self.left() and not self.folder.parent.exists()


@contextlib.contextmanager
def running(program: str, logs: Path) -> Iterator[RunningLab]:
    with subprocess.Popen(
        [sys.executable, "-c", LAB + program, str(logs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            where = json.loads(process.stdout.readline())
            yield RunningLab(process, where["mark"], Path(where["folder"]))
        finally:
            process.kill()


@pytest.mark.parametrize(
    "ending", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda s: s.name
)
def test_a_lab_that_gets_a_signal_leaves_no_process(ending: signal.Signals, tmp_path: Path) -> None:
    with running(SETTLED, tmp_path) as lab:
        names = {process.name() for process in lab.left()}
        assert {"valkey-server", "sleep"} <= names, "the test can see what should go"
        assert lab.folder.exists()

        lab.process.send_signal(ending)

        wait_for(lab.is_clean)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_a_signal_ends_the_lab_with_a_keyboard_interrupt(
    ending: signal.Signals, tmp_path: Path
) -> None:
    with running(SETTLED, tmp_path) as lab:
        lab.process.send_signal(ending)
        _, errors = lab.process.communicate(timeout=HANG_S)

        assert "KeyboardInterrupt" in errors.splitlines()[-1]
        assert lab.is_clean(), "at the moment the lab has ended"


def test_a_second_ctrl_c_does_not_interrupt_the_stopping(tmp_path: Path) -> None:
    with running(SETTLED, tmp_path) as lab:
        lab.process.send_signal(signal.SIGINT)
        # The paused service ends at once; the stubborn one keeps the lab stopping for a while.
        wait_for(lambda: "sleep" not in {process.name() for process in lab.left()})
        assert lab.left()
        lab.process.send_signal(signal.SIGINT)
        _, errors = lab.process.communicate(timeout=HANG_S)

        assert errors.count("KeyboardInterrupt") == 1
        assert lab.is_clean()


@pytest.mark.parametrize("program", [CRASHING, FAILING], ids=["crashing", "failing"])
def test_a_lab_that_ends_by_itself_leaves_no_process(program: str, tmp_path: Path) -> None:
    with running(program, tmp_path) as lab:
        lab.process.wait(HANG_S)

        wait_for(lab.is_clean)


@pytest.mark.parametrize("already_started", [1, 2, 3])
def test_processes_started_a_moment_before_the_kill_end_too(
    already_started: int, tmp_path: Path
) -> None:
    with running(STARTING, tmp_path) as lab:
        assert lab.process.stdout is not None
        for _ in range(already_started):
            lab.process.stdout.readline()

        lab.process.kill()
        lab.process.wait()

        wait_for(lab.is_clean)
        assert not lab.left(), "nor does anything appear afterwards"


def test_nothing_of_another_lab_is_touched(tmp_path: Path) -> None:
    with running(SETTLED, tmp_path / "one") as one, running(SETTLED, tmp_path / "two") as two:
        before = {process.pid for process in two.left()}

        one.process.kill()
        wait_for(one.is_clean)

        assert {process.pid for process in two.left()} == before
        assert two.folder.exists()
        two.process.kill()
        wait_for(two.is_clean)
