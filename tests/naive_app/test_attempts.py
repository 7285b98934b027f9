"""The fixes that people try first: the same reports, and what each leaves as it was."""

import asyncio
import hashlib
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from naive_app.attempts.chunked import price_in_turns
from offloop.stack import catalog
from offloop.stack.failpoints import FailpointServer, Trap
from reports.build import CHUNK_LINES, price_and_publish
from reports.failpoints import FAILPOINTS_VARIABLE, Failpoint
from tests.shop import (
    DAY,
    FIXED,
    HANG_S,
    NAIVE,
    ROOT,
    Shop,
    client_of,
    follow,
    open_shop,
    order,
    wait_for,
)
from web.orders import ReportOrder

PREFIX = "naive_app.attempts."
ATTEMPTS = {
    module.removeprefix(PREFIX): way
    for module, way in catalog.WAYS.items()
    if module.startswith(PREFIX)
}

WAYS = {"inline": NAIVE, **ATTEMPTS}

#: Attempts whose process, or a child of it, builds the reports.
BUILDING = {name: way for name, way in ATTEMPTS.items() if not way.has_tier}

#: Attempts that promise a report and then build it themselves.
TASKS = ("background_task_sync", "background_task_async")

#: Several chunks of lines.
YEAR = {"shipped_from": "1995-01-01", "shipped_to": "1995-12-31", "format": "csv"}

#: Seconds after which something counts as not answered; only what is blocked for good is asked.
UNANSWERED_S = 0.5


def test_the_lab_knows_every_attempt() -> None:
    files = (ROOT / "naive_app" / "attempts").glob("[a-z]*.py")

    assert set(ATTEMPTS) == {file.stem for file in files}
    assert {way.app for way in ATTEMPTS.values()} == {f"{PREFIX}{name}:app" for name in ATTEMPTS}


class Rungs:
    """All attempts and, as `inline`, what they are meant to mend: each started when it is needed.

    Attributes:
        shop: Where they run.
        steps: Where each is with its work.
    """

    def __init__(self, shop: Shop, steps: FailpointServer) -> None:
        self.shop = shop
        self.steps = steps
        self._clients: dict[str, httpx.Client] = {}

    def client(self, name: str) -> httpx.Client:
        if name not in self._clients:
            service = self.shop.api(WAYS[name], name)
            env = {**service.env, FAILPOINTS_VARIABLE: str(self.steps.path)}
            self.shop.stack.start(replace(service, env=env))
            self._clients[name] = client_of(service)
        return self._clients[name]

    def stop(self) -> None:
        for client in self._clients.values():
            client.close()
        self.shop.stack.stop(*self._clients)


@pytest.fixture(scope="module")
def rungs(shop: Shop, apps: Mapping[str, httpx.Client]) -> Iterator[Rungs]:
    with FailpointServer(shop.stack.folder / "rungs") as steps:
        rungs = Rungs(shop, steps)
        yield rungs
        rungs.stop()


@pytest.fixture(params=ATTEMPTS)
def attempt(request: pytest.FixtureRequest, rungs: Rungs) -> httpx.Client:
    """Each of the attempts in turn."""
    name: str = request.param
    return rungs.client(name)


@pytest.mark.medium
@pytest.mark.parametrize("report_format", ["csv", "parquet"])
def test_every_attempt_makes_the_same_report(
    rungs: Rungs, attempt: httpx.Client, report_format: str
) -> None:
    spec = YEAR | {"format": report_format}
    inline, job = order(rungs.client("inline"), spec), order(attempt, spec)

    content = attempt.get(f"/reports/{job['job_id']}/file").content

    assert inline["result"]["rows"] > 2 * CHUNK_LINES
    assert job["status"] == "done"
    # The database sums and prices for `group_by`: its whole result is the same all the same.
    assert job["result"] == inline["result"]
    assert hashlib.sha256(content).hexdigest() == inline["result"]["sha256"]


@pytest.mark.medium
def test_every_attempt_answers_as_it_says_it_does(attempt: httpx.Client) -> None:
    documented = attempt.get("/openapi.json").json()["paths"]["/reports"]["post"]["responses"]

    answer = attempt.post("/reports", json=DAY)

    assert str(answer.status_code) in documented
    promised = documented[str(answer.status_code)]["headers"]
    assert set(promised) <= {name.title() for name in answer.headers}
    job = follow(attempt, answer)
    assert (job["status"], job["attempt"], job["progress"]) == ("done", 1, 1)
    assert job["accepted_at"] <= job["started_at"] <= job["finished_at"]
    if answer.status_code == 201:
        assert answer.json() == job


