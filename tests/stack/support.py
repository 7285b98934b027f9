"""Real processes to start, and ways to see what is left of them."""

import sys
from pathlib import Path

import psutil

from tests import waiting

#: A guard against hanging, five times what stopping a stack may take.
HANG_S = 25.0

#: For tests that take all that they need from here.
wait_for = waiting.wait_for

#: Ignores SIGTERM, as does its child, which is in a process group of its own. Both work in the
#: folder given, so that they can be found by something the stack does not use.
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.chdir(sys.argv[1])
child = subprocess.Popen(
    [sys.executable, "-c", "import time; print('child', flush=True); time.sleep(600)"],
    process_group=0,
)
time.sleep(600)
"""


def stubborn(folder: Path) -> tuple[str, ...]:
    return (sys.executable, "-c", STUBBORN, str(folder))


def has_ended(process: psutil.Process) -> bool:
    """Whether it runs no more; an orphan may stay a zombie until init looks."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def working_in(folder: Path) -> list[psutil.Process]:
    """Processes whose working folder is this one or below, even if it has been removed."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd().removesuffix(" (deleted)").startswith(str(folder)):
                found.append(process)
        except psutil.Error:
            continue
    return found
