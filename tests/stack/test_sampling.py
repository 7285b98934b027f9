import os
import sys
import threading
from pathlib import Path

import pytest

from offloop.stack.priorities import NICE_API, NICE_SAMPLER, NICE_WORKER
from offloop.stack.sampling import ResourceSampler
from offloop.stack.service import Service
from offloop.stack.supervisor import Stack
from tests.waiting import wait_for

pytestmark = pytest.mark.medium

HELD_BYTES = 64 * 2**20

#: The memory is held, and the processor used, by a child.
GREEDY_PARENT = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", "x = b'x' * {HELD_BYTES}; print('holding', flush=True)\\n"
    "while True: pass"])
"""

#: Its child starts when it is told to.
LATE_PARENT = f"""
import pathlib, subprocess, sys, time
while not pathlib.Path(sys.argv[1]).exists():
    time.sleep(0.01)
subprocess.run([sys.executable, "-c", "x = b'x' * {HELD_BYTES}; print('holding', flush=True)\\n"
    "import time; time.sleep(600)"])
"""


def test_memory_and_processor_time_of_descendants_count(stack: Stack) -> None:
    stack.start(
        Service("greedy", (sys.executable, "-c", GREEDY_PARENT)),
        Service("modest", ("sleep", "600")),
    )
    wait_for(lambda: "holding" in (stack.log_dir / "greedy.log").read_text())

    with ResourceSampler(stack.pids, interval_s=0.05) as sampler:
        wait_for(lambda: len(sampler.samples) >= 12)

    of_greedy = [sample for sample in sampler.samples if sample.name == "greedy"]
    of_modest = [sample for sample in sampler.samples if sample.name == "modest"]
    assert min(sample.rss_bytes for sample in of_greedy) > HELD_BYTES
    assert max(sample.rss_bytes for sample in of_modest) < HELD_BYTES
    times = [sample.monotonic_s for sample in sampler.samples]
    assert times == sorted(times)
    gained = of_greedy[-1].cpu_s - of_greedy[0].cpu_s
    assert 0 < gained <= 1.5 * (of_greedy[-1].monotonic_s - of_greedy[0].monotonic_s) + 0.02
    assert of_modest[-1].cpu_s == of_modest[0].cpu_s


def test_a_service_that_has_ended_has_no_samples(stack: Stack) -> None:
    stack.start(Service("sleeper", ("sleep", "600")), Service("other", ("sleep", "600")))

    with ResourceSampler(stack.pids, interval_s=0.02) as sampler:
        wait_for(lambda: sampler.samples)
        stack.stop("sleeper")
        before = len(sampler.samples)
        wait_for(lambda: len(sampler.samples) > before + 10)

    assert {sample.name for sample in sampler.samples[before + 2 :]} == {"other"}
    assert all(sample.rss_bytes > 0 for sample in sampler.samples)


@pytest.mark.parametrize("look_every", [1, 1_000_000])
def test_a_process_started_meanwhile_is_sampled_at_the_end_at_the_latest(
    stack: Stack, tmp_path: Path, look_every: int
) -> None:
    """The processes of a pool start when the first work comes."""
    told = tmp_path / "told"
    stack.start(Service("late", (sys.executable, "-c", LATE_PARENT, str(told))))

    with ResourceSampler(stack.pids, interval_s=0.02, look_every=look_every) as sampler:
        wait_for(lambda: sampler.samples)
        told.touch()
        wait_for(lambda: "holding" in (stack.log_dir / "late.log").read_text())
        before = len(sampler.samples)
        wait_for(lambda: len(sampler.samples) > before + 5)
        meanwhile = sampler.samples[-1]

    assert (meanwhile.rss_bytes > HELD_BYTES) == (look_every == 1)
    assert sampler.samples[-1].rss_bytes > HELD_BYTES


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread has no niceness of its own")
def test_the_sampler_has_a_priority_between_apis_and_workers() -> None:
    niceness: dict[int, int] = {}

    def pids() -> dict[str, list[int]]:
        thread = threading.get_native_id()
        niceness[thread] = os.getpriority(os.PRIO_PROCESS, thread)
        return {}

    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    with ResourceSampler(pids, interval_s=0.01):
        wait_for(lambda: niceness)

    assert list(niceness.values()) == [own + NICE_SAMPLER]
    assert NICE_API < NICE_SAMPLER < NICE_WORKER
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own
