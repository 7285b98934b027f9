"""How much of the machine was taken from a measurement, and by which processes."""

import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import psutil
import pytest

from offloop.measuring import neighbours, noise
from offloop.measuring.noise import (
    DISTURBED,
    Busy,
    Watch,
    is_quiet,
    passed_between,
    wait_for_quiet,
)
from tests.stack.support import wait_for

#: CPU seconds that a busy process uses while it is watched: some ticks of the clock.
WATCHED_CPU_S = 0.3

#: Seconds. Something else may run on the machine of the tests.
PATIENCE_S = 240


class Times(NamedTuple):
    """As `psutil.cpu_times` has them on Linux."""

    user: float = 0.0
    nice: float = 0.0
    system: float = 0.0
    idle: float = 0.0
    softirq: float = 0.0
    steal: float = 0.0
    guest: float = 0.0


START = Times()

COMPILER = "cc1plus (pid 4711)"


def test_elapsed_cpu_time_is_split_by_kind() -> None:
    after = Times(user=4, system=2, idle=12, steal=2)

    passed = passed_between(START, after)

    assert passed["steal"] == 2
    assert sum(passed.values()) == 20


def test_guest_time_is_not_counted_twice() -> None:
    assert sum(passed_between(START, Times(user=4, idle=16, guest=4)).values()) == 20


def test_a_machine_is_quiet_below_five_percent() -> None:
    assert is_quiet(0.049)
    assert not is_quiet(DISTURBED)


def test_a_measurement_with_an_unknown_share_counts() -> None:
    assert is_quiet(None)


def test_a_busy_machine_is_described_in_one_sentence() -> None:
    busy = Busy(0.35, (f"{COMPILER} 31%", f"{neighbours.HOST} 4%"))

    assert str(busy) == (
        "35% of the machine is taken: cc1plus (pid 4711) 31%, "
        "the host of this virtual machine (steal) 4%"
    )


def test_a_busy_machine_without_names_says_why() -> None:
    assert str(Busy(0.06, ())) == (
        "6% of the machine is taken: by processes that ended, or that are too small to name"
    )


def told(monkeypatch: pytest.MonkeyPatch, *seen: Busy, every_s: float) -> list[str]:
    """The messages while this is seen, one look after the other, and then a quiet machine."""
    looks: Iterator[Busy | None] = iter([*seen, None])
    messages: list[str] = []
    monkeypatch.setattr(noise, "_busy", lambda _: next(looks))
    monkeypatch.setattr(noise, "_TELL_EVERY_S", every_s)
    assert wait_for_quiet(dict, math.inf, messages.append) is None
    return messages


def test_a_quiet_machine_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, every_s=0) == []


def test_a_message_is_repeated_only_when_it_has_news(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = [
        Busy(0.5, (f"{COMPILER} 50%",)),
        Busy(0.55, (f"{COMPILER} 51%", "make (pid 4700) 4%")),
        Busy(0.38, (f"{COMPILER} 38%",)),
        Busy(0.39, ("make (pid 4700) 39%",)),
    ]

    assert told(monkeypatch, *seen, every_s=0) == [
        "waiting for a quiet machine: 50% of it is taken: cc1plus (pid 4711) 50%",
        "waiting for a quiet machine: 38% of it is taken: cc1plus (pid 4711) 38%",
        "waiting for a quiet machine: 39% of it is taken: make (pid 4700) 39%",
    ]


def test_messages_are_rate_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(told(monkeypatch, Busy(0.5, ()), Busy(0.9, ()), every_s=math.inf)) == 1


def test_without_elapsed_time_no_process_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "cpu_times", lambda: START)

    with Watch(dict) as watch:
        pass

    assert (watch.taken, watch.taken_by) == (None, ())


