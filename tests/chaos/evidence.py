"""What the broker, the ledger and the disk hold, read raw: the code under test is not asked."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from hashlib import file_digest
from pathlib import Path
from typing import cast

from redis import Redis

from tests.chaos.invariants import Entry, Message, StoredFile
from workers.queues import NAMESPACE, Queue, queue_key
from workers.records import DELAYED_KEY, OUTBOX_KEY, open_key, record_key


def read_records(records: Redis) -> dict[str, dict[str, str]]:
    """Return every job record, by its job's id."""
    prefix = record_key("")
    return {key.removeprefix(prefix): _hash(records, key) for key in _keys(records, f"{prefix}*")}


def read_waiting(records: Redis) -> dict[str, list[str]]:
    """Return what is still to be done, by the name of the list it is in."""
    return {
        **{
            open_key(queue): sorted(_text(each) for each in records.sscan_iter(open_key(queue)))
            for queue in Queue
        },
        DELAYED_KEY: [_text(member) for member in records.zrange(DELAYED_KEY, 0, -1)],
        OUTBOX_KEY: [_text(member) for member in records.zrange(OUTBOX_KEY, 0, -1)],
    }


def read_messages(queues: Redis) -> list[Message]:
    """Return every message, wherever it is, and every id without a message."""
    found: list[Message] = []
    for queue in Queue:
        key = queue_key(queue)
        for place in (key, f"{key}.DQ", f"{key}.XQ"):
            held = _hash(queues, f"{place}.msgs")
            dead = place.endswith(".XQ")
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


def queue_depth(queues: Redis, queue: Queue) -> int:
    """Count the messages of a queue, those being worked on included."""
    return int(queues.hlen(f"{queue_key(queue)}.msgs"))


def alive_since(queues: Redis, moment_ms: float) -> int:
    """Count the workers that have been heard of since a moment (Unix time, ms)."""
    return int(queues.zcount(f"{NAMESPACE}:__heartbeats__", moment_ms, "+inf"))


def read_ledger(path: Path) -> list[Entry]:
    """Return all entries; none where nothing was ever charged."""
    if not path.exists():
        return []
    with closing(sqlite3.connect(path)) as ledger:
        rows = ledger.execute("select entry_id, job_id, request_ref, attempt, amount from ledger")
        return [Entry(*row) for row in rows]


def read_files(folder: Path) -> dict[str, StoredFile]:
    """Return every file in the folder, hidden ones included."""
    found: dict[str, StoredFile] = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
        found[path.name] = StoredFile(path.stat().st_size, digest)
    return found


def _ids(queues: Redis, place: str) -> Iterator[tuple[str, str]]:
    if place.endswith(".XQ"):
        yield from ((place, _text(member)) for member in queues.zrange(place, 0, -1))
        return
    yield from ((place, _text(member)) for member in queues.lrange(place, 0, -1))
    name = place.removeprefix(f"{NAMESPACE}:")
    for acks in _keys(queues, f"{NAMESPACE}:__acks__.*.{name}"):
        yield from ((acks, _text(member)) for member in queues.smembers(acks))


def _keys(redis: Redis, pattern: str) -> list[str]:
    return [_text(key) for key in redis.scan_iter(pattern, count=1000)]


def _hash(redis: Redis, key: str) -> dict[str, str]:
    raw = cast("Mapping[bytes, bytes]", redis.hgetall(key))
    return {_text(name): _text(value) for name, value in raw.items()}


def _text(raw: object) -> str:
    return cast("bytes", raw).decode()
