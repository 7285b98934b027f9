from collections.abc import Iterator, Mapping

import httpx
import pytest
from pydantic import RedisDsn
from redis import Redis

from offloop.stack import catalog
from offloop.stack.ports import free_port
from offloop.stack.redis import embedded_redis
from offloop.stack.service import Service
from offloop.stack.supervisor import Stack
from reports.dataset import ensure_dataset
from reports.settings import ReportSettings
from tests.shop import FIXED, NAIVE, ROOT, Shop, client_of
from workers.settings import TierSettings


@pytest.fixture(scope="session")
def data_set() -> Iterator[Mapping[str, str]]:
    """The environment that names a small data set, which is there."""
    with pytest.MonkeyPatch.context() as patch:
        # It would be rebuilt at the scale of the tests.
        patch.delenv("OFFLOOP_DATABASE_URL", raising=False)
        settings = ReportSettings(scale_factor=0.01)
        ensure_dataset(settings)
        # Retries soon, so that what fails for good does so within seconds.
        yield {"OFFLOOP_SCALE_FACTOR": settings.scale_label, "OFFLOOP_FIRST_RETRY_S": "0.05"}


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack for all tests that break nothing."""
    with Stack(tmp_path_factory.mktemp("logs")) as entered:
        yield entered


@pytest.fixture(scope="session")
def broker(stack: Stack) -> Service:
    """A Valkey server; the services use its databases 0 and 1, other tests the rest."""
    service = embedded_redis(stack.folder / "redis", free_port())
    stack.start(service)
    return service


@pytest.fixture(scope="session")
def shop(stack: Stack, broker: Service, data_set: Mapping[str, str]) -> Shop:
    return Shop(stack, catalog.Site(ROOT, stack.folder / "files", broker.url), data_set)


@pytest.fixture(scope="session")
def apps(shop: Shop) -> Iterator[dict[str, httpx.Client]]:
    """Both apps, with workers and housekeeping, by the names of the apps."""
    services = {"naive": shop.api(NAIVE), "fixed": shop.api(FIXED)}
    shop.stack.start(*services.values(), *shop.workers(), shop.housekeeping())
    clients = {name: client_of(service) for name, service in services.items()}
    yield clients
    for client in clients.values():
        client.close()


@pytest.fixture(scope="session")
def naive(apps: dict[str, httpx.Client]) -> httpx.Client:
    return apps["naive"]


@pytest.fixture(scope="session")
def fixed(apps: dict[str, httpx.Client]) -> httpx.Client:
    return apps["fixed"]


@pytest.fixture(params=["naive", "fixed"])
def app(request: pytest.FixtureRequest, apps: dict[str, httpx.Client]) -> httpx.Client:
    """Each of the apps in turn."""
    name: str = request.param
    return apps[name]


@pytest.fixture
def tier(broker: Service) -> Iterator[TierSettings]:
    """A job tier on databases that no worker looks at: what is queued stays queued."""
    settings = TierSettings(redis_url=RedisDsn(f"{broker.url}/2"))
    yield settings
    for url in (str(settings.redis_url), settings.records_url):
        with Redis.from_url(url) as client:
            client.flushdb()


@pytest.fixture
def queues(tier: TierSettings) -> Iterator[Redis]:
    """The database of the queues."""
    with Redis.from_url(str(tier.redis_url)) as client:
        yield client


@pytest.fixture
def records(tier: TierSettings) -> Iterator[Redis]:
    """The database of the job records."""
    with Redis.from_url(tier.records_url) as client:
        yield client
