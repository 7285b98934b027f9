import math
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from offloop.stack import idle
from offloop.stack.idle import NotIdleError, cpu_seconds, wait_until_empty, wait_until_quiet
from offloop.stack.supervisor import Stack

pytestmark = pytest.mark.medium

#: Uses a core until the file that it is given exists.
BUSY = "import os, sys, time\nwhile not os.path.exists(sys.argv[1]): pass\ntime.sleep(600)"

#: Wakes up now and then.
HEARTBEAT = "import time\nwhile True: time.sleep(0.05)"

only_linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only CPU is known")


@pytest.fixture(autouse=True)
def soon_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "DEADLINE_S", 2.0)


def test_the_lab_waits_for_a_busy_process_and_then_names_it(tmp_path: Path) -> None:
    quiet = tmp_path / "quiet"
    with Stack(tmp_path / "logs") as stack:
        stack.popen("worker-long-1", (sys.executable, "-c", BUSY, str(quiet)))

        with pytest.raises(NotIdleError, match="worker-long-1 is still at work"):
            wait_until_quiet(stack.pids)

        quiet.touch()
        wait_until_quiet(stack.pids)


@pytest.fixture
def starving(tmp_path: Path) -> Iterator[str]:
    """What a program has to begin with to get next to nothing of the one CPU that it may use.

    Not SCHED_IDLE, which leaves even less: on a busy machine, such a process is not killed in time.
    """
    cpu = min(os.sched_getaffinity(0))
    pinned = f"import os\nos.sched_setaffinity(0, {{{cpu}}})\n"
    with Stack(tmp_path / "other", disposable=True) as other:
        other.popen("hog", (sys.executable, "-c", f"{pinned}while True: pass"))
        while cpu_seconds(other.pids())["hog"] < 0.2:
            time.sleep(0.01)
        yield f"{pinned}os.nice(19)\n"


@only_linux
def test_the_lab_waits_for_a_process_that_is_starved_of_cpu_time(
    tmp_path: Path, starving: str
) -> None:
    with Stack(tmp_path / "logs", disposable=True) as stack:
        stack.popen("worker-long-1", (sys.executable, "-c", starving + BUSY, str(tmp_path / "no")))

        with pytest.raises(NotIdleError, match="worker-long-1 is still at work"):
            wait_until_quiet(stack.pids)


@only_linux
def test_a_process_that_only_sends_heartbeats_is_quiet_although_starved(
    tmp_path: Path, starving: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle, "DEADLINE_S", 30.0)
    with Stack(tmp_path / "logs", disposable=True) as stack:
        stack.popen("worker-long-1", (sys.executable, "-c", starving + HEARTBEAT))

        wait_until_quiet(stack.pids)


def test_the_lab_waits_for_a_queue_with_messages_and_then_names_it(queues: Redis) -> None:
    queues.hset("dramatiq:long.msgs", "id", "message")

    with pytest.raises(NotIdleError, match="there are still jobs in the queue long"):
        wait_until_empty(queues, {"short", "long"})

    queues.delete("dramatiq:long.msgs")
    wait_until_empty(queues, {"short", "long"})


def test_the_lab_does_not_wait_for_jobs_in_a_queue_without_slots(
    queues: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle, "DEADLINE_S", math.inf)
    queues.hset("dramatiq:short.msgs", "id", "message")

    with pytest.raises(
        NotIdleError, match=r"jobs in the queue short, .* serve only long\. Add it to the `queues`"
    ):
        wait_until_empty(queues, {"long"})
