"""The services of an experiment, all started before its first arm and idle between arms."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis, RedisError

from offloop.bench.experiment import Arm, Experiment, ExperimentError
from offloop.bench.idle import wait_until_empty
from offloop.stack import catalog
from offloop.stack.broker import given_broker, without_password
from offloop.stack.errors import StackError
from offloop.stack.ports import free_port
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
        queues: Names of the queues that the workers serve.
    """

    stack: Stack
    services: tuple[Service, ...]
    api: Service
    workers: tuple[Service, ...]
    redis_url: str | None
    queues: frozenset[str]

    @property
    def builders(self) -> tuple[Service, ...]:
        """The services that build reports."""
        return self.workers or (self.api,)

    def processes(self) -> dict[str, int]:
        """Count the operating system's processes of each service."""
        return {name: len(pids) for name, pids in self.stack.pids().items()}

    def wait_until_ready(self) -> None:
        """Return once every service is ready.

        Raises:
            ServiceFailed: one ended, or was not ready in time.
        """
        self.stack.wait_until_ready(*(service.name for service in self.services))

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
    return arm.way, arm.server, arm.tier, tuple(sorted(arm.pools.items()))


@contextmanager
def stage(experiment: Experiment, root: Path, logs: Path) -> Iterator[Mapping[str, Setting]]:
    """Launch what the arms need and yield it: name of the arm -> its setting.

    The services are on their way and not yet ready: `Setting.wait_until_ready`.

    Arms that differ only in the requests they get (the baseline is the fixed stack without
    reports) share one setting, so that nothing else can differ between them.

    Args:
        experiment: Names the arms.
        root: The checkout.
        logs: Folder for ``<arm>/<service>.log``.

    Raises:
        StackError: a service could not be started.
        ExperimentError: evidence is asked of a service that there is not.
    """
    settings: dict[tuple[object, ...], Setting] = {}
    owners: dict[tuple[object, ...], str] = {}
    # The judged sides give their names to what they share with others.
    names = sorted(experiment.arms, key=lambda name: name not in {"naive", "fixed"})
    with ExitStack() as cleanup:
        for name in names:
            arm = experiment.arms[name]
            key = _services_of(arm)
            if key in settings:
                (logs / name).symlink_to(owners[key])
                continue
            owners[key] = name
            settings[key] = _launch(arm, root, cleanup.enter_context(Stack(logs / name)))
        staged = {name: settings[_services_of(arm)] for name, arm in experiment.arms.items()}
        _check_evidence(experiment, staged)
        yield staged


def _check_evidence(experiment: Experiment, staged: Mapping[str, Setting]) -> None:
    for evidence in experiment.evidence:
        names = [service.name for service in staged[evidence.arm].services]
        if evidence.process not in names:
            raise ExperimentError(
                f"The experiment asks for evidence of the process {evidence.process!r} of its arm "
                f"{evidence.arm}; there is {', '.join(names)}."
            )


def _launch(arm: Arm, root: Path, stack: Stack) -> Setting:
    way = catalog.WAYS[arm.way]
    broker, redis_url = _broker(stack) if way.has_tier else ((), None)
    site = catalog.Site(root, stack.folder / "files", redis_url)
    api = catalog.api(way, site)
    pools = arm.pools if way.has_tier else {}
    workers = catalog.workers(pools, arm.tier, site)
    queues = frozenset(queue for pool in pools.values() for queue in pool.queues)
    keeping = (catalog.housekeeping(site),) if way.has_tier else ()
    services = (*broker, api, *workers, *keeping)
    stack.launch(*services)
    return Setting(stack, services, api, workers, redis_url, queues)


def _broker(stack: Stack) -> tuple[tuple[Service, ...], str]:
    """Return the broker to start, if any, and the URL of the one to use."""
    if url := given_broker():
        return (), url
    server = embedded_redis(stack.folder / "redis", free_port())
    return (server,), f"{server.url}/0"