@pytest.mark.medium
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/reports", DAY | {"shipped_from": "1995-03-02"}),
        ("POST", "/reports", DAY | {"format": "xlsx"}),
        ("GET", f"/reports/{'0' * 32}", None),
        ("GET", f"/reports/{'0' * 32}/file", None),
        ("DELETE", "/reports", None),
    ],
)
def test_every_attempt_refuses_as_the_apps_do(
    rungs: Rungs, attempt: httpx.Client, method: str, path: str, body: Mapping[str, str] | None
) -> None:
    refusals = [
        client.request(method, path, json=body) for client in (attempt, rungs.client("inline"))
    ]

    assert refusals[0].status_code >= 400
    assert refusals[0].json() == refusals[1].json()


@pytest.mark.medium
def test_every_attempt_serves_the_same_routes(attempt: httpx.Client) -> None:
    paths = attempt.get("/openapi.json").json()["paths"]

    assert {path: set(methods) for path, methods in paths.items()} == {
        "/ping": {"get"},
        "/health/live": {"get"},
        "/health/ready": {"get"},
        "/reports": {"post"},
        "/reports/{job_id}": {"get"},
        "/reports/{job_id}/file": {"get"},
    }


@contextmanager
def held(rungs: Rungs, name: str, step: Failpoint) -> Iterator[Future[httpx.Response]]:
    """An order whose work stays at a step until this is left."""
    at_work, go_on = threading.Event(), threading.Event()

    def hold(_: int) -> None:
        at_work.set()
        assert go_on.wait(HANG_S)

    trap = rungs.steps.set(Trap(step, hold))
    with ThreadPoolExecutor(1) as customer:
        ordered = customer.submit(rungs.client(name).post, "/reports", json=DAY)
        try:
            wait_for(lambda: at_work.is_set() or (ordered.done() and ordered.exception()))
            assert at_work.is_set(), ordered.exception()
            yield ordered
        finally:
            go_on.set()
            rungs.steps.remove(trap)


#: On the loop of the server while it writes, or not.
ON_THE_LOOP = {"inline", "chunked", "group_by", "background_task_async", "metrics_on_loop"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["inline", *BUILDING])
def test_work_on_the_loop_keeps_a_bystander_waiting_and_work_elsewhere_does_not(
    rungs: Rungs, name: str
) -> None:
    with ThreadPoolExecutor(1) as bystander:
        # Every attempt comes by here, whichever way it writes.
        with held(rungs, name, Failpoint.BEFORE_RENAME) as ordered:
            ping = bystander.submit(rungs.client(name).get, "/ping")
            answered = wait([ping], UNANSWERED_S if name in ON_THE_LOOP else HANG_S).done
        assert ping.result().status_code == 200
    job = follow(rungs.client(name), ordered.result())

    assert bool(answered) == (name not in ON_THE_LOOP)
    assert job["status"] == "done"


def test_other_tasks_run_between_two_chunks(tmp_path: Path) -> None:
    lines = [(number, 1, 100, 1_000, 5, 2, "A", "F", 9_000) for number in range(4 * CHUNK_LINES)]
    spec = ReportOrder.model_validate(DAY)
    turns: list[bool] = []

    def being_written() -> bool:
        return any(tmp_path.glob(".chunked*"))

    async def take_turns() -> None:
        while True:
            turns.append(being_written())
            await asyncio.sleep(0)

    async def build_beside_others() -> str:
        others = asyncio.create_task(take_turns())
        result = await price_in_turns(lines, spec, tmp_path / "chunked.csv.gz")
        others.cancel()
        return result.sha256

    sha256 = asyncio.run(build_beside_others())

    assert turns.count(True) == 4  # one for each chunk
    whole = price_and_publish([lines], spec, tmp_path / "whole.csv.gz")
    assert sha256 == whole.result.sha256


