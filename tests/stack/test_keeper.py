import os
import signal
import sys
from pathlib import Path

import pytest

from offloop.stack import keeper
from offloop.stack.keeper import Keeper
from offloop.stack.ports import free_port
from offloop.stack.service import HttpOk, Service
from offloop.stack.supervisor import Stack
from tests.waiting import wait_for

SLEEPER = ("sleep", "600")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "FIRST_DELAY_S", 0.05)


def kill(stack: Stack, name: str) -> int:
    """Kill a service, as a crash would; its process id."""
    pid = stack.pids()[name][0]
    os.kill(pid, signal.SIGKILL)
    wait_for(stack.dead)
    return pid


def test_a_dead_service_is_started_again_and_other_services_run_on(stack: Stack) -> None:
    told: list[str] = []
    kept = Keeper(stack, (Service("one", SLEEPER), Service("two", SLEEPER)), told.append)
    kept.start()
    before = stack.pids()
    assert not kept.look()

    kill(stack, "one")

    assert kept.look(), "one of the process ids is not that of the service any more"
    wait_for(kept.look)
    assert stack.pids()["one"] != before["one"]
    assert stack.pids()["two"] == before["two"]
    assert told == ["one was ended by SIGKILL; again in 0.05 s", "one is up again"]
    assert not kept.look()


def test_a_service_that_keeps_dying_is_restarted_with_backoff(stack: Stack) -> None:
    told: list[str] = []
    kept = Keeper(stack, (Service("one", SLEEPER),), told.append)
    kept.start()

    for _ in range(3):
        kill(stack, "one")
        kept.look()
        wait_for(kept.look)

    deaths = [line for line in told if "SIGKILL" in line]
    assert [line.partition("again in ")[2] for line in deaths] == ["0.05 s", "0.1 s", "0.2 s"]


def test_a_service_that_cannot_start_again_is_tried_until_it_can(
    stack: Stack, tmp_path: Path
) -> None:
    fine = tmp_path / "fine"
    fine.touch()
    program = (
        "import os, sys, time\n"
        "sys.exit(3) if not os.path.exists(sys.argv[1]) else print('up')\n"
        "time.sleep(600)"
    )
    told: list[str] = []
    kept = Keeper(stack, (Service("one", (sys.executable, "-c", program, str(fine))),), told.append)
    kept.start()
    log = stack.log_dir / "one.log"
    wait_for(lambda: log.read_text() == "up\n")
    fine.unlink()
    kill(stack, "one")

    def has_failed() -> bool:
        kept.look()
        return any("exited with status 3" in line for line in told)

    def is_up_again() -> bool:
        kept.look()
        return log.read_text() == "up\nup\n"

    wait_for(has_failed)
    fine.touch()
    wait_for(is_up_again)
    stack.check()


def test_services_that_die_together_do_not_wait_for_each_other(
    stack: Stack, tmp_path: Path
) -> None:
    """One may need another to be ready: here the first is ready once the second runs."""
    told: list[str] = []
    port = free_port()
    needs = Service("needs", SLEEPER, ready=HttpOk(f"http://127.0.0.1:{port}/"))
    serves = Service("serves", (sys.executable, "-m", "http.server", str(port), "-b", "127.0.0.1"))
    kept = Keeper(stack, (serves, needs), told.append)
    kept.start()
    for name in ("needs", "serves"):
        os.kill(stack.pids()[name][0], signal.SIGKILL)
    wait_for(lambda: len(stack.dead()) == 2)

    def both_are_up() -> bool:
        kept.look()
        return {"needs is up again", "serves is up again"} <= set(told)

    wait_for(both_are_up)
    stack.check()
