import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from offloop.stack.failpoints import FAILPOINTS, FailpointServer, Trap
from reports.failpoints import Failpoint

ROOT = Path(__file__).parents[2]

#: Seconds; a guard against hanging.
GUARD_S = 30.0

#: Reaches the failpoints it is given and says when it is through.
WORK = (
    "import sys\n"
    "from reports.failpoints import Failpoint, reached\n"
    "for name in sys.argv[1:]: reached(Failpoint(name), 'job')\n"
    "print('through')\n"
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FailpointServer]:
    with FailpointServer(tmp_path / "failpoints") as server:
        yield server


def work(server: FailpointServer, *failpoints: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WORK, *failpoints],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OFFLOOP_FAILPOINTS": str(server.path)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_the_lab_knows_all_steps_of_the_work() -> None:
    assert tuple(Failpoint) == FAILPOINTS


def test_without_a_trap_all_work_goes_on(server: FailpointServer) -> None:
    assert work(server, *FAILPOINTS).communicate(timeout=GUARD_S)[0] == "through\n"


def test_a_trap_holds_the_first_process_and_no_other_one(
    server: FailpointServer,
) -> None:
    caught, let_go = threading.Event(), threading.Event()
    pids: list[int] = []

    def act(pid: int) -> None:
        pids.append(pid)
        caught.set()
        assert let_go.wait(GUARD_S)

    trap = Trap("write", catches=lambda _: True, act=act)
    server.set(trap)
    first = work(server, "fetch", "write")
    assert caught.wait(GUARD_S)
    second = work(server, "fetch", "write")

    assert second.communicate(timeout=GUARD_S)[0] == "through\n"
    assert first.poll() is None
    assert not trap.sprung.is_set()
    let_go.set()
    assert first.communicate(timeout=GUARD_S)[0] == "through\n"
    assert pids == [first.pid]
    assert trap.sprung.is_set()
    assert not server.remove(trap)


def test_a_trap_catches_only_matching_processes(server: FailpointServer) -> None:
    trap = Trap("write", catches=lambda _: False, act=lambda _: None)

    server.set(trap)
    assert work(server, "write").communicate(timeout=GUARD_S)[0] == "through\n"

    assert not trap.sprung.is_set()
    assert server.remove(trap)


def test_the_server_outlives_a_process_that_is_killed_in_a_trap(server: FailpointServer) -> None:
    trap = Trap("write", catches=lambda _: True, act=lambda pid: os.kill(pid, 9))

    server.set(trap)
    killed = work(server, "write")
    assert killed.communicate(timeout=GUARD_S)[0] == ""

    assert killed.returncode == -9
    assert work(server, "write").communicate(timeout=GUARD_S)[0] == "through\n"
