"""The services of an experiment, started before its first arm and idle between arms.

Those of an arm that runs once are there only for as long as it does.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis, RedisError

from offloop.bench.events import API, BROKER, Event
from offloop.bench.experiment import Arm, Experiment
from offloop.bench.question import ExperimentError
from offloop.stack import catalog
from offloop.stack.broker import REDIS_URL_VARIABLE, given_broker, without_password
from offloop.stack.errors import StackError
from offloop.stack.failpoints import FailpointServer
from offloop.stack.idle import wait_until_empty
from offloop.stack.pools import Pool
from offloop.stack.ports import free_port
from offloop.stack.redis import NAME as REDIS
from offloop.stack.redis import embedded_redis
from offloop.stack.service import Service
from offloop.stack.supervisor import Stack


@dataclass(frozen=True)
class Setting:
    """The running services behind one or more arms.

    Attributes:
        stack: Supervises them.
        services: All of them.
        api: Takes the requests.
        workers: Build the reports; none where the API does.
        redis_url: The broker; None where there is none.
        arm: What was started for it: its pools, and the tier.
        site: Where its services work.
        failpoints: Knows who reaches which step of the work; None where no event waits for one.
    """

    stack: Stack
    services: tuple[Service, ...]
    api: Service
    workers: tuple[Service, ...]
    redis_url: str | None
    arm: Arm
    site: catalog.Site
    failpoints: FailpointServer | None

    @property
    def queues(self) -> frozenset[str]:
        """Names of the queues that the workers serve."""
        return frozenset(queue for pool in self.pools.values() for queue in pool.queues)

    @property
    def pools(self) -> Mapping[str, Pool]:
        """The slots that build reports; none where the API does."""
        return self.arm.pools if self.arm.has_tier else {}

    def processes_of(self, event: Event) -> tuple[str, ...]:
        """Return the names of the services that an event is done to; none if it has none."""
        names = {API: self.api.name, BROKER: REDIS}
        targets = event.targets(self.arm.pools, has_tier=self.arm.has_tier)
        return tuple(names.get(target, target) for target in targets)

    @property
    def builders(self) -> tuple[Service, ...]:
        """The services that build reports."""
        return self.workers or (self.api,)

    def processes(self) -> dict[str, int]:
        """Count the operating system's processes of each service."""
        return {name: len(pids) for name, pids in self.stack.pids().items()}

    def wait_until_empty(self) -> None:
        """Return once its queues are empty.

        Raises:
            NotIdleError: they are not within a minute, or never would be.
            StackError: the broker does not say.
        """
        if self.redis_url is None:
            return
        try:
            with Redis.from_url(self.redis_url) as redis:
                wait_until_empty(redis, self.queues)
        except RedisError as error:
            raise StackError(
                f"The broker {without_password(self.redis_url)} does not answer any more: {error}"
            ) from error


def _services_of(arm: Arm) -> tuple[object, ...]:
    return arm.way, arm.server, arm.tier, tuple(sorted(arm.pools.items())), arm.queue_limit


@contextmanager
def stage(experiment: Experiment, root: Path, logs: Path) -> Iterator[Mapping[str, Setting]]:
    """Start what the arms need that run in every block: name of the arm -> its setting.

    One stack is started after the other: all at once, a small machine would take so long that
    those of the lowest priority would count as failed.

    Arms that differ only in the requests they get (the baseline is the fixed stack without
    reports) share one setting, so that nothing else can differ between them.

    Args:
        experiment: Names the arms.
        root: The checkout.
        logs: Folder for ``<arm>/<service>.log``.

    Raises:
        StackError: a service could not be started.
        ExperimentError: evidence is asked of a service that there is not, or something is to be
            done to a broker that is not the lab's.
    """
    settings: dict[tuple[object, ...], Setting] = {}
    owners: dict[tuple[object, ...], str] = {}
    if any(event.what == BROKER for event in experiment.events) and given_broker():
        raise ExperimentError(
            "The experiment interferes with the broker, and the lab did not start the one that "
            f"{REDIS_URL_VARIABLE} names. Unset it to use an embedded server."
        )
    staying = {name: arm for name, arm in experiment.arms.items() if not arm.once}
    # Naive and fixed come first, so that services they share with other arms are named after them.
    names = sorted(staying, key=lambda name: name not in {"naive", "fixed"})
    with ExitStack() as cleanup:
        for name in names:
            arm = experiment.arms[name]
            key = _services_of(arm)
            if key in settings:
                (logs / name).symlink_to(owners[key])
                continue
            owners[key] = name
            settings[key] = cleanup.enter_context(stage_one(experiment, name, root, logs))
        staged = {name: settings[_services_of(arm)] for name, arm in staying.items()}
        _check_evidence(experiment, staged)
        yield staged


@contextmanager
def stage_one(experiment: Experiment, name: str, root: Path, logs: Path) -> Iterator[Setting]:
    """Start what one arm needs and yield it.

    The arguments are those of `stage`, and the name of the arm.

    Raises:
        StackError: a service could not be started.
    """
    observed = any(event.at is not None for event in experiment.events)
    with ExitStack() as cleanup:
        # Slots that are asked to end take seconds to see it. The lab waits until no job is left
        # before it leaves a stack; only what a given broker holds of them should be in order.
        stack = cleanup.enter_context(Stack(logs / name, disposable=not given_broker()))
        yield _start(experiment.arms[name], root, stack, cleanup, observed=observed)


def _check_evidence(experiment: Experiment, staged: Mapping[str, Setting]) -> None:
    for evidence in experiment.evidence:
        names = [service.name for service in staged[evidence.arm].services]
        if evidence.process not in names:
            raise ExperimentError(
                f"The experiment asks for evidence of the process {evidence.process!r} of its arm "
                f"{evidence.arm}; there is {', '.join(names)}."
            )


def _start(arm: Arm, root: Path, stack: Stack, cleanup: ExitStack, *, observed: bool) -> Setting:
    way = catalog.WAYS[arm.way]
    broker, redis_url = _broker(stack) if way.has_tier else ((), None)
    # It has to listen before anything starts: work asks for it once.
    failpoints = (
        cleanup.enter_context(FailpointServer(stack.folder / "failpoints")) if observed else None
    )
    path = None if failpoints is None else failpoints.path
    knows_keys = arm.tier not in catalog.TIERS_WITHOUT_KEYS
    site = catalog.Site(
        root,
        stack.folder / "files",
        redis_url,
        path,
        knows_keys=knows_keys,
        queue_limit=arm.queue_limit,
    )
    api = catalog.api(way, site, arm.server, arm.api_processes)
    workers = catalog.workers(arm.pools, arm.tier, site) if way.has_tier else ()
    keeping = (catalog.housekeeping(site),) if way.has_tier else ()
    services = (*broker, api, *workers, *keeping)
    stack.start(*services)
    return Setting(stack, services, api, workers, redis_url, arm, site, failpoints)


def _broker(stack: Stack) -> tuple[tuple[Service, ...], str]:
    """Return the broker to start, if any, and the URL of the one to use."""
    if url := given_broker():
        return (), url
    server = embedded_redis(stack.folder / "redis", free_port())
    return (server,), f"{server.url}/0"