@pytest.mark.slow
def test_a_task_in_a_thread_can_be_followed_while_it_runs(rungs: Rungs) -> None:
    client = rungs.client("background_task_sync")

    with held(rungs, "background_task_sync", Failpoint.WRITE) as ordered:
        path = ordered.result().headers["Location"]
        job = client.get(path).json()
        file = client.get(f"{path}/file")

    assert (job["status"], job["attempt"], job["result"]) == ("running", 1, None)
    assert file.status_code == 409
    assert follow(client, ordered.result())["status"] == "done"


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_a_background_task_is_lost_with_its_process(rungs: Rungs, name: str) -> None:
    stack, client = rungs.shop.stack, rungs.client(name)

    def kill(_: int) -> None:
        stack.signal(name, signal.SIGKILL)

    killed = rungs.steps.set(Trap(Failpoint.WRITE, kill))
    accepted = client.post("/reports", json=DAY)
    assert killed.sprung.wait(HANG_S)
    stack.restart(name)

    later = order(client, DAY)

    assert accepted.status_code == 202
    assert later["status"] == "done"
    assert client.get(accepted.headers["Location"]).json()["status"] == "running"
    assert client.get(f"{accepted.headers['Location']}/file").status_code == 409


@pytest.mark.slow
def test_a_pool_that_has_lost_a_process_builds_nothing_until_the_restart(rungs: Rungs) -> None:
    name, client = "process_pool", rungs.client("process_pool")

    def kill(pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    def order_once() -> int:
        # The server closes a connection on which an answer went wrong.
        return client.post("/reports", json=DAY, headers={"Connection": "close"}).status_code

    rungs.steps.set(Trap(Failpoint.WRITE, kill))

    assert [order_once() for _ in range(3)] == [500] * 3
    assert client.get("/health/ready").status_code == 200
    rungs.shop.stack.restart(name)
    assert order(client, DAY)["status"] == "done"


@dataclass(frozen=True)
class Frozen:
    """A stack whose broker does not answer.

    Attributes:
        clients: Of the apps that hand work over to it.
        shop: Where they run.
    """

    clients: Mapping[str, httpx.Client]
    shop: Shop

    def go_on(self) -> None:
        """Let the broker answer again."""
        self.shop.stack.signal("redis", signal.SIGCONT)


@pytest.fixture(scope="module")
def fragile(
    tmp_path_factory: pytest.TempPathFactory, data_set: Mapping[str, str]
) -> Iterator[Frozen]:
    patient = {**data_set, "OFFLOOP_BROKER_DEADLINE_S": str(HANG_S)}
    ways = {"fixed": FIXED} | {name: way for name, way in ATTEMPTS.items() if way.has_tier}
    with open_shop(tmp_path_factory.mktemp("logs"), patient) as shop:
        services = {name: shop.api(way, name) for name, way in ways.items()}
        for service in (*services.values(), shop.worker(), shop.housekeeping()):
            shop.stack.start(service)
        clients = {name: client_of(service) for name, service in services.items()}
        yield Frozen(clients, shop)
        for client in clients.values():
            client.close()


@pytest.fixture
def frozen(fragile: Frozen) -> Iterator[Frozen]:
    for client in fragile.clients.values():
        assert order(client, DAY)["status"] == "done"
    fragile.shop.stack.signal("redis", signal.SIGSTOP)
    yield fragile
    fragile.go_on()


@pytest.mark.slow
def test_sending_in_the_request_stalls_other_requests_while_the_broker_is_frozen(
    frozen: Frozen,
) -> None:
    client = frozen.clients["blocking_send"]
    with ThreadPoolExecutor(2) as others:
        try:
            ordered = others.submit(client.post, "/reports", json=DAY)

            def unanswered() -> Future[httpx.Response] | None:
                ping = others.submit(client.get, "/ping")
                return None if wait([ping], UNANSWERED_S).done else ping

            ping = wait_for(unanswered)
            still = wait([ping, ordered], UNANSWERED_S)
        finally:
            frozen.go_on()
        assert not still.done
        assert ping.result().status_code == 200
        assert follow(client, ordered.result())["status"] == "done"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["send_in_thread", "fixed"])
def test_other_ways_of_sending_stall_no_request_while_the_broker_is_frozen(
    frozen: Frozen, name: str
) -> None:
    client = frozen.clients[name]
    with ThreadPoolExecutor(1) as customer:
        try:
            ordered = customer.submit(client.post, "/reports", json=DAY)
            pings = [
                client.get("/ping").status_code
                for _ in range(20)
                if not wait([ordered], 2 * UNANSWERED_S / 20).done
            ]
        finally:
            frozen.go_on()
        answer = ordered.result()

    # All of them were sent while the order was waiting for the broker.
    assert pings == [200] * 20
    assert answer.status_code == 202
    assert follow(client, answer)["status"] == "done"
