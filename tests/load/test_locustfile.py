"""The locustfile as a person runs it."""

import csv
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from offloop.load.arrivals import poisson
from offloop.stack.ports import free_port
from tests.waiting import wait_for

LOCUSTFILE = Path(__file__).parents[2] / "loadtests" / "locustfile.py"

#: Guards against waiting for ever.
DEADLINE_S = 100.0


@pytest.mark.medium
def test_locust_sends_the_whole_plan_once_and_then_ends(odd_server: str, tmp_path: Path) -> None:
    subprocess.run(
        [
            *(sys.executable, "-m", "locust", "-f", LOCUSTFILE, "--host", odd_server),
            *("--headless", "--csv", "stats", "--ping-rate", "50", "--report-rate", "2"),
            *("--duration", "2", "--drain", "5"),
        ],
        check=True,
        capture_output=True,
        cwd=tmp_path,
        timeout=100,
    )

    with (tmp_path / "stats_stats.csv").open() as file:
        rows = {(row["Type"], row["Name"]): row for row in csv.DictReader(file)}
    assert {row["Failure Count"] for row in rows.values()} == {"0"}
    assert int(rows["POST", "/reports"]["Request Count"]) == 4
    assert int(rows["READY", "/reports"]["Request Count"]) == 4
    assert int(rows["GET", "/ping"]["Request Count"]) > 50


@contextmanager
def locust(folder: Path, *options: str, metrics_port: int = 0) -> Iterator[subprocess.Popen[bytes]]:
    """Run Locust; it is ended if it has not ended by itself."""
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), *options]
    environment = {**os.environ, "OFFLOOP_METRICS_PORT": str(metrics_port)}
    with (
        (folder / "locust.log").open("ab") as log,
        subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                process.kill()


def counted(folder: Path) -> Mapping[tuple[str, str], int]:
    with (folder / "stats_stats.csv").open() as file:
        return {
            (row["Type"], row["Name"]): int(row["Request Count"]) for row in csv.DictReader(file)
        }


def pings_due(port: int) -> int:
    """Return how many pings have become due so far, by the metrics of the process that sends."""
    try:
        text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    except httpx.TransportError:  # not yet, or no more
        return 0
    found = re.search(r'^offloop_load_offered_total\{name="ping"\} ([\d.e+]+)$', text, re.MULTILINE)
    return int(float(found[1])) if found else 0


@pytest.mark.slow
def test_workers_share_the_plan_and_together_send_it_once(odd_server: str, tmp_path: Path) -> None:
    port = str(free_port())
    plan: Sequence[str] = ("--ping-rate", "50", "--report-rate", "2", "--duration", "2")
    addresses = ("--master-bind-host", "127.0.0.1", "--master-bind-port", port)
    metrics = [free_port(), free_port()]
    with ExitStack() as running:
        master = running.enter_context(
            locust(
                tmp_path,
                *("--master", "--headless", "--expect-workers", "2", "--host", odd_server),
                *("--csv", "stats", *addresses, *plan),
            )
        )
        for each in metrics:
            connection = ("--master-host", "127.0.0.1", "--master-port", port)
            running.enter_context(locust(tmp_path, "--worker", *connection, metrics_port=each))
        shares = [0, 0]
        give_up_s = time.monotonic() + DEADLINE_S
        while master.poll() is None:
            # Until the master is done, and with it the workers.
            shares = [
                max(known, pings_due(each)) for known, each in zip(shares, metrics, strict=True)
            ]
            assert time.monotonic() < give_up_s, (tmp_path / "locust.log").read_text()
            time.sleep(0.1)

    pings = len(poisson(50, 2, "7 ping"))
    assert counted(tmp_path)["GET", "/ping"] == pings
    assert counted(tmp_path)["POST", "/reports"] == counted(tmp_path)["READY", "/reports"] == 4
    assert sorted(shares) == [pings // 2, pings - pings // 2]


@pytest.mark.medium
def test_a_plan_is_sent_again_and_again_where_that_is_asked_for(
    odd_server: str, tmp_path: Path
) -> None:
    port = free_port()
    plan = ("--ping-rate", "50", "--report-rate", "0", "--duration", "0.5", "--repeat")
    with locust(tmp_path, "--headless", "--host", odd_server, *plan, metrics_port=port):
        once = len(poisson(50, 0.5, "7 ping"))
        wait_for(lambda: pings_due(port) >= 3 * once, DEADLINE_S, every_s=0.1)


@pytest.mark.medium
def test_the_web_page_has_a_field_for_each_argument_of_the_plan(tmp_path: Path) -> None:
    port = free_port()
    options = ("--host", "http://127.0.0.1:9", "--web-host", "127.0.0.1", "--web-port", str(port))
    with locust(tmp_path, *options):
        page = wait_for(lambda: page_at(f"http://127.0.0.1:{port}/"), DEADLINE_S, every_s=0.1)

    for argument in ("ping_rate", "report_rate", "short_report_rate", "duration", "drain", "seed"):
        assert f'"{argument}"' in page


def page_at(url: str) -> str:
    """The page, or nothing while there is none."""
    try:
        return httpx.get(url, trust_env=False).raise_for_status().text
    except httpx.HTTPError:
        return ""
