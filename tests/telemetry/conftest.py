import asyncio
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry


def _uvloop() -> Callable[[], asyncio.AbstractEventLoop]:
    factory: Callable[[], asyncio.AbstractEventLoop] = pytest.importorskip("uvloop").new_event_loop
    return factory


@pytest.fixture(params=["asyncio", "uvloop"])
def new_loop(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    return asyncio.new_event_loop if request.param == "asyncio" else _uvloop()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()
