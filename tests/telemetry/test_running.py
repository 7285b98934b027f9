import asyncio
import http.client
import logging
import socket
import subprocess
import sys
import threading

import psutil
import pytest
from prometheus_client import CollectorRegistry

from offloop import telemetry
from offloop.stack.ports import LOOPBACK, free_port

HANG_S = 30.0


def scrape(port: int) -> str:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=HANG_S)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


@pytest.mark.medium
def test_a_scrape_is_answered_while_the_loop_is_blocked(registry: CollectorRegistry) -> None:
    port = free_port()
    answers: list[str] = []

    async def main() -> None:
        async with telemetry.running(metrics_port=port, registry=registry):
            await asyncio.sleep(0.05)
            scraper = threading.Thread(target=lambda: answers.append(scrape(port)), daemon=True)
            scraper.start()
            # The loop stays blocked until the scrape has been answered.
            scraper.join(HANG_S)
            assert len(answers) == 1

    asyncio.run(main())

    assert "offloop_loop_lag_seconds_bucket" in answers[0]
    assert "offloop_loop_lag_max_seconds" in answers[0]
    assert "offloop_loop_stalls_total" in answers[0]
    assert "offloop_loop_lost_seconds_total" in answers[0]


@pytest.mark.medium
def test_the_port_is_free_again_afterwards(registry: CollectorRegistry) -> None:
    port = free_port()

    async def main() -> None:
        for _ in range(2):
            async with telemetry.running(metrics_port=port, registry=registry):
                await asyncio.to_thread(scrape, port)

    asyncio.run(main())

    with socket.create_server((LOOPBACK, port)):
        pass


@pytest.mark.parametrize("off", [None, 0])
def test_without_a_port_nothing_is_served(off: int | None, registry: CollectorRegistry) -> None:
    with telemetry.serve_metrics(off, registry) as exporter:
        assert exporter.port is None


def test_a_taken_port_is_a_sentence_in_the_log_and_the_service_goes_on(
    registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    went_on = False

    async def main() -> None:
        nonlocal went_on
        async with telemetry.running(metrics_port=port, registry=registry):
            went_on = True

    with socket.create_server((LOOPBACK, port)):
        asyncio.run(main())

    assert went_on
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"{LOOPBACK}:{port} cannot be listened on" in record.getMessage()
    assert "choose another port" in record.getMessage()


@pytest.mark.medium
def test_of_several_ports_each_process_takes_one_that_is_free(registry: CollectorRegistry) -> None:
    ports = [free_port(), free_port()]

    with telemetry.serve_metrics(ports, registry) as first:
        with telemetry.serve_metrics(ports, registry) as second:
            assert [first.port, second.port] == ports
        with telemetry.serve_metrics(ports, registry) as in_its_place:
            assert in_its_place.port == ports[1]


def test_ports_that_are_all_taken_are_one_sentence_in_the_log(
    registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    ports = [free_port(), free_port()]
    with (
        socket.create_server((LOOPBACK, ports[0])),
        socket.create_server((LOOPBACK, ports[1])),
        telemetry.serve_metrics(ports, registry) as exporter,
    ):
        assert exporter.port is None

    (record,) = caplog.records
    for port in ports:
        assert f"{LOOPBACK}:{port}" in record.getMessage()


@pytest.mark.medium
def test_metrics_are_served_on_loopback_only(registry: CollectorRegistry) -> None:
    port = free_port()
    with telemetry.serve_metrics(port, registry):
        listening = {
            connection.laddr.ip
            for connection in psutil.Process().net_connections()
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
        }

    assert listening == {LOOPBACK}


@pytest.mark.medium
def test_telemetry_imports_nothing_else_of_ours() -> None:
    """So that it can be used in anyone's app."""
    program = "import sys, offloop.telemetry; print(*(m for m in sys.modules if 'offloop' in m))"

    loaded = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.split()

    assert {name for name in loaded if not name.startswith("offloop.telemetry")} == {"offloop"}
