import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from offloop.stack import processes
from tests.shop import wait_for

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
