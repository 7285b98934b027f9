from pathlib import Path

import dramatiq
import pytest
from dramatiq.brokers.redis import RedisBroker
from redis import Redis

from offloop.stack.ports import free_port
from offloop.stack.queues import QUEUES, unfinished
from offloop.stack.redis import embedded_redis
from offloop.stack.supervisor import Stack
from workers.queues import Queue


def test_the_lab_knows_the_queues_of_the_tier() -> None:
    assert set(QUEUES) == set(Queue)


@pytest.mark.medium
def test_a_message_is_unfinished_until_it_is_acknowledged(stack: Stack, tmp_path: Path) -> None:
    server = embedded_redis(tmp_path / "redis", free_port())
    stack.start(server)
    with Redis.from_url(server.url or "") as redis:
        broker = RedisBroker(client=redis, middleware=[])  # type: ignore[no-untyped-call]
        declare = dramatiq.actor(actor_name="any", broker=broker, queue_name="long")
        actor = declare(lambda: None)
        seen = [unfinished(redis)]
        for _ in range(2):
            actor.send()
        seen.append(unfinished(redis))

        consumer = broker.consume("long", prefetch=1)
        message = next(consumer)
        assert message is not None
        seen.append(unfinished(redis))
        consumer.ack(message)
        seen.append(unfinished(redis))

    assert seen == [{}, {"long": 2}, {"long": 2}, {"long": 1}]
