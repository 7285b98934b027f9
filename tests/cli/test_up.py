"""`offloop up`: what is printed can be done, what dies comes back, and what ends leaves nothing."""

import base64
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.checkout import (
    COMMAND_HANG_S,
    END_HANG_S,
    Checkout,
    family,
    has_ended,
    make_checkout,
    read_until,
)
from tests.receiver import Receiver
from tests.shop import FINAL
from tests.waiting import wait_for

pytestmark = pytest.mark.medium

FIXED_SIDE = {"fixed", "worker-short-1", "worker-long-1", "housekeeping", "redis"}

SECRET = "whsec_" + base64.b64encode(bytes(24)).decode()

Json = dict[str, Any]


@dataclass(frozen=True)
class Up:
    """An `offloop up` that has said where everything is.

    Attributes:
        checkout: Where it runs.
        process: Its own process.
        said: What it has printed until then, line by line.
    """

    checkout: Checkout
    process: subprocess.Popen[str]
    said: list[str]

    @property
    def listing(self) -> Path:
        return self.checkout.folder / ".offloop" / "up.json"

    def services(self) -> dict[str, Json]:
        """What `up.json` says of each service."""
        listed: list[Json] = json.loads(self.listing.read_text())["services"]
        return {service["name"]: service for service in listed}

    def url(self, service: str) -> str:
        url: str = self.services()[service]["url"]
        return url

    def commands(self, side: str) -> list[str]:
        """The commands to try that it has printed for one of the apps."""
        begin = self.said.index("Try, in another terminal:\n")
        return [
            line for line in self.said[begin:] if line[:7] == "  curl " and self.url(side) in line
        ]

    def job(self, location: str) -> Json:
        """A job of the fixed side, in the end."""

        def finished() -> Json | None:
            answer = httpx.get(
                f"{self.url('fixed')}{location}",
                headers={"Prefer": "wait=10"},
                timeout=COMMAND_HANG_S,
                trust_env=False,
            )
            job: Json = answer.raise_for_status().json()
            return job if job["status"] in FINAL else None

        return wait_for(finished)

    def log(self, service: str) -> str:
        return (self.checkout.folder / ".offloop" / "up" / "logs" / f"{service}.log").read_text()

    def interrupt(self) -> str:
        """Press Ctrl-C; what it says on standard error."""
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=END_HANG_S)[1]


def start(checkout: Checkout, *arguments: str, env: Mapping[str, str] | None = None) -> Up:
    process = checkout.start("up", *arguments, env=env)
    return Up(checkout, process, read_until(process, "Ctrl-C stops everything."))


