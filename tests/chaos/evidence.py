"""Collects what is judged: what the broker, the ledger and the disk hold, and what customers see.

Everything is read raw: the code under test is not asked.
"""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import cast

from redis import Redis
from redis.exceptions import RedisError
from standardwebhooks import WebhookVerificationError

from tests.chaos.invariants import Content, Delivery, Entry, Message, Promise, Seen
from tests.receiver import Answer, Receiver
from tests.receiver import Delivery as Received
from workers.queues import HEARTBEATS_KEY, NAMESPACE, Queue, queue_key
from workers.records import DELAYED_KEY, FINISHED_CHANNEL, OUTBOX_KEY, open_key, record_key

_LOOK_S = 0.1


def read_records(records: Redis) -> dict[str, dict[str, str]]:
    """Return every job record, by its job's id."""
    prefix = record_key("")
    return {key.removeprefix(prefix): _hash(records, key) for key in _keys(records, f"{prefix}*")}


def read_waiting(records: Redis) -> dict[str, list[str]]:
    """Return what is still to be done, by the name of the list it is in."""
    later = {key: records.zrange(key, 0, -1) for key in (DELAYED_KEY, OUTBOX_KEY)}
    unfinished = {open_key(queue): records.smembers(open_key(queue)) for queue in Queue}
    waiting = {**later, **unfinished}
    return {key: [_text(member) for member in members] for key, members in waiting.items()}


def read_messages(queues: Redis) -> list[Message]:
    """Return every message, wherever it is, and every id without a message."""
    found: list[Message] = []
    for place in (f"{queue_key(queue)}{end}" for queue in Queue for end in ("", ".DQ", ".XQ")):
        held, dead = _hash(queues, f"{place}.msgs"), place.endswith(".XQ")
        found += [
            Message(f"{place}.msgs", message_id, json.loads(message)["args"][0], dead=dead)
            for message_id, message in held.items()
        ]
        found += [
            Message(f"{where}, without a message", message_id, "", dead=False)
            for where, message_id in _ids(queues, place)
            if message_id not in held
        ]
    return found


def _ids(queues: Redis, place: str) -> Iterator[tuple[str, str]]:
    ids = queues.zrange(place, 0, -1) if place.endswith(".XQ") else queues.lrange(place, 0, -1)
    yield from ((place, _text(member)) for member in ids)
    for acks in _keys(queues, f"{NAMESPACE}:__acks__.*.{place.removeprefix(f'{NAMESPACE}:')}"):
        yield from ((acks, _text(member)) for member in queues.smembers(acks))


def queue_depth(queues: Redis, queue: Queue) -> int:
    """Count the messages of a queue, those being worked on included."""
    return int(queues.hlen(f"{queue_key(queue)}.msgs"))


def alive_since(queues: Redis, moment_ms: float) -> int:
    """Count the workers that have been heard of since a moment (Unix time, ms)."""
    return int(queues.zcount(HEARTBEATS_KEY, moment_ms, "+inf"))


def read_ledger(path: Path) -> list[Entry]:
    """Return all entries; none if nothing was ever charged."""
    if not path.exists():
        return []
    with closing(sqlite3.connect(path)) as ledger:
        rows = ledger.execute("select job_id, request_ref, attempt, amount from ledger")
        return [Entry(*row) for row in rows]


def read_files(folder: Path) -> dict[str, Content]:
    """Return every file in the folder, hidden ones included."""
    files = ((path.name, path.read_bytes()) for path in folder.iterdir())
    return {name: Content(len(data), sha256(data).hexdigest()) for name, data in files}


def _keys(redis: Redis, pattern: str) -> list[str]:
    return [_text(key) for key in redis.scan_iter(pattern, count=1000)]


def _hash(redis: Redis, key: str) -> dict[str, str]:
    raw = cast("Mapping[bytes, bytes]", redis.hgetall(key))
    return {_text(name): _text(value) for name, value in raw.items()}


def _text(raw: object) -> str:
    return cast("bytes", raw).decode()


class Book:
    """What customers were told, written down by all of them."""

    def __init__(self) -> None:
        self.promises: list[Promise] = []
        self.seen: list[Seen] = []
        self.unanswered: list[str] = []
        self.surprises: list[str] = []
        #: Orders that have been sent and not answered.
        self.in_flight = 0
        self._sent = threading.Condition()

    @contextmanager
    def order_in_flight(self) -> Iterator[None]:
        """Count an order as sent and not answered while the block runs."""
        with self._sent:
            self.in_flight += 1
            self._sent.notify_all()
        try:
            yield
        finally:
            with self._sent:
                self.in_flight -= 1

    def wait_for_order(self, timeout_s: float) -> bool:
        """Return as soon as an order is sent; False if none was in time."""
        with self._sent:
            return self._sent.wait(timeout_s)


class Callbacks(Receiver):
    """Receives callbacks. Verifies them at once, because signatures expire after minutes."""

    def __init__(self, secret: str) -> None:
        super().__init__()
        self.noted: list[Delivery] = []
        self._secret = secret

    def next_answer(self, delivery: Received) -> Answer:
        """Note the delivery, and answer."""
        try:
            delivery.verified(self._secret)
            valid = True
        except WebhookVerificationError:
            valid = False
        told = json.loads(delivery.body)["data"]
        self.noted.append(Delivery(delivery.event_id, told["job_id"], told["status"], valid=valid))
        return super().next_answer(delivery)


@contextmanager
def announcements(records: Redis) -> Iterator[list[str]]:
    """Collect the ids of finished jobs as they are announced; some are missed without a broker."""
    announced: list[str] = []

    def listen(over: threading.Event) -> None:
        while not over.wait(_LOOK_S):
            with (
                suppress(RedisError),
                records.pubsub(ignore_subscribe_messages=True) as channel,  # type: ignore[no-untyped-call]
            ):
                channel.subscribe(FINISHED_CHANNEL)
                while not over.is_set():
                    notice = channel.get_message(timeout=_LOOK_S)
                    if notice is not None:
                        announced.append(notice["data"].decode())

    with in_background(listen):
        yield announced


@contextmanager
def in_background(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run something in a thread until the end of the block, at which its event is set."""
    over = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work, over)
        try:
            yield
        finally:
            over.set()
            working.result()
