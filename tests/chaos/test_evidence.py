"""What is read raw is what real components have written."""

from pathlib import Path

import pytest
from redis import Redis

from tests.chaos.evidence import (
    queue_depth,
    read_files,
    read_ledger,
    read_messages,
    read_records,
    read_waiting,
)
from tests.chaos.invariants import Entry, Message
from workers.broker import make_broker
from workers.ledger import Ledger
from workers.messages import build_report_message
from workers.queues import Queue, queue_key
from workers.records import DELAYED_KEY, OUTBOX_KEY, open_key, record_key
from workers.settings import TierSettings

JOB = "a" * 32
LONG = queue_key(Queue.LONG)


def enqueue(queues: Redis, place: str = LONG) -> str:
    message = build_report_message(JOB, Queue.LONG)
    message_id = str(message.options["redis_message_id"])
    queues.hset(f"{place}.msgs", message_id, message.encode())
    queues.rpush(place, message_id)
    return message_id


@pytest.mark.medium
def test_a_message_is_found_while_it_waits_and_while_it_is_worked_on(
    queues: Redis, tier: TierSettings
) -> None:
    message_id = enqueue(queues)
    expected = [Message(f"{LONG}.msgs", message_id, JOB, dead=False)]

    assert read_messages(queues) == expected
    assert (queue_depth(queues, Queue.LONG), queue_depth(queues, Queue.SHORT)) == (1, 0)

    make_broker(tier).do_fetch(str(Queue.LONG), 1)

    assert read_messages(queues) == expected
    assert queue_depth(queues, Queue.LONG) == 1


@pytest.mark.medium
def test_a_delayed_message_is_found(queues: Redis) -> None:
    message_id = enqueue(queues, f"{LONG}.DQ")

    assert read_messages(queues) == [Message(f"{LONG}.DQ.msgs", message_id, JOB, dead=False)]


@pytest.mark.medium
def test_a_dead_letter_is_found_and_is_called_that(queues: Redis, tier: TierSettings) -> None:
    message_id = enqueue(queues)
    broker = make_broker(tier)
    broker.do_fetch(str(Queue.LONG), 1)
    broker.do_nack(str(Queue.LONG), message_id)

    assert read_messages(queues) == [Message(f"{LONG}.XQ.msgs", message_id, JOB, dead=True)]


@pytest.mark.medium
def test_an_id_without_a_message_is_found_in_a_queue_and_in_the_hands_of_a_worker(
    queues: Redis, tier: TierSettings
) -> None:
    in_hand, waiting = enqueue(queues), enqueue(queues)
    broker = make_broker(tier)
    broker.do_fetch(str(Queue.LONG), 1)
    queues.delete(f"{LONG}.msgs")

    assert read_messages(queues) == [
        Message(f"{LONG}, without a message", waiting, "", dead=False),
        Message(
            f"dramatiq:__acks__.{broker.broker_id}.long, without a message",
            in_hand,
            "",
            dead=False,
        ),
    ]


@pytest.mark.medium
def test_records_and_what_is_still_to_be_done_are_found(records: Redis) -> None:
    records.hset(record_key(JOB), "status", "queued")
    records.sadd(open_key(Queue.LONG), JOB)
    records.zadd(DELAYED_KEY, {JOB: 1})
    records.zadd(OUTBOX_KEY, {f"{JOB}-1": 1})

    assert read_records(records) == {JOB: {"status": "queued"}}
    assert read_waiting(records) == {
        "open:short": [],
        "open:long": [JOB],
        "delayed": [JOB],
        "outbox": [f"{JOB}-1"],
    }


def test_the_ledger_is_read_and_may_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    before = read_ledger(path)
    Ledger(path).charge("entry", job_id=JOB, request_ref="key", attempt=2, amount=12)

    assert before == []
    assert read_ledger(path) == [Entry("entry", JOB, "key", 2, 12)]


def test_hidden_files_are_found_too(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(b"abc")
    (tmp_path / ".a.csv.gz.0.part").touch()

    found = read_files(tmp_path)

    assert {name: file.size for name, file in found.items()} == {
        "a.csv.gz": 3,
        ".a.csv.gz.0.part": 0,
    }
    # From FIPS 180-4's example for "abc".
    assert found["a.csv.gz"].sha256.startswith("ba7816bf8f01cfea414140de5dae2223")
