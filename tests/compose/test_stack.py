"""The containers for real: `make compose-test`.

Starts the stack as `make up` does, as a project of its own on ports of its own, and takes it down
again. Grafana is left out where its image cannot be had.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import pytest

from offloop import containers
from offloop.stack.ports import free_port
from tests.compose.reading import OURS, ROOT, SERVICES, STANDARD, base_image

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

T = TypeVar("T")

ORDER = {"shipped_from": "1995-03-01", "shipped_to": "1995-03-31", "format": "csv"}

#: Guards against waiting for ever; what is waited for takes a fifth of them at most.
DEADLINE_S = 150.0
START_DEADLINE_S = 600.0

#: Seconds to wait for an image that a registry may have.
PULL_DEADLINE_S = 120.0


def can_be_had(image: str) -> bool:
    """Whether an image is here, or comes when it is asked for."""
    if docker("image", "inspect", image).returncode == 0:
        return True
    try:
        return docker("pull", "--quiet", image, timeout_s=PULL_DEADLINE_S).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def docker(*arguments: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ("docker", *arguments),  # noqa: S607 - whichever Docker there is
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )


def say(text: str) -> None:
    sys.stderr.write(f"\n{text}\n")


@dataclass(frozen=True)
class Lab:
    """The stack, as it runs."""

    compose: Sequence[str]
    naive: str
    fixed: str
    prometheus: str
    locust: str
    #: Those that run.
    services: frozenset[str]

    def inspected(self) -> Mapping[str, Mapping[str, Any]]:
        """What Docker says about one container of each service."""
        names = [each.name for each in containers.containers(self.compose)]
        found = json.loads(docker("inspect", *names).stdout)
        return {each["Config"]["Labels"]["com.docker.compose.service"]: each for each in found}

    def ask(self, query: str) -> Sequence[Mapping[str, Any]]:
        """Ask Prometheus."""
        answer = httpx.get(f"{self.prometheus}/api/v1/query", params={"query": query}, timeout=30)
        result: Sequence[Mapping[str, Any]] = answer.raise_for_status().json()["data"]["result"]
        return result

    def instances_up(self, selector: str) -> int:
        """How many targets answered their latest scrape."""
        return len(self.ask(f"up{{{selector}}} == 1"))

    def do(self, *arguments: str) -> None:
        """Run Compose."""
        subprocess.run((*self.compose, *arguments), cwd=ROOT, check=True, timeout=START_DEADLINE_S)


def until(what: Callable[[], T | None]) -> T:
    """Ask again until the answer is one."""
    give_up_s = time.monotonic() + DEADLINE_S
    while True:
        found = what()
        if found:
            return found
        assert time.monotonic() < give_up_s, f"{what} did not come true"
        time.sleep(0.5)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    if not os.environ.get("OFFLOOP_COMPOSE_TEST"):
        pytest.skip("the containers are started by `make compose-test`")
    try:
        compose = containers.compose_command()
    except containers.ContainersError as error:
        pytest.skip(f"the containers were not started: {error}")
    images = {name: SERVICES[name]["image"] for name in STANDARD if name not in OURS}
    missing = {name for name, image in images.items() if not can_be_had(image)}
    if not can_be_had(base_image()) or missing - {"grafana"}:
        pytest.skip(f"the containers were not started: there is no {base_image()}, {missing}")
    if missing:
        say("grafana is left out: its image is not here, and no registry gives it")
    ports = {name: free_port() for name in ("naive", "fixed", "prometheus", "grafana", "locust")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMPOSE_PROJECT_NAME", f"offloop-test-{os.getpid()}")
        for name, port in ports.items():
            patch.setenv(f"OFFLOOP_{name.upper()}_PORT", str(port))
        urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        services = frozenset(STANDARD.keys() - missing)
        try:
            started_s = time.monotonic()
            containers.up(sorted(missing))
            say(f"everything was healthy after {time.monotonic() - started_s:.0f} s")
            yield Lab(
                compose,
                urls["naive"],
                urls["fixed"],
                urls["prometheus"],
                urls["locust"],
                services,
            )
        finally:
            containers.down()


def test_every_container_is_healthy(lab: Lab) -> None:
    states = {each.service: each.state for each in containers.containers(lab.compose)}

    assert states == dict.fromkeys(lab.services, "healthy")


def test_the_load_moves(lab: Lab) -> None:
    def moved() -> bool:
        ok = lab.ask('sum by (side, name) (offloop_load_requests_total{outcome="ok"}) > 0')
        seen = {(each["metric"]["side"], each["metric"]["name"]) for each in ok}
        return {(side, name) for side in ("naive", "fixed") for name in ("ping", "report")} <= seen

    started_s = time.monotonic()
    until(moved)
    say(f"the clients of both sides were seen {time.monotonic() - started_s:.0f} s later")
    assert not lab.ask('sum by (side, name) (offloop_load_requests_total{outcome="failed"}) > 0')


def test_both_apps_build_the_same_report(lab: Lab) -> None:
    naive = httpx.post(f"{lab.naive}/reports", json=ORDER, timeout=60)
    fixed = httpx.post(f"{lab.fixed}/reports", json=ORDER, timeout=60)

    assert naive.status_code == 201
    assert fixed.status_code == 202
    where = f"{lab.fixed}{fixed.headers['location']}"

    def done() -> Mapping[str, Any] | None:
        job: Mapping[str, Any] = httpx.get(where, headers={"Prefer": "wait=5"}, timeout=60).json()
        return job if job["status"] == "done" else None

    assert until(done)["result"] == naive.json()["result"]
    file = httpx.get(f"{where}/file", timeout=60)
    assert file.status_code == 200
    assert len(file.content) == naive.json()["result"]["bytes"]


def test_prometheus_sees_every_target(lab: Lab) -> None:
    expected = {"naive", "fixed", "worker", "housekeeping", "load", "prometheus"}

    def jobs_up() -> bool:
        ups = lab.ask("up")
        return {each["metric"]["job"] for each in ups if each["value"][1] == "1"} == expected

    until(jobs_up)
    targets = httpx.get(f"{lab.prometheus}/api/v1/targets", timeout=30).json()["data"]
    down = [each for each in targets["activeTargets"] if each["health"] != "up"]
    assert not down


def test_rules_are_loaded_and_none_is_broken(lab: Lab) -> None:
    groups = httpx.get(f"{lab.prometheus}/api/v1/rules", timeout=30).json()["data"]["groups"]

    rules = [rule for group in groups for rule in group["rules"]]
    assert rules
    assert not [rule["lastError"] for rule in rules if rule.get("lastError")]


def test_containers_are_closed_in(lab: Lab) -> None:
    for name, container in lab.inspected().items():
        host, config = container["HostConfig"], container["Config"]
        assert host["ReadonlyRootfs"], name
        assert not host["Privileged"], name
        assert host["CapDrop"] == ["ALL"], name
        assert not host["CapAdd"], name
        assert any("no-new-privileges" in option for option in host["SecurityOpt"]), name
        assert config["User"].split(":")[0] not in {"", "0", "root"}, name
        assert host["Memory"] > 0, name
        assert host["CpuShares"] > 0, name


def test_published_ports_are_on_loopback(lab: Lab) -> None:
    published = {
        name: [binding["HostIp"] for each in ports.values() for binding in each or ()]
        for name, container in lab.inspected().items()
        if (ports := container["NetworkSettings"]["Ports"])
    }

    assert {address for addresses in published.values() for address in addresses} == {"127.0.0.1"}
    assert {name for name, addresses in published.items() if addresses} == {
        "naive",
        "fixed",
        "prometheus",
        "grafana",
    } & lab.services


def test_nobody_in_a_container_is_root(lab: Lab) -> None:
    for name, container in lab.inspected().items():
        users = docker("top", container["Id"], "-eo", "uid,pid,args").stdout.splitlines()[1:]
        assert users, name
        assert not [line for line in users if line.split()[0] in {"0", "root"}], name


def test_slots_that_are_added_are_seen_by_prometheus_and_work(lab: Lab) -> None:
    def scale(slots: int) -> None:
        number = ("--scale", f"worker-long={slots}", "worker-long")
        lab.do("up", "--detach", "--no-build", "--no-recreate", *number)

    def living() -> Sequence[str]:
        """By housekeeping, which counts those that say that they live."""
        return [each["value"][1] for each in lab.ask('offloop_worker_slots{queue="long"}')]

    until(lambda: lab.instances_up('job="worker",pool="long"') == 1)

    scale(3)

    until(lambda: lab.instances_up('job="worker",pool="long"') == 3)
    until(lambda: living() == ["3"])
    scale(1)
    until(lambda: living() == ["1"])


def test_locusts_workers_share_the_heavy_load(lab: Lab) -> None:
    lab.do(
        "--profile", "heavy", "up", "--detach", "--no-build", "--no-recreate",
        "--scale", "load-worker=2", "load-master", "load-worker",
    )  # fmt: skip
    until(lambda: lab.instances_up('job="load",side="naive"') == 3)
    plan = {"ping_rate": "40", "short_report_rate": "0", "report_rate": "0", "duration": "5"}
    until(lambda: httpx.get(f"{lab.locust}/stats/requests", timeout=30).json()["workers"][1:])

    started = httpx.post(
        f"{lab.locust}/swarm", data={"host": "http://naive:8000", **plan}, timeout=30
    )

    assert started.json()["success"]
    pings = until(lambda: ended(lab))

    def halves() -> Sequence[float] | None:
        """The figures of the two workers: the third sends all the time, and has far more."""
        query = 'offloop_load_offered_total{job="load",side="naive",name="ping"}'
        smallest = sorted(float(each["value"][1]) for each in lab.ask(query))[:2]
        return smallest if sum(smallest) == pings else None

    one, other = until(halves)
    assert other - one <= 1


def ended(lab: Lab) -> int | None:
    """Return how many requests Locust has counted, once it has stopped by itself."""
    now = httpx.get(f"{lab.locust}/stats/requests", timeout=30).json()
    total = next(each for each in now["stats"] if each["name"] == "Aggregated")
    return int(total["num_requests"]) if now["state"] == "stopped" else None
