import time
from collections.abc import Callable

import pytest
from redis import Redis

from offloop.measuring.instruments.queue import QueueDepth
from offloop.stack.ports import free_port
from workers.settings import TierSettings

pytestmark = pytest.mark.medium

#: Seconds; a guard against hanging.
GUARD_S = 30.0


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + GUARD_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_jobs_of_all_queues_are_counted_again_and_again(
    queues: Redis, tier: TierSettings
) -> None:
    with QueueDepth(str(tier.redis_url), interval_s=0.01) as sampler:
        wait_for(lambda: len(sampler.samples) >= 2)
        queues.hset("dramatiq:long.msgs", mapping={"one": "m", "two": "m"})
        queues.hset("dramatiq:short.msgs", "one", "m")
        wait_for(lambda: sampler.samples[-1].jobs == 3)
        queues.delete("dramatiq:long.msgs", "dramatiq:short.msgs")
        wait_for(lambda: sampler.samples[-1].jobs == 0)

    moments = [sample.monotonic_s for sample in sampler.samples]
    assert moments == sorted(moments)
    assert sampler.samples[0].jobs == 0


def test_a_broker_that_does_not_answer_gives_no_samples() -> None:
    with QueueDepth(f"redis://127.0.0.1:{free_port()}/0", interval_s=0.01) as sampler:
        time.sleep(0.1)

    assert sampler.samples == []


def test_without_a_broker_no_depth_is_sampled() -> None:
    with QueueDepth(None) as sampler:
        pass

    assert sampler.samples == []
