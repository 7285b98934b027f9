"""Customers: they order, repeat what was not answered, follow their jobs, and note what they see.

An order without an answer may have been accepted or not. Its customer cannot know, and sends it
again with the same key until there is an answer.
"""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from hashlib import sha256
from http import HTTPStatus
from itertools import product
from uuid import UUID

import httpx
from redis.exceptions import RedisError

from tests.chaos.catalogue import ITEMS, Item
from tests.chaos.evidence import queue_depth
from tests.chaos.invariants import Promise, Seen
from tests.chaos.stage import Stage
from tests.shop import FINAL
from workers.queues import Queue

#: Messages that a queue holds, those being worked on included, while customers go on ordering:
#: enough for every slot, few enough that a job which comes back does not wait long.
DEPTHS = {Queue.SHORT: 2, Queue.LONG: 5}

#: Seconds between two orders of one customer, at least: limits the number of jobs.
_PAUSES_S = {Queue.SHORT: 0.3, Queue.LONG: 0.2}

_CUSTOMERS_PER_QUEUE = 3

#: Seconds a customer waits for an answer, and before sending an order again.
_ANSWER_S = 5.0
_AGAIN_S = 0.2

#: Seconds in which every order is answered once nothing is broken any more, many times over.
PATIENCE_S = 90.0

#: Shares of customers who want a callback, who send an order again although it was answered, and
#: who follow their job and fetch the file.
CALLBACKS = 0.25
_REPEATS = 0.1
_FOLLOWS = 0.25


class Customer:
    """One customer of the API, for one thread, who repeats an order until told to give up."""

    def __init__(self, stage: Stage, chance: random.Random, give_up: threading.Event) -> None:
        self._client = httpx.Client(base_url=stage.url, timeout=_ANSWER_S, trust_env=False)
        self._callback_url = stage.callbacks.url
        self._book = stage.book
        self._chance = chance
        self._give_up = give_up

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def order(self, item: Item, *, callback: bool = False) -> str | None:
        """Order a report until there is an answer, and return the job's id; None without one."""
        key = str(UUID(int=self._chance.getrandbits(128), version=4))
        body = item.spec.model_dump(mode="json")
        if callback:
            body["callback_url"] = self._callback_url
        job_id = None
        for _ in range(2 if self._chance.random() < _REPEATS else 1):
            while (answer := self._post(key, body)) is None:
                if self._give_up.wait(_AGAIN_S):
                    self._book.unanswered.append(key)
                    return job_id
            if answer.status_code == HTTPStatus.ACCEPTED:
                job_id = str(answer.json()["job_id"])
                self._book.promises.append(Promise(job_id, key, item.name, callback))
        return job_id

    def follow(self, job_id: str, over: threading.Event) -> None:
        """Look at a job until it has ended, and fetch its file."""
        path = f"/reports/{job_id}"
        while not over.wait(_AGAIN_S):
            answer = self._get(path, {"Prefer": "wait=2"})
            if answer is None:
                continue
            status = answer.json()["status"]
            self._book.seen.append(Seen(job_id, status))
            if status == "done":
                file = self._get(f"{path}/file", {"Accept-Encoding": "identity"})
                if file is not None:
                    digest = sha256(file.content).hexdigest()
                    self._book.seen.append(Seen(job_id, status, digest))
            if status in FINAL:
                return

    def _post(self, key: str, body: dict[str, str]) -> httpx.Response | None:
        headers = {"Idempotency-Key": f'"{key}"'}
        with self._book.order_in_flight():
            request = self._client.build_request("POST", "/reports", json=body, headers=headers)
            return self._send(request, HTTPStatus.ACCEPTED)

    def _get(self, path: str, headers: dict[str, str]) -> httpx.Response | None:
        answer = self._send(self._client.build_request("GET", path, headers=headers), HTTPStatus.OK)
        return answer if answer is not None and answer.is_success else None

    def _send(self, request: httpx.Request, expected: HTTPStatus) -> httpx.Response | None:
        """Return the answer; None if there was none, or it was a `503`."""
        try:
            answer = self._client.send(request)
        except httpx.TransportError:
            return None
        if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
            return None
        if answer.status_code != expected:
            words = f"{request.method} {request.url} was answered {answer.status_code}"
            self._book.surprises.append(f"{words}: {answer.text}")
        return answer


@contextmanager
def customers(stage: Stage, seed: int, callbacks: float = CALLBACKS) -> Iterator[None]:
    """Keep every queue filled while the block runs, then wait until every order is answered."""
    over, give_up = threading.Event(), threading.Event()

    def shop(queue: Queue, number: int) -> None:
        chance = random.Random(f"{seed} {queue} {number}")  # noqa: S311 - to be repeated, not secret
        items = [item for item in ITEMS if item.queue is queue]
        with closing(Customer(stage, chance, give_up)) as customer:
            while not over.wait(_PAUSES_S[queue]):
                if _is_full(stage, queue):
                    continue
                (item,) = chance.choices(items, [item.weight for item in items])
                job_id = customer.order(item, callback=chance.random() < callbacks)
                if job_id and chance.random() < _FOLLOWS:
                    customer.follow(job_id, over)

    with ThreadPoolExecutor(_CUSTOMERS_PER_QUEUE * len(Queue)) as pool:
        shoppers = product(Queue, range(_CUSTOMERS_PER_QUEUE))
        shopping = [pool.submit(shop, queue, number) for queue, number in shoppers]
        try:
            yield
            over.set()
            wait(shopping, PATIENCE_S)
        finally:
            over.set()
            give_up.set()
        for each in shopping:
            each.result()


def _is_full(stage: Stage, queue: Queue) -> bool:
    try:
        return queue_depth(stage.queues, queue) >= DEPTHS[queue]
    except RedisError:
        return False  # while the broker is down, customers order