@contextmanager
def spinning(count: int = 1) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that each use a processor."""
    started: list[subprocess.Popen[bytes]] = []
    try:
        started.extend(
            subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)
        )
        yield started
    finally:
        end(started)


def end(started: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in started:
        process.kill()
        process.wait()


def called(process: subprocess.Popen[bytes]) -> str:
    """How a process is named."""
    return f"{psutil.Process(process.pid).name()} (pid {process.pid})"


def names(by: Sequence[str]) -> list[str]:
    """Without the shares."""
    return [entry.rpartition(" ")[0] for entry in by]


def use(process: subprocess.Popen[bytes] | psutil.Process, cpu_s: float) -> None:
    """Wait until a process has used so much more."""

    def user_s() -> float:
        return psutil.Process(process.pid).cpu_times().user

    until_s = user_s() + cpu_s
    wait_for(lambda: user_s() >= until_s)


def watched(
    process: subprocess.Popen[bytes], pids: Callable[[], Mapping[str, Sequence[int]]]
) -> Watch:
    """What is seen while a process is at work."""
    with Watch(pids) as watch:
        use(process, WATCHED_CPU_S)
    return watch


@pytest.fixture
def all_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """What else is at work on the machine keeps no process of a test from being named."""
    monkeypatch.setattr(neighbours, "NAMED_FROM", 1e-6)
    monkeypatch.setattr(neighbours, "NAMED_AT_MOST", sys.maxsize)


@pytest.mark.medium
def test_a_busy_process_outside_of_the_lab_is_named(all_are_named: None) -> None:
    with spinning() as [process]:
        watch = watched(process, lambda: {"lab": [os.getpid()]})

        assert called(process) in names(watch.taken_by)
    assert watch.taken is not None
    assert watch.taken > 0


@pytest.mark.medium
def test_neither_a_process_of_the_lab_nor_the_one_that_measures_is_named(
    all_are_named: None,
) -> None:
    with spinning() as [process]:
        watch = watched(process, lambda: {"worker-1": [process.pid]})

        assert called(process) not in names(watch.taken_by)
    assert not any(f"(pid {os.getpid()})" in entry for entry in watch.taken_by)


#: A service with a worker that is busy, as Dramatiq's processes are.
FAMILY = """
import subprocess, sys
worker = subprocess.Popen([sys.executable, "-c", "while True: pass"])
print(worker.pid, flush=True)
worker.wait()
"""


@pytest.mark.medium
def test_the_time_of_a_killed_service_is_not_charged_to_other_programs() -> None:
    services: dict[str, list[int]] = {}
    with Watch(lambda: services) as watch:
        service = subprocess.Popen(
            [sys.executable, "-c", FAMILY], stdout=subprocess.PIPE, process_group=0
        )
        with service:
            assert service.stdout is not None
            worker = int(service.stdout.readline())
            services["worker-1"] = [service.pid, worker]
            use(psutil.Process(worker), WATCHED_CPU_S)
            os.killpg(service.pid, signal.SIGKILL)
        wait_for(lambda: not psutil.pid_exists(worker))

    assert not any(f"(pid {worker})" in entry for entry in watch.taken_by)
    # Of what the first process of the system waited for, the lab's worker included, nothing counts.
    assert neighbours.look()[1].children_s == 0


@pytest.mark.medium
def test_a_machine_that_stays_busy_is_described(all_are_named: None) -> None:
    messages: list[str] = []
    with spinning(count=enough()) as processes:
        busy = wait_for_quiet(dict, 0, messages.append)

        assert busy is not None
        assert {called(process) for process in processes} & set(names(busy.by))
    assert messages == [f"waiting for a quiet machine: {busy.text('it')}"]


@pytest.mark.medium
def test_the_wait_is_over_once_the_busy_processes_have_ended() -> None:
    with spinning(count=enough()) as processes:
        assert wait_for_quiet(dict, PATIENCE_S, lambda _: end(processes)) is None
        assert all(process.returncode is not None for process in processes)


def enough() -> int:
    """How many processes it takes to disturb this machine, with a margin."""
    return math.ceil(4 * DISTURBED * (os.cpu_count() or 1))
