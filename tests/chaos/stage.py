"""The real stack under faults, and everything that watches it."""

import base64
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from offloop.stack import catalog
from offloop.stack.failpoints import FailpointServer
from offloop.stack.keeper import FIRST_DELAY_S, Keeper
from offloop.stack.pools import Pool
from offloop.stack.ports import free_port
from offloop.stack.redis import embedded_redis
from offloop.stack.service import Service
from offloop.stack.supervisor import Stack
from tests.chaos import evidence
from tests.chaos.catalogue import SCALE_FACTOR, expected_reports
from tests.chaos.evidence import Book, Callbacks, announcements, in_background
from tests.chaos.invariants import Evidence
from tests.chaos.slots import Slots
from tests.shop import FINAL, FIXED, ROOT

#: Two slots each: another one can take over the job of a killed one.
POOLS = {"short": Pool(queues=("short",), slots=2), "long": Pool(queues=("long",), slots=2)}

_SECRET = "whsec_" + base64.b64encode(b"a secret of the tests and of no one else").decode()

#: Seconds the broker is waited for; it may be frozen.
_BROKER_DEADLINE_S = 2.0

_LOOK_S = 0.05

T = TypeVar("T")


def within(seconds: float, look: Callable[[], T]) -> T:
    """Return the first true thing that `look` returns, or the last one when the time is up."""
    until = time.monotonic() + seconds
    while not (seen := look()) and time.monotonic() < until:
        time.sleep(_LOOK_S)
    return seen


@dataclass(frozen=True)
class Stage:
    """A stack that runs and is kept up."""

    stack: Stack
    site: catalog.Site
    keeper: Keeper
    #: Of the API.
    url: str
    #: The broker's databases.
    queues: Redis
    records: Redis
    failpoints: FailpointServer
    slots: Slots
    book: Book
    callbacks: Callbacks
    #: Ids of finished jobs, as often as they were announced.
    announced: list[str]
    #: What happened, in its order: `journal.log` beside the logs of the processes.
    journal: logging.Logger

    @property
    def files(self) -> Path:
        """The folder of finished reports."""
        return self.site.files / FIXED.files

    def leader(self, name: str) -> int | None:
        """Return the process that leads the group of a service; None while it is down."""
        pids = self.stack.pids().get(name)
        return pids[0] if pids and self.keeper.is_up(name) else None

    def settle(self, patience_s: float) -> None:
        """Wait until nothing is left to be done. The invariants find what is stuck."""
        within(patience_s, self._is_at_rest)

    def _is_at_rest(self) -> bool:
        with suppress(RedisError):
            records = evidence.read_records(self.records).values()
            return (
                self.keeper.all_up()
                and not any(evidence.read_waiting(self.records).values())
                and all(message.dead for message in evidence.read_messages(self.queues))
                and all(record.get("status") in FINAL for record in records)
                and not any(path.name.startswith(".") for path in self.files.iterdir())
            )
        return False

    def evidence(self) -> Evidence:
        """Read everything there is to know."""
        return Evidence(
            expected=expected_reports(),
            promises=tuple(self.book.promises),
            unanswered=tuple(self.book.unanswered),
            surprises=tuple(self.book.surprises),
            seen=tuple(self.book.seen),
            announced=tuple(self.announced),
            deliveries=tuple(self.callbacks.noted),
            records=evidence.read_records(self.records),
            entries=evidence.read_ledger(self.site.ledger),
            files=evidence.read_files(self.files),
            messages=evidence.read_messages(self.queues),
            waiting=evidence.read_waiting(self.records),
        )


@contextmanager
def open_stage(
    logs: Path,
    *,
    tier: str = catalog.STANDARD_TIER,
    redis_server: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Stage]:
    """Start everything, and stop it at the end. The folder gets all logs, and the journal."""
    expected_reports()  # before anything competes for the machine
    with ExitStack() as entered:
        enter = entered.enter_context
        stack = enter(Stack(logs))
        handler = enter(closing(logging.FileHandler(logs / "journal.log", mode="w")))
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        journal = logging.Logger("journal")  # noqa: LOG001 - each stage has its own
        journal.addHandler(handler)
        callbacks = enter(Callbacks(_SECRET))
        slots = Slots(stack, journal)
        socket = stack.folder / "failpoints"
        failpoints = enter(FailpointServer(socket, watch=slots.reached, gone=slots.gone))
        broker = embedded_redis(stack.folder / "redis", free_port(), redis_server)
        site = catalog.Site(ROOT, stack.folder / "files", broker.url, failpoints.path)
        api = catalog.api(FIXED, site)
        settings = {**_settings(callbacks), **(environment or {})}
        services = tuple(
            replace(service, env={**service.env, **settings})
            for service in (api, catalog.housekeeping(site), *catalog.workers(POOLS, tier, site))
        )
        stack.start(broker)
        stack.start(*services)
        # Always the first delay: it is the harness that kills services.
        keeper = Keeper(stack, (broker, *services), journal.info, FIRST_DELAY_S)
        enter(in_background(lambda over: _keep(keeper, over)))
        records = enter(_client(broker, 1))
        assert api.url is not None
        yield Stage(
            stack=stack,
            site=site,
            keeper=keeper,
            url=api.url,
            queues=enter(_client(broker, 0)),
            records=records,
            failpoints=failpoints,
            slots=slots,
            book=Book(),
            callbacks=callbacks,
            announced=enter(announcements(records)),
            journal=journal,
        )


def _keep(keeper: Keeper, over: threading.Event) -> None:
    while not over.wait(_LOOK_S):
        keeper.look()


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


def _client(broker: Service, database: int) -> Redis:
    return Redis.from_url(
        f"{broker.url}/{database}",
        socket_timeout=_BROKER_DEADLINE_S,
        socket_connect_timeout=_BROKER_DEADLINE_S,
        retry=Retry(NoBackoff(), retries=0),
    )
