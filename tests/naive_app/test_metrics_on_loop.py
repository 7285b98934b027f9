"""Metrics served on the event loop, as in most tutorials: a blocked loop answers no scrape."""

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from offloop.stack.catalog import WAYS
from offloop.stack.failpoints import FailpointServer, Trap
from reports.failpoints import FAILPOINTS_VARIABLE, Failpoint
from tests.shop import DAY, HANG_S, Shop, client_of

pytestmark = pytest.mark.medium

NAME = "metrics_on_loop"

#: Seconds after which something counts as not answered; only what is blocked for good is asked.
UNANSWERED_S = 0.5


@pytest.fixture
def steps(shop: Shop) -> Iterator[FailpointServer]:
    with FailpointServer(shop.stack.folder / "scraped") as server:
        yield server


@pytest.fixture
def app(
    shop: Shop, apps: Mapping[str, httpx.Client], steps: FailpointServer
) -> Iterator[httpx.Client]:
    service = shop.api(WAYS[f"naive_app.attempts.{NAME}"], NAME)
    env = {**service.env, FAILPOINTS_VARIABLE: str(steps.path)}
    shop.stack.start(replace(service, env=env))
    with client_of(service) as client:
        yield client
    shop.stack.stop(NAME)


def lag_s(answer: httpx.Response) -> float:
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    (sample,) = families["event_loop_lag_seconds"].samples
    return float(sample.value)


def test_the_only_trace_of_a_stall_is_an_unanswered_scrape(
    app: httpx.Client, steps: FailpointServer
) -> None:
    at_work, go_on = threading.Event(), threading.Event()

    def hold(_: int) -> None:
        at_work.set()
        assert go_on.wait(HANG_S)

    steps.set(Trap(Failpoint.BEFORE_RENAME, hold))
    assert lag_s(app.get("/metrics")) < UNANSWERED_S
    with ThreadPoolExecutor(2) as others:
        ordered = others.submit(app.post, "/reports", json=DAY)
        try:
            assert at_work.wait(HANG_S)
            scrape = others.submit(app.get, "/metrics")
            assert not wait([scrape], UNANSWERED_S).done
        finally:
            go_on.set()
        assert ordered.result().status_code == 201
        assert scrape.result().status_code == 200

    # Until the next measurement the gauge holds the stall; after it, nothing does.
    assert any(lag_s(app.get("/metrics")) < UNANSWERED_S for _ in range(100))
