import math
import sys
from pathlib import Path

import pytest
from redis import Redis

from offloop.bench import idle
from offloop.bench.idle import NotIdleError, wait_until_empty, wait_until_quiet
from offloop.stack.supervisor import Stack

pytestmark = pytest.mark.medium

#: Uses a core until the file that it is given exists.
BUSY = "import os, sys, time\nwhile not os.path.exists(sys.argv[1]): pass\ntime.sleep(600)"


@pytest.fixture(autouse=True)
def soon_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "DEADLINE_S", 2.0)


def test_a_process_that_works_is_waited_for_and_then_named(tmp_path: Path) -> None:
    quiet = tmp_path / "quiet"
    with Stack(tmp_path / "logs") as stack:
        stack.popen("worker-long-1", (sys.executable, "-c", BUSY, str(quiet)))

        with pytest.raises(NotIdleError, match="worker-long-1 is still at work"):
            wait_until_quiet(stack.pids)

        quiet.touch()
        wait_until_quiet(stack.pids)


def test_a_queue_with_messages_is_waited_for_and_then_named(queues: Redis) -> None:
    queues.hset("dramatiq:long.msgs", "id", "message")

    with pytest.raises(NotIdleError, match="there are still jobs in the queue long"):
        wait_until_empty(queues, {"short", "long"})

    queues.delete("dramatiq:long.msgs")
    wait_until_empty(queues, {"short", "long"})


def test_jobs_that_nobody_will_ever_work_on_are_not_waited_for(
    queues: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle, "DEADLINE_S", math.inf)
    queues.hset("dramatiq:short.msgs", "id", "message")

    with pytest.raises(
        NotIdleError, match=r"jobs in the queue short, .* serve only long\. Add it to the `queues`"
    ):
        wait_until_empty(queues, {"long"})
