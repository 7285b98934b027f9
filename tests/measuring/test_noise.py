"""How much of the machine was taken from a measurement, and by which processes."""

import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import psutil
import pytest

from offloop.measuring import neighbours, noise
from offloop.measuring.noise import (
    DISTURBED,
    Busy,
    Watch,
    is_quiet,
    lab_cpu_s,
    taken_share,
    wait_for_quiet,
)
from offloop.stack.sampling import ResourceSample
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


class TimesElsewhere(NamedTuple):
    user: float = 0.0
    system: float = 0.0
    idle: float = 0.0


START = Times()

COMPILER = "cc1plus (pid 4711)"


def used(name: str, *cpu_s: float, pid: int = 1) -> list[ResourceSample]:
    return [ResourceSample(number, name, 1, each, pid) for number, each in enumerate(cpu_s)]


def test_on_a_machine_of_its_own_nothing_is_taken_from_the_lab() -> None:
    after = Times(user=3, nice=2, system=1, idle=13, softirq=1)

    assert taken_share(START, after, [*used("fixed", 1, 5), *used("generator", 0, 2)]) == 0


def test_what_the_host_took_and_what_other_programs_used_counts() -> None:
    after = Times(user=4, system=2, idle=12, steal=2)

    assert taken_share(START, after, used("fixed", 10, 13)) == pytest.approx((2 + 3) / 20)


def test_where_the_host_does_not_tell_other_programs_are_still_seen() -> None:
    after = TimesElsewhere(user=5, idle=15)

    assert taken_share(TimesElsewhere(), after, used("fixed", 0, 4)) == pytest.approx(1 / 20)


def test_guests_of_this_machine_are_in_its_user_time_already() -> None:
    after = Times(user=4, idle=16, guest=4)

    assert taken_share(START, after, used("fixed", 0, 4)) == 0


def test_without_time_there_is_no_share() -> None:
    assert taken_share(START, START, []) is None


def test_a_service_that_is_started_again_has_used_all_of_its_time_meanwhile() -> None:
    assert lab_cpu_s([*used("fixed", 1, 2), *used("fixed", 3, 4, pid=2)]) == 1 + 4


def test_what_a_service_had_used_before_does_not_count() -> None:
    assert lab_cpu_s(used("fixed", 10, 10)) == 0


def test_a_service_that_was_added_has_used_all_of_its_time_meanwhile() -> None:
    there, added = used("fixed", 5, 6, 7), used("worker-2", 2, 3, pid=2)

    assert lab_cpu_s([there[0], there[1], added[0], there[2], added[1]]) == 2 + 3


def test_all_that_are_there_at_first_have_used_their_time_before() -> None:
    one, other = used("fixed", 5, 6), used("worker-1", 9, 9, pid=2)

    assert lab_cpu_s([one[0], other[0], one[1], other[1]]) == 1


def test_the_time_of_a_child_that_ended_counts_until_its_parent_has_waited_for_it() -> None:
    assert lab_cpu_s(used("worker-1", 5, 9, 4)) == 4
    assert lab_cpu_s(used("worker-1", 5, 9, 4, 10)) == 5


@pytest.mark.parametrize(
    ("service", "own_s", "expected"),
    [
        # It had used 1 s before, and 2.5 s in the end: half a second after its last sample.
        ({0: 1.0, 1: 2.0}, (10.0, 10.2, 13.0), 3.0 - 1.0),
        # It was started meanwhile: all of its time counts, whether there was a sample of it
        ({1: 2.0}, (10.0, 10.2, 13.0), 3.0),
        # or not.
        ({}, (10.0, 10.2, 13.0), 3.0),
        # It is still there: what it used is not yet in the time of this process.
        ({0: 1.0, 1: 2.0, 2: 3.5}, (10.0, 10.2, 10.5), 0.5 + 2.5),
    ],
)
def test_the_time_of_a_service_that_ended_is_in_that_of_the_process_that_waited_for_it(
    service: dict[int, float], own_s: tuple[float, ...], expected: float
) -> None:
    samples = []
    for number, cpu_s in enumerate(own_s):
        samples += used("redis", 7.0, pid=os.getpid() + 1)
        if number in service:
            samples += used("worker-1", service[number], pid=os.getpid() + 2)
        samples += used("lab", cpu_s, pid=os.getpid())

    assert lab_cpu_s(samples) == pytest.approx(expected)


def test_less_than_a_twentieth_is_quiet() -> None:
    assert is_quiet(0.049)
    assert not is_quiet(DISTURBED)


def test_where_the_share_is_not_known_the_measurement_counts() -> None:
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


def test_a_message_follows_when_it_says_something_new(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_messages_do_not_follow_each_other_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(told(monkeypatch, Busy(0.5, ()), Busy(0.9, ()), every_s=math.inf)) == 1


def test_nothing_is_named_where_no_time_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
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


def use(process: subprocess.Popen[bytes], cpu_s: float) -> None:
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
    assert lab_cpu_s(watch.samples) >= WATCHED_CPU_S


@pytest.mark.medium
@pytest.mark.parametrize("before", [False, True])
def test_a_service_that_was_stopped_meanwhile_is_not_charged_to_other_programs(
    before: bool,
) -> None:
    """What it used before it was watched, if it was there before, is not counted either."""
    began_s, before_s = sum(os.times()[:4]), 0.0
    with ExitStack() as running:
        processes = running.enter_context(spinning()) if before else []
        for process in processes:
            use(process, WATCHED_CPU_S)
            before_s = WATCHED_CPU_S
        with Watch(lambda: {f"worker-{each.pid}": [each.pid] for each in processes}) as watch:
            wait_for(lambda: watch.samples)
            processes = processes or running.enter_context(spinning())
            use(processes[0], WATCHED_CPU_S)
            running.close()
    lasted_s = sum(os.times()[:4]) - began_s

    # All clocks tick in hundredths of a second.
    assert WATCHED_CPU_S <= lab_cpu_s(watch.samples) + 0.05 <= lasted_s - before_s + 0.1


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
