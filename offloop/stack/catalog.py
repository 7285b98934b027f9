"""The services of the lab, by name: what to run for each, and at what priority."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from offloop.stack.pools import Pool
from offloop.stack.ports import LOOPBACK, free_port
from offloop.stack.priorities import NICE_API
from offloop.stack.servers import STANDARD_SERVER, Server
from offloop.stack.service import AllReady, HttpOk, Service
from offloop.stack.supervisor import GRACE_S

#: Milliseconds an idle worker sleeps at most before it asks for messages again. Dramatiq's
#: default, 1000, would be most of a short job's wait.
_WORKER_POLL_MS = 50

#: Seconds until a slot has seen that it is to stop: Dramatiq looks once a second.
_STOP_SEEN_S = 1.0

#: Seconds for handing a job back.
_HAND_BACK_S = 0.5

#: Seconds that work may go on once a process has seen that it is to stop: a job has to be handed
#: back before the supervisor kills its slot.
_SHUTDOWN_GRACE_S = GRACE_S - _STOP_SEEN_S - _HAND_BACK_S

#: Name of the folder for the files that the workers write.
_TIER_FILES = "fixed"


@dataclass(frozen=True)
class Way:
    """A way to answer ``POST /reports``, and the app that serves it.

    Attributes:
        service: Name of the service.
        app: What the server is to import.
        has_tier: Whether it needs a broker and workers.
        metrics_on_loop: Whether the app has metrics of its own, at `/metrics`.
    """

    service: str
    app: str
    has_tier: bool
    metrics_on_loop: bool = False

    @property
    def files(self) -> str:
        """Name of the folder for its files: where there are workers, they write them."""
        return _TIER_FILES if self.has_tier else self.service


#: The fixes that people try first, each a module of `naive_app.attempts`,
_ATTEMPTS = (
    *("awaited", "chunked", "plain_def", "to_thread", "process_pool", "group_by"),
    *("background_task_sync", "background_task_async"),
)

#: and those of them that hand the work over, to the same job tier as the fixed app.
_ATTEMPTS_WITH_TIER = ("blocking_send", "send_in_thread")


def _attempts(names: tuple[str, ...], *, has_tier: bool) -> dict[str, Way]:
    modules = (f"naive_app.attempts.{name}" for name in names)
    return {module: Way("naive", f"{module}:app", has_tier) for module in modules}


#: The attempt that leaves the work in the request, and serves metrics on the same loop.
_METRICS_ON_LOOP = "naive_app.attempts.metrics_on_loop"

#: Ways, by the module that answers. The two apps come last, so that a look-up of a way by the name
#: of its service finds them.
WAYS: Mapping[str, Way] = {
    **_attempts(_ATTEMPTS, has_tier=False),
    **_attempts(_ATTEMPTS_WITH_TIER, has_tier=True),
    _METRICS_ON_LOOP: Way("naive", f"{_METRICS_ON_LOOP}:app", has_tier=False, metrics_on_loop=True),
    "naive_app.reports": Way("naive", "naive_app.main:app", has_tier=False),
    "fixed_app.reports": Way("fixed", "fixed_app.main:app", has_tier=True),
}

#: Modules that declare the actors of the job tier; the first where nothing else is said.
STANDARD_TIER = "workers.fixed"
TIERS = (STANDARD_TIER, "workers.naive")

#: Ways that look at a queue's limit before they accept.
WAYS_WITH_LIMIT = frozenset({"fixed_app.reports"})

#: Those to which an order that is sent again is another order, with a key or without.
TIERS_WITHOUT_KEYS = frozenset({"workers.naive"})


@dataclass(frozen=True)
class Site:
    """Where the services of one stack work.

    Attributes:
        root: The checkout, with the modules to run.
        files: Folder for the files of reports.
        redis_url: The broker; None where there is none.
        failpoints: Unix socket on which work announces each failpoint and waits for an answer; None
            where nothing listens.
        knows_keys: Whether an order that is sent again, with the same idempotency key, is the same.
        queue_limit: Jobs that a queue may hold before orders are refused; None for the tier's own.
    """

    root: Path
    files: Path
    redis_url: str | None
    failpoints: Path | None = None
    knows_keys: bool = True
    queue_limit: int | None = None

    @property
    def ledger(self) -> Path:
        """The billing ledger: an SQLite file."""
        return self.files / "ledger.sqlite"

    def environment(self, *metrics_ports: int, files: str) -> dict[str, str]:
        """Return what a service is told beside what it inherits (such as the data set's scale).

        Args:
            metrics_ports: One for each of its processes that has metrics.
            files: Name of the folder for its files.
        """
        paths = [str(self.root), os.environ.get("PYTHONPATH")]
        return {
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "OFFLOOP_FILES_DIR": str(self.files / files),
            "OFFLOOP_LEDGER_PATH": str(self.ledger),
            "OFFLOOP_METRICS_PORT": ",".join(map(str, metrics_ports)),
            "OFFLOOP_SHUTDOWN_GRACE_S": str(_SHUTDOWN_GRACE_S),
            **({"OFFLOOP_REDIS_URL": self.redis_url} if self.redis_url else {}),
            **({"OFFLOOP_FAILPOINTS": str(self.failpoints)} if self.failpoints else {}),
            **({} if self.knows_keys else {"OFFLOOP_IDEMPOTENCY_KEYS": "false"}),
            **({"OFFLOOP_QUEUE_LIMIT": str(self.queue_limit)} if self.queue_limit else {}),
        }


def api(
    way: Way,
    site: Site,
    server: Server = STANDARD_SERVER,
    processes: int | None = None,
    port: int | None = None,
) -> Service:
    """A server for an app. Both apps get the same one with the same settings.

    Args:
        way: Names the app.
        site: Where it works.
        server: Which one.
        processes: How many of its processes serve requests; as many as `server` has, if no slot
            takes one of them.
        port: On which it listens; by default a free one.
    """
    number = server.serving(slots=0) if processes is None else processes
    port = free_port() if port is None else port
    metrics_ports = [free_port() for _ in range(number)]
    url = f"http://{LOOPBACK}:{port}"
    metrics_urls = tuple(map(_metrics_url, metrics_ports))
    return Service(
        name=way.service,
        command=server.command(way.app, port, number),
        env=site.environment(*metrics_ports, files=way.files),
        nice=NICE_API,
        # Whichever process comes first answers for the app; metrics tell that each is there.
        ready=AllReady((HttpOk(f"{url}/health/ready"), *map(HttpOk, metrics_urls))),
        url=url,
        metrics_urls=metrics_urls,
    )


def workers(pools: Mapping[str, Pool], tier: str, site: Site) -> tuple[Service, ...]:
    """All slots of all pools."""
    return tuple(
        worker(name, number, pool, tier, site)
        for name, pool in pools.items()
        for number in range(1, pool.slots + 1)
    )


def worker(pool_name: str, number: int, pool: Pool, tier: str, site: Site) -> Service:
    """One slot of a pool: a single-process, single-thread worker.

    Told to stop, it finishes its job or hands it back before the supervisor kills it.

    Args:
        pool_name: Begins the name of the slot.
        number: Ends it; the first slot of a pool is 1.
        pool: The queues to serve, and how.
        tier: The module that declares the actors, one of `TIERS`.
        site: Where it works.
    """
    metrics_port = free_port()
    return Service(
        name=f"worker-{pool_name}-{number}",
        command=(
            *(sys.executable, "-m", "dramatiq", tier),
            *("--processes", "1", "--threads", "1"),
            *("--worker-shutdown-timeout", _milliseconds(_SHUTDOWN_GRACE_S + _HAND_BACK_S)),
            *("--queues", *pool.queues),
        ),
        env={
            **site.environment(metrics_port, files=_TIER_FILES),
            "dramatiq_queue_prefetch": str(pool.prefetch),
            "dramatiq_worker_timeout": str(_WORKER_POLL_MS),
        },
        nice=pool.nice,
        ready=HttpOk(_metrics_url(metrics_port)),
        metrics_urls=(_metrics_url(metrics_port),),
    )


def housekeeping(site: Site) -> Service:
    """The one process that looks after what slots, jobs and files leave behind."""
    metrics_port = free_port()
    return Service(
        name="housekeeping",
        command=(sys.executable, "-m", "workers.housekeeping"),
        env=site.environment(metrics_port, files=_TIER_FILES),
        nice=NICE_API,
        ready=HttpOk(_metrics_url(metrics_port)),
        metrics_urls=(_metrics_url(metrics_port),),
    )


def _metrics_url(port: int) -> str:
    return f"http://{LOOPBACK}:{port}/metrics"


def _milliseconds(seconds: float) -> str:
    return str(round(1000 * seconds))
