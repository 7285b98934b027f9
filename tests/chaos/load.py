"""Customers: they order, repeat what was not answered, look what became of it, and write it down.

An order that got no answer may have been accepted or not: its customer cannot know, and sends it
again with the same key until there is an answer.
"""

import hashlib
import random
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from http import HTTPStatus
from types import TracebackType
from typing import Self
from uuid import UUID

import httpx
from redis import Redis
from redis.exceptions import RedisError

from tests.chaos.catalogue import ITEMS, Item
from tests.chaos.evidence import queue_depth
from tests.chaos.invariants import FINAL, Promise, Seen
from workers.queues import Queue

#: Messages that a queue holds, those being worked on included, while customers go on ordering:
#: enough for every slot, few enough that a job which comes back does not wait long.
DEPTHS = {Queue.SHORT: 2, Queue.LONG: 5}

#: Seconds between two orders of one customer, at least: keeps the number of jobs in check.
_PAUSES_S = {Queue.SHORT: 0.3, Queue.LONG: 0.2}

_CUSTOMERS = 3

#: Seconds a customer waits for an answer, and before sending an order again.
_PATIENCE_S = 5.0
_AGAIN_S = 0.2

#: Shares of customers who want a callback, who send an order again although it was answered, and
#: who follow their job and fetch the file.
CALLBACKS = 0.25
_REPEATS = 0.1
_FOLLOWS = 0.25

#: Seconds that a customer follows a job at most; it may be out of luck.
_FOLLOW_S = 20.0


class Book:
    """What customers were told, written down by all of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.promises: list[Promise] = []
        self.seen: list[Seen] = []
        self.unanswered: list[str] = []
        self.surprises: list[str] = []
        self._in_flight = 0
        self._sent = threading.Condition(self._lock)

    def note(self, entry: Promise | Seen) -> None:
        """Write down what a customer was promised or shown."""
        with self._lock:
            if isinstance(entry, Promise):
                self.promises.append(entry)
            else:
                self.seen.append(entry)

    def note_surprise(self, words: str) -> None:
        """Write down an answer that nobody should get."""
        with self._lock:
            self.surprises.append(words)

    def note_unanswered(self, key: str) -> None:
        """Write down that a customer has given up."""
        with self._lock:
            self.unanswered.append(key)

    def promised(self) -> set[str]:
        """All jobs that were ever promised."""
        with self._lock:
            return {promise.job_id for promise in self.promises}

    @property
    def in_flight(self) -> int:
        """Orders that have been sent and not answered."""
        with self._lock:
            return self._in_flight

    def wait_for_order(self, timeout_s: float) -> bool:
        """Return at the moment at which an order is sent; False if there was none in time."""
        with self._sent:
            return self._sent.wait(timeout_s)

    def _count(self, change: int) -> None:
        with self._sent:
            self._in_flight += change
            if change > 0:
                self._sent.notify_all()

    def sending(self) -> "_Sending":
        """Count an order as sent and not answered, for the block."""
        return _Sending(self._count)


class _Sending:
    def __init__(self, count: Callable[[int], None]) -> None:
        self._count = count

    def __enter__(self) -> None:
        self._count(1)

    def __exit__(self, *_: object) -> None:
        self._count(-1)


class Customer:
    """One customer of the API, for one thread."""

    def __init__(self, url: str, callback_url: str, book: Book, chance: random.Random) -> None:
        self._client = httpx.Client(base_url=url, timeout=_PATIENCE_S, trust_env=False)
        self._callback_url = callback_url
        self._book = book
        self._chance = chance

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def order(
        self, item: Item, *, callback: bool = False, give_up: threading.Event | None = None
    ) -> str | None:
        """Order a report until there is an answer, and return the job's id; None without one.

        Args:
            item: What to order.
            callback: Whether to be called back.
            give_up: Set when there is no point in trying any longer.
        """
        key = str(UUID(int=self._chance.getrandbits(128), version=4))
        body = {**item.body, **({"callback_url": self._callback_url} if callback else {})}
        while (job_id := self._send(key, body)) is None:
            if give_up is not None and give_up.is_set():
                self._book.note_unanswered(key)
                return None
            time.sleep(_AGAIN_S)
        if not job_id:
            return None
        self._book.note(Promise(job_id, key, item.name, callback))
        if self._chance.random() < _REPEATS:
            repeated = self._send(key, body)
            if repeated:
                self._book.note(Promise(repeated, key, item.name, callback))
        return job_id

    def _send(self, key: str, body: dict[str, str]) -> str | None:
        """Return the job's id, None where there was no answer, "" where it is of no use."""
        try:
            with self._book.sending():
                answer = self._client.post(
                    "/reports", json=body, headers={"Idempotency-Key": f'"{key}"'}
                )
        except httpx.TransportError:
            return None
        if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
            return None
        if answer.status_code != HTTPStatus.ACCEPTED:
            self._book.note_surprise(
                f"the order {key} was answered {answer.status_code}: {answer.text}"
            )
            return ""
        return str(answer.json()["job_id"])

    def follow(self, job_id: str, over: threading.Event) -> None:
        """Look at a job until it is finished, and fetch its file."""
        until = time.monotonic() + _FOLLOW_S
        while time.monotonic() < until and not over.is_set():
            answer = self._get(f"/reports/{job_id}", {"Prefer": "wait=2"})
            if answer is None:
                time.sleep(_AGAIN_S)
                continue
            status = answer.json()["status"]
            self._book.note(Seen(job_id, status))
            if status == "done":
                self._fetch(job_id)
            if status in FINAL:
                return

    def _fetch(self, job_id: str) -> None:
        answer = self._get(f"/reports/{job_id}/file", {"Accept-Encoding": "identity"})
        if answer is not None:
            self._book.note(Seen(job_id, "done", hashlib.sha256(answer.content).hexdigest()))

    def _get(self, path: str, headers: dict[str, str]) -> httpx.Response | None:
        """Return the answer; None where there was none, or nothing could be said."""
        try:
            answer = self._client.get(path, headers=headers)
        except httpx.TransportError:
            return None
        if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
            return None
        if answer.status_code != HTTPStatus.OK:
            self._book.note_surprise(f"GET {path} was answered {answer.status_code}: {answer.text}")
            return None
        return answer


