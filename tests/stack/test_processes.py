import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from offloop.stack import processes
from tests.waiting import wait_for

#: Its main thread ends, and leaves another one behind, which ends with standard input.
HEADLESS = """
import ctypes, os, sys, threading
def rest():
    sys.stdin.read()
    os._exit(0)
threading.Thread(target=rest).start()
print("ready", flush=True)
ctypes.CDLL(None).pthread_exit(None)
"""

#: The lowest priority, which workers have: a process that gets the processor keeps it for a while.
LOWEST = ("chrt", "--idle", "0")

BUSY = "while True: pass"

#: A thread that answers what comes in, beside a main thread that waits.
ANSWERING = """
import sys, threading
def answer():
    for line in sys.stdin:
        print(line, end="", flush=True)
thread = threading.Thread(target=answer)
thread.start()
thread.join()
"""


@contextmanager
def running(program: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [*LOWEST, sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        process_group=0,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.medium
@pytest.mark.skipif(shutil.which("chrt") is None, reason="chrt, of util-linux, is not installed")
def test_a_frozen_process_does_nothing_more_even_on_a_busy_machine() -> None:
    with ExitStack() as entered:
        for _ in range(os.cpu_count() or 1):
            entered.enter_context(running(BUSY))
        answering = entered.enter_context(running(ANSWERING))
        assert answering.stdin is not None
        assert answering.stdout is not None
        for _ in range(20):
            answering.stdin.write(b"go on\n")
            answering.stdin.flush()
            assert answering.stdout.readline() == b"go on\n"

            assert processes.freeze(answering.pid)
            answering.stdin.write(b"and now?\n")
            answering.stdin.flush()

            assert not select.select([answering.stdout], [], [], 0.05)[0]
            os.killpg(answering.pid, signal.SIGCONT)
            assert answering.stdout.readline() == b"and now?\n"


def test_freezing_a_group_that_has_ended_returns_false() -> None:
    with subprocess.Popen([sys.executable, "-c", ""], process_group=0) as ended:
        pass

    assert not processes.freeze(ended.pid)


@pytest.fixture
def headless() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-c", HEADLESS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        process_group=0,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.stdin.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it does not look like a zombie")
def test_a_process_lives_until_the_last_of_its_threads_has_ended(
    headless: subprocess.Popen[bytes],
) -> None:
    def state() -> str:
        return Path(f"/proc/{headless.pid}/stat").read_text().rpartition(")")[2].split()[0]

    wait_for(lambda: state() == "Z")

    assert [found.pid for found in processes.find((), {headless.pid})] == [headless.pid]


def test_a_process_that_has_ended_and_was_not_waited_for_is_gone(
    headless: subprocess.Popen[bytes],
) -> None:
    headless.kill()

    wait_for(lambda: not processes.find((), {headless.pid}))