def perform(command: str, **replaced: str) -> httpx.Response:
    """Do what a line with `curl` does; it need not be installed."""
    for old, new in replaced.items():
        command = command.replace(old, new)
    words = shlex.split(command)
    headers = [words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H"]
    (url,) = [word for word in words if word.startswith("http://")]
    body = words[words.index("-d") + 1] if "-d" in words else None
    return httpx.request(
        "POST" if body else "GET",
        url,
        headers=[(name, value) for name, value in headers],
        content=body,
        timeout=COMMAND_HANG_S,
        trust_env=False,
    )


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """Somewhere to call back."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def both(
    tmp_path_factory: pytest.TempPathFactory, data_set: Mapping[str, str], receiver: Receiver
) -> Iterator[Up]:
    """Both sides, for all tests that do not end them."""
    checkout = make_checkout(tmp_path_factory.mktemp("up") / "checkout")
    callbacks = {"OFFLOOP_CALLBACK_HOSTS": receiver.host, "OFFLOOP_WEBHOOK_SECRET": SECRET}
    up = start(replace(checkout, env={**data_set, **callbacks}))
    yield up
    up.interrupt()
    wait_for(lambda: not checkout.running())


@pytest.fixture
def small(checkout: Checkout, data_set: Mapping[str, str]) -> Checkout:
    """A checkout with a small data set."""
    return replace(checkout, env=data_set)


def test_the_listing_names_every_service_its_process_and_where_it_is(both: Up) -> None:
    services = both.services()

    assert services.keys() == {"naive", *FIXED_SIDE}
    started = {process.pid for process in family(both.process)}
    for service in services.values():
        assert service.keys() == {"name", "pid", "url", "metrics_url"}
        assert service["pid"] in started
    for side in ("naive", "fixed"):
        assert httpx.get(f"{services[side]['url']}/ping", trust_env=False).status_code == 200
    for name in services.keys() - {"redis"}:
        metrics = httpx.get(services[name]["metrics_url"], trust_env=False)
        assert "process_cpu_seconds_total" in metrics.text
    assert services["redis"]["url"].startswith("redis://127.0.0.1:")


def test_prometheus_is_told_of_every_service_with_metrics(both: Up) -> None:
    file = both.checkout.folder / ".offloop" / "targets" / "up.json"

    told = {target["labels"]["instance"] for target in json.loads(file.read_text())}
    assert told == both.services().keys() - {"redis"}


def test_the_urls_are_printed_too(both: Up) -> None:
    printed = "".join(both.said)

    for service in both.services().values():
        assert service["name"] in printed
        assert service["url"] is None or service["url"] in printed


def test_the_commands_for_the_naive_side_work_in_the_request(both: Up) -> None:
    order, ping = both.commands("naive")

    assert perform(order).status_code == 201
    assert perform(ping).status_code == 200


@pytest.mark.skipif(shutil.which("curl") is None, reason="the command is one for curl")
@pytest.mark.parametrize("side", ["naive", "fixed"])
def test_the_pair_of_commands_that_shows_the_stall_works_as_printed(both: Up, side: str) -> None:
    (loop,) = [line for line in both.said if line[:8] == "  while " and both.url(side) in line]
    order = both.said[both.said.index(loop) + 1]
    with subprocess.Popen(
        ["bash", "-c", loop],  # noqa: S607 - whichever shell there is
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as pings:
        assert pings.stdout is not None
        before = pings.stdout.readline()
        assert perform(order).status_code == {"naive": 201, "fixed": 202}[side]
        after = pings.stdout.readline()
        os.killpg(pings.pid, signal.SIGTERM)

    for line in (before, after):
        assert re.fullmatch(rf"{side} \d\.\d+ s\n", line)


def test_the_commands_for_the_fixed_side_order_follow_and_fetch(both: Up) -> None:
    short, long, show, fetch, page = both.commands("fixed")

    accepted = [perform(short), perform(long)]

    assert [answer.status_code for answer in accepted] == [202, 202]
    assert [answer.json()["queue"] for answer in accepted] == ["short", "long"]
    jobs = [both.job(answer.headers["Location"]) for answer in accepted]
    assert [job["status"] for job in jobs] == ["done", "done"]
    for job in jobs:
        assert perform(show, JOB_ID=job["job_id"]).json() == job
        assert len(perform(fetch, JOB_ID=job["job_id"]).content) == job["result"]["bytes"]
    listed = {job["job_id"] for job in perform(page).json()["jobs"]}
    assert listed >= {job["job_id"] for job in jobs}


def test_an_order_sent_twice_as_printed_is_one_job(both: Up) -> None:
    short, *_ = both.commands("fixed")

    assert "Idempotency-Key" in short
    assert perform(short).json()["job_id"] == perform(short).json()["job_id"]


def test_callback_hosts_and_the_secret_come_from_the_environment(
    both: Up, receiver: Receiver
) -> None:
    answer = httpx.post(
        f"{both.url('fixed')}/reports",
        json={
            "shipped_from": "1995-03-01",
            "shipped_to": "1995-03-01",
            "format": "csv",
            "callback_url": receiver.url,
        },
        timeout=COMMAND_HANG_S,
        trust_env=False,
    )

    assert answer.status_code == 202, answer.text
    (delivery, *_) = wait_for(lambda: list(receiver.deliveries))
    assert answer.json()["job_id"] in str(delivery.verified(SECRET))


def test_a_killed_slot_is_started_again_and_other_services_run_on(both: Up) -> None:
    before = {name: service["pid"] for name, service in both.services().items()}

    os.kill(before["worker-long-1"], signal.SIGKILL)
    wait_for(lambda: both.services()["worker-long-1"]["pid"] not in {None, before["worker-long-1"]})

    after = {name: service["pid"] for name, service in both.services().items()}
    assert {name for name in before if before[name] != after[name]} == {"worker-long-1"}
    assert after["worker-long-1"] in {process.pid for process in family(both.process)}
    _, long, *_ = both.commands("fixed")
    assert both.job(perform(long).headers["Location"])["status"] == "done"


def test_a_second_stack_in_the_same_checkout_is_refused(both: Up) -> None:
    before = both.services()

    refused = both.checkout.run("up", "naive")

    assert refused.returncode == 2
    assert "Error: `offloop up` is running in this checkout already" in refused.stderr
    assert both.services() == before


@pytest.mark.slow
def test_ctrl_c_stops_everything_and_jobs_are_there_the_next_time(small: Checkout) -> None:
    up = start(small, "fixed", "--slots", "long=2")
    assert up.services().keys() == {*FIXED_SIDE, "worker-long-2"}
    accepted = perform(up.commands("fixed")[1])
    location = accepted.headers["Location"]
    job = up.job(location)
    everything = family(up.process)
    assert any("valkey-server" in process.name() for process in everything)

    said = up.interrupt()

    assert up.process.returncode == 130
    assert "everything that was started has been stopped" in said
    assert not up.listing.exists()
    assert all(map(has_ended, everything))
    for slot in ("worker-short-1", "worker-long-1", "worker-long-2"):
        log = up.log(slot)
        assert "Worker has been shut down" in log
        assert "connection error" not in log, "the broker was gone before the slot"
    again = start(small, "fixed")
    assert again.services().keys() == FIXED_SIDE
    assert again.job(location) == job
    again.interrupt()


@pytest.mark.slow
def test_a_killed_stack_leaves_no_process_and_does_not_block_the_next_one(
    small: Checkout,
) -> None:
    up = start(small, "naive")
    everything = family(up.process)

    up.process.kill()
    up.process.communicate()
    wait_for(lambda: all(map(has_ended, everything)))

    again = start(small, "naive")
    assert again.services()["naive"]["pid"] not in {process.pid for process in everything}
    again.interrupt()


def test_the_naive_side_has_no_broker_and_no_workers(small: Checkout) -> None:
    up = start(small, "naive")

    services = up.services()
    names = {process.name() for process in family(up.process)}
    assert not any("valkey" in name or "redis" in name for name in names)
    assert services.keys() == {"naive"}
    assert not (small.folder / ".offloop" / "up" / "redis").exists()
    assert [perform(command).status_code for command in up.commands("naive")] == [201, 200]
    up.interrupt()


@pytest.mark.parametrize("slots", ["long", "long=", "long=0", "long=-1", "long=many", "reports=1"])
def test_an_invalid_number_of_slots_is_refused(small: Checkout, slots: str) -> None:
    refused = small.run("up", "--slots", slots)

    assert refused.returncode == 2
    assert f"--slots: '{slots}' does not say how many slots a pool has" in refused.stderr
    assert "there is short, long" in refused.stderr
    assert not (small.folder / ".offloop").exists()


def test_callbacks_that_cannot_be_signed_are_refused_with_the_variable(small: Checkout) -> None:
    refused = small.run("up", "fixed", env={"OFFLOOP_CALLBACK_HOSTS": "127.0.0.1:8000"})

    assert refused.returncode == 2
    assert "OFFLOOP_WEBHOOK_SECRET" in refused.stderr
