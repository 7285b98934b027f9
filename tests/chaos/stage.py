"""The real stack, and everybody around it: its failpoints, its customers, who is called back."""

import base64
import contextlib
import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from standardwebhooks import WebhookVerificationError

from offloop.stack import catalog
from offloop.stack.pools import Pool
from offloop.stack.ports import free_port
from offloop.stack.redis import embedded_redis
from offloop.stack.service import Service
from offloop.stack.supervisor import Stack
from tests.chaos.catalogue import SCALE_FACTOR
from tests.chaos.evidence import (
    read_files,
    read_ledger,
    read_messages,
    read_records,
    read_waiting,
)
from tests.chaos.failpoints import FailpointServer, Sighting
from tests.chaos.invariants import FINAL, Delivery, Evidence, Expected
from tests.chaos.journal import Journal
from tests.chaos.load import Book, Customer
from tests.chaos.notices import Notices
from tests.chaos.recoveries import Recoveries
from tests.chaos.upkeep import Upkeep
from tests.receiver import Answer, Receiver
from tests.receiver import Delivery as Received
from tests.shop import FIXED, ROOT

#: Two slots each: the job of a killed one has somewhere else to go.
POOLS = {"short": Pool(queues=("short",), slots=2), "long": Pool(queues=("long",), slots=2)}

_SECRET = "whsec_" + base64.b64encode(b"a secret of the tests, and of nobody else").decode()

#: Seconds the broker is waited for; it may be frozen.
_BROKER_DEADLINE_S = 2.0

_LOOK_S = 0.1


