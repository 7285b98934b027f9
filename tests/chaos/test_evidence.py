"""What is read raw is what real components have written.

A reader that finds nothing would let every tier pass. Campaigns notice missing records, files and
ledger entries themselves.
"""

import pytest
from redis import Redis

from tests.chaos.evidence import queue_depth, read_messages, read_records, read_waiting
from tests.chaos.invariants import Message
from workers.broker import make_broker
from workers.messages import build_report_message
from workers.queues import Queue, held_key, queue_key
from workers.records import DELAYED_KEY, OUTBOX_KEY, open_key, record_key
from workers.settings import TierSettings

pytestmark = pytest.mark.medium

JOB = "a" * 32
LONG = queue_key(Queue.LONG)


def enqueue(queues: Redis, place: str = LONG) -> str:
    message = build_report_message(JOB, Queue.LONG)
    message_id = str(message.options["redis_message_id"])
    queues.hset(f"{place}.msgs", message_id, message.encode())
    queues.rpush(place, message_id)
    return message_id


def test_a_message_is_found_wherever_it_is(queues: Redis, tier: TierSettings) -> None:
    broker = make_broker(tier)
    dead = enqueue(queues)
    broker.do_fetch(str(Queue.LONG), 1)
    broker.do_nack(str(Queue.LONG), dead)
    held = enqueue(queues)
    broker.do_fetch(str(Queue.LONG), 1)
    waiting, delayed = enqueue(queues), enqueue(queues, f"{LONG}.DQ")

    assert (queue_depth(queues, Queue.LONG), queue_depth(queues, Queue.SHORT)) == (2, 0)
    assert set(read_messages(queues)) == {
        Message(f"{LONG}.msgs", held, JOB, dead=False),
        Message(f"{LONG}.msgs", waiting, JOB, dead=False),
        Message(f"{LONG}.DQ.msgs", delayed, JOB, dead=False),
        Message(f"{LONG}.XQ.msgs", dead, JOB, dead=True),
    }

    queues.delete(f"{LONG}.msgs", f"{LONG}.DQ.msgs", f"{LONG}.XQ.msgs")

    acks = held_key(broker.broker_id, Queue.LONG)
    places = {acks: held, LONG: waiting, f"{LONG}.DQ": delayed, f"{LONG}.XQ": dead}
    assert set(read_messages(queues)) == {
        Message(f"{place}, without a message", message_id, "", dead=False)
        for place, message_id in places.items()
    }


def test_records_and_what_is_still_to_be_done_are_found(records: Redis) -> None:
    records.hset(record_key(JOB), "status", "queued")
    records.sadd(open_key(Queue.LONG), JOB)
    records.zadd(DELAYED_KEY, {JOB: 1})
    records.zadd(OUTBOX_KEY, {f"{JOB}-1": 1})

    assert read_records(records) == {JOB: {"status": "queued"}}
    assert read_waiting(records) == {
        open_key(Queue.SHORT): [],
        open_key(Queue.LONG): [JOB],
        DELAYED_KEY: [JOB],
        OUTBOX_KEY: [f"{JOB}-1"],
    }
