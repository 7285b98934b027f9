"""The time limit of an attempt, in processes of their own: it ends whatever they do."""

import signal
import subprocess
import sys

import pytest

from tests.shop import HANG_S, ROOT

#: What Python's own ways to interrupt a thread do not reach, and what they do.
STUCK = {
    "a system call": "import time; time.sleep(1000)",
    "C code that holds the interpreter's lock": "10 ** 100_000_000",
    "a loop": "while True: pass",
}


@pytest.mark.parametrize("code", STUCK.values(), ids=STUCK)
def test_nothing_outlasts_the_limit(code: str) -> None:
    program = f"""
from threading import Thread
from workers.limits import time_limit

def work():
    with time_limit(0.1):
        exec({code!r})

thread = Thread(target=work)  # as in a worker, where the main thread has other things to do
thread.start()
thread.join()
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, timeout=HANG_S, check=False)

    assert ended.returncode == -signal.SIGALRM


def test_what_ends_in_time_is_left_alone() -> None:
    program = """
import time
from workers.limits import time_limit

with time_limit(0.1):
    pass
time.sleep(0.2)
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, timeout=HANG_S, check=True)