class Load:
    """Customers who keep every queue filled, while the block runs.

    Args:
        url: Of the API.
        callback_url: Where customers want to be called back.
        queues: The broker's database of queues, to see how full they are.
        book: Where to write everything down.
        seed: Of all that is left to chance.
        callbacks: Share of customers who want to be called back.
    """

    def __init__(  # noqa: PLR0913 - who orders where, and how
        self,
        url: str,
        callback_url: str,
        queues: Redis,
        book: Book,
        seed: int,
        *,
        callbacks: float = CALLBACKS,
    ) -> None:
        self._callbacks = callbacks
        self._url = url
        self._callback_url = callback_url
        self._queues = queues
        self._book = book
        self._over = threading.Event()
        self._give_up = threading.Event()
        self._threads = [
            threading.Thread(target=self._shop, args=(queue, f"{seed} {queue} {number}"))
            for queue in Queue
            for number in range(_CUSTOMERS)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self._give_up.set()
        self.stop(0)

    def stop(self, patience_s: float) -> None:
        """Order nothing more, and wait until every order has been answered."""
        self._over.set()
        until = time.monotonic() + patience_s
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        self._give_up.set()
        for thread in self._threads:
            thread.join()

    def _shop(self, queue: Queue, seed: str) -> None:
        chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
        items = [item for item in ITEMS if item.queue is queue]
        with ExitStack() as entered:
            customer = Customer(self._url, self._callback_url, self._book, chance)
            entered.callback(customer.close)
            while not self._over.wait(_PAUSES_S[queue]):
                if self._is_full(queue):
                    continue
                job_id = customer.order(
                    chance.choices(items, [item.weight for item in items])[0],
                    callback=chance.random() < self._callbacks,
                    give_up=self._give_up,
                )
                if job_id and chance.random() < _FOLLOWS:
                    customer.follow(job_id, self._over)

    def _is_full(self, queue: Queue) -> bool:
        try:
            return queue_depth(self._queues, queue) >= DEPTHS[queue]
        except RedisError:
            return False  # who does not know orders