class Callbacks(Receiver):
    """Who is called back; looks at signatures at once, because they are good for minutes only."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[Delivery] = []
        self._lock = threading.Lock()
        self._act: Callable[[], None] | None = None
        self._acted = threading.Event()

    def at_next(self, act: Callable[[], None], timeout_s: float) -> None:
        """Do something when the next callback has arrived, before it is answered.

        Returns when that is done, or when there was no callback in time.
        """
        with self._lock:
            self._act = act
            self._acted.clear()
        if not self._acted.wait(timeout_s):
            with self._lock:
                self._act = None

    def next_answer(self, delivery: Received) -> Answer:
        """Note the delivery, and answer."""
        try:
            delivery.verified(_SECRET)
            valid = True
        except WebhookVerificationError:
            valid = False
        told = json.loads(delivery.body)["data"]
        self.noted.append(Delivery(delivery.event_id, told["job_id"], told["status"], valid=valid))
        with self._lock:
            act, self._act = self._act, None
            if act is not None:
                act()
                self._acted.set()
        return super().next_answer(delivery)


@dataclass(frozen=True)
class Stage:
    """A stack that runs, and is kept up.

    Attributes:
        stack: Its processes.
        upkeep: Starts again what dies.
        url: Of the API.
        slots: Names of the slots.
        queues: The broker's database of queues.
        records: The one of job records.
        folder: Where finished reports are.
        ledger: The billing ledger.
        expected: What each kind of report has to be.
        failpoints: Where each slot is.
        recoveries: How long jobs of killed slots have waited.
        book: What customers were told.
        callbacks: What they were sent.
        notices: What was announced.
        journal: What happened.
    """

    stack: Stack
    upkeep: Upkeep
    url: str
    slots: tuple[str, ...]
    queues: Redis
    records: Redis
    folder: Path
    ledger: Path
    expected: Mapping[str, Expected]
    failpoints: FailpointServer
    recoveries: Recoveries
    book: Book
    callbacks: Callbacks
    notices: Notices
    journal: Journal

    @contextmanager
    def customer(self) -> Iterator[Customer]:
        """A customer of the API, unlike any before."""
        chance = random.SystemRandom()
        customer = Customer(self.url, self.callbacks.url, self.book, chance)
        with contextlib.closing(customer):
            yield customer

    def leader(self, name: str) -> int | None:
        """Return the process that leads the group of a service; None while it is down."""
        pids = self.stack.pids().get(name)
        return pids[0] if pids else None

    def at_rest(self) -> bool:
        """Whether everybody has done what there was to do."""
        if not self.upkeep.all_up():
            return False
        try:
            if any(read_waiting(self.records).values()):
                return False
            if any(not message.dead for message in read_messages(self.queues)):
                return False
            records = read_records(self.records)
        except RedisError:
            return False
        return all(record.get("status") in FINAL for record in records.values()) and not any(
            path.name.startswith(".") for path in self.folder.iterdir()
        )

    def settle(self, patience_s: float) -> bool:
        """Wait until everything is at rest, and return whether it came to that."""
        until = time.monotonic() + patience_s
        while not self.at_rest():
            if time.monotonic() > until:
                return False
            time.sleep(_LOOK_S)
        return True

    def evidence(self) -> Evidence:
        """Read everything there is to know."""
        return Evidence(
            expected=self.expected,
            promises=tuple(self.book.promises),
            unanswered=tuple(self.book.unanswered),
            surprises=tuple(self.book.surprises),
            seen=tuple(self.book.seen),
            announced=tuple(self.notices.announced),
            deliveries=tuple(self.callbacks.noted),
            records=read_records(self.records),
            entries=read_ledger(self.ledger),
            files=read_files(self.folder),
            messages=read_messages(self.queues),
            waiting=read_waiting(self.records),
        )


@contextmanager
def open_stage(
    logs: Path,
    expected: Mapping[str, Expected],
    *,
    tier: str = catalog.STANDARD_TIER,
    redis_server: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Stage]:
    """Start everything, and stop it at the end.

    Args:
        logs: Folder for the logs of all processes, and the journal.
        expected: What each kind of report has to be.
        tier: The module that declares the actors.
        redis_server: Another broker than the embedded one.
        environment: Settings of the services beside the usual ones.
    """
    with ExitStack() as entered:
        enter = entered.enter_context
        stack = enter(Stack(logs))
        journal = enter(Journal(logs / "journal.log"))
        callbacks = enter(Callbacks())
        settings = {**_settings(callbacks), **(environment or {})}
        broker = embedded_redis(stack.folder / "redis", free_port(), redis_server)
        site = catalog.Site(ROOT, stack.folder / "files", broker.url)
        slots = catalog.workers(POOLS, tier, site)
        names = tuple(slot.name for slot in slots)
        recoveries = Recoveries()

        def watch(seen: Sighting) -> None:
            journal.note(f"{seen.slot} [{seen.pid}] {seen.failpoint} {seen.job_id}")
            if recovery := recoveries.seen(seen):
                journal.note(str(recovery))

        failpoints = enter(FailpointServer(stack.folder / "failpoints", names, watch))
        api = catalog.api(FIXED, site)
        services = (
            broker,
            _with(api, settings),
            _with(catalog.housekeeping(site), settings),
            *(
                _with(slot, {**settings, "OFFLOOP_FAILPOINTS": str(failpoints.path(slot.name))})
                for slot in slots
            ),
        )
        stack.start(broker)
        stack.start(*services[1:])
        upkeep = enter(Upkeep(stack, services, journal.note))
        queues, records = enter(_client(broker, 0)), enter(_client(broker, 1))
        assert api.url is not None
        yield Stage(
            stack=stack,
            upkeep=upkeep,
            url=api.url,
            slots=names,
            queues=queues,
            records=records,
            folder=site.files / "fixed",
            ledger=site.files / "ledger.sqlite",
            expected=expected,
            failpoints=failpoints,
            recoveries=recoveries,
            book=Book(),
            callbacks=callbacks,
            notices=enter(Notices(records)),
            journal=journal,
        )


def _settings(callbacks: Callbacks) -> dict[str, str]:
    """Make what is done once in a while be done often, so that a run need not wait for it."""
    return {
        "OFFLOOP_SCALE_FACTOR": SCALE_FACTOR,
        "OFFLOOP_FIRST_RETRY_S": "0.2",
        "OFFLOOP_EXPIRY_INTERVAL_S": "1",
        "OFFLOOP_SWEEP_INTERVAL_S": "2",
        "OFFLOOP_CALLBACK_HOSTS": callbacks.host,
        "OFFLOOP_WEBHOOK_SECRET": _SECRET,
        "OFFLOOP_CALLBACK_TIMEOUT_S": "2",
        "OFFLOOP_CALLBACK_FIRST_RETRY_S": "0.2",
    }


def _with(service: Service, environment: Mapping[str, str]) -> Service:
    return replace(service, env={**service.env, **environment})


def _client(broker: Service, database: int) -> Redis:
    return Redis.from_url(
        f"{broker.url}/{database}",
        socket_timeout=_BROKER_DEADLINE_S,
        socket_connect_timeout=_BROKER_DEADLINE_S,
        retry=Retry(NoBackoff(), retries=0),
    )
