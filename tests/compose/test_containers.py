import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from offloop import containers
from tests.compose.reading import ROOT

SCRIPT = ROOT / "offloop" / "containers.py"


def test_without_docker_it_says_what_to_do(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "up"],
        env={"PATH": str(tmp_path)},
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 2
    assert "Install Docker" in done.stderr
    assert "offloop up" in done.stderr


def test_without_an_engine_it_says_so(tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\necho 'cannot connect to the daemon' >&2\nexit 1\n")
    docker.chmod(0o755)

    done = subprocess.run(
        [sys.executable, SCRIPT, "down"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 2
    assert "cannot connect to the daemon" in done.stderr


def test_it_needs_nothing_that_is_not_part_of_python() -> None:
    subprocess.run([sys.executable, "-IS", SCRIPT, "--help"], check=True, capture_output=True)


def test_the_password_is_made_once_and_for_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "secrets" / "password"

    containers.make_secret(file)
    first = file.read_text()
    containers.make_secret(file)

    assert file.read_text() == first
    assert len(first) >= 32
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(int(self.path.strip("/")))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("answer", "code"), [("200", 0), ("503", 1), ("404", 1)])
def test_a_service_is_healthy_if_it_answers_200(port: int, answer: str, code: int) -> None:
    assert healthy(port, f"/{answer}") == code


def test_a_service_that_does_not_listen_is_not_healthy(port: int) -> None:
    assert healthy(1, "/200") != 0


def healthy(port: int, path: str) -> int:
    command = [sys.executable, "-IS", str(ROOT / "offloop" / "healthy.py"), str(port), path]
    return subprocess.run(command, check=False, capture_output=True).returncode
