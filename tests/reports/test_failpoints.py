"""Observable failpoints, on a real socket."""

import gzip
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import Engine

from reports.build import price_and_write
from reports.failpoints import FAILPOINTS_VARIABLE, Failpoint, reached
from reports.lines import stream_lines
from reports.spec import ReportFormat, ReportSpec

HANG_S = 60.0


@pytest.fixture
def listener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    path = str(tmp_path / "failpoints")
    monkeypatch.setenv(FAILPOINTS_VARIABLE, path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        listening.settimeout(HANG_S)
        yield listening
    reached(Failpoint.IDLE)  # finds that the listener is gone, and closes its end


def test_the_work_reports_each_step_and_waits_for_the_listener(
    listener: socket.socket,
) -> None:
    passed = threading.Event()

    def work() -> None:
        reached(Failpoint.WRITE, "job-7")
        passed.set()
        reached(Failpoint.IDLE)

    with ThreadPoolExecutor(1) as worker:
        working = worker.submit(work)
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as lines:
            assert lines.readline() == f"{os.getpid()} write job-7\n".encode()
            assert not passed.is_set()
            connection.sendall(b".")
            assert passed.wait(HANG_S)
            assert lines.readline() == f"{os.getpid()} idle -\n".encode()
            connection.sendall(b".")
            working.result(HANG_S)


def test_work_goes_on_when_the_listener_goes_away(listener: socket.socket) -> None:
    def listen_badly() -> None:
        connection, _ = listener.accept()
        connection.close()

    with ThreadPoolExecutor(1) as other:
        listening = other.submit(listen_badly)
        reached(Failpoint.WRITE)
        listening.result(HANG_S)
    reached(Failpoint.IDLE)


def test_work_goes_on_without_a_listener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FAILPOINTS_VARIABLE, str(tmp_path / "absent"))

    reached(Failpoint.WRITE)


def test_at_the_write_step_a_file_has_been_started_and_not_finished(
    listener: socket.socket, engine: Engine, tmp_path: Path
) -> None:
    """A process that is killed there, and writes under the final name, leaves half a report."""
    year = ReportSpec(
        shipped_from=date(1995, 1, 1), shipped_to=date(1995, 12, 31), format=ReportFormat.CSV
    )
    target = tmp_path / "report.csv.gz"

    def work() -> None:
        with target.open("wb") as file:
            price_and_write(stream_lines(engine, year), year, file)

    with ThreadPoolExecutor(1) as worker:
        working = worker.submit(work)
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as lines:
            assert lines.readline() == f"{os.getpid()} write -\n".encode()
            begun = target.read_bytes()
            connection.sendall(b".")
            working.result(HANG_S)

    whole = target.read_bytes()
    assert 0 < len(begun) < len(whole)
    assert whole.startswith(begun)
    with pytest.raises(EOFError):
        gzip.decompress(begun)
