"""`make up`, `make down` and the health checks, without an engine."""

import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from offloop import containers
from tests.compose.reading import ROOT, SERVICES
from tests.receiver import Receiver, status


def run(script: str, *arguments: str, path: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a script as before `make setup`: with no package but Python's own."""
    command = [sys.executable, "-IS", str(ROOT / "offloop" / script), *arguments]
    env = {"PATH": str(path)}
    return subprocess.run(command, env=env, check=False, capture_output=True, text=True)


def install_docker(folder: Path, script: str) -> None:
    """Make a program `docker` that runs a script of the shell."""
    (folder / "docker").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "docker").chmod(0o755)


def test_without_docker_or_its_engine_the_message_says_what_to_do(tmp_path: Path) -> None:
    no_docker = run("containers.py", "up", path=tmp_path)
    install_docker(tmp_path, "echo 'cannot connect' >&2; exit 1")
    no_engine = run("containers.py", "down", path=tmp_path)

    assert (no_docker.returncode, no_engine.returncode) == (2, 2)
    assert re.search("Install Docker.*offloop up", no_docker.stderr)
    assert re.search("cannot connect.*Start it", no_engine.stderr)


def test_down_stops_the_services_of_every_profile(tmp_path: Path) -> None:
    install_docker(tmp_path, 'echo "$@" >>"$0.log"')

    assert run("containers.py", "down", path=tmp_path).returncode == 0

    *_, last = (tmp_path / "docker.log").read_text().splitlines()
    profiles = {name for service in SERVICES.values() for name in service.get("profiles", ())}
    assert set(re.findall(r"--profile (\S+)", last)) == profiles


def test_the_password_is_made_once_and_only_its_owner_can_reach_it(tmp_path: Path) -> None:
    file = tmp_path / "secrets" / "password"

    containers.make_secret(file)
    first = file.read_text()
    containers.make_secret(file)

    assert file.read_text() == first
    assert len(first) >= 32
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(("answer", "code"), [(200, 0), (503, 1), (404, 1)])
def test_a_service_is_healthy_if_it_answers_200(answer: int, code: int) -> None:
    with Receiver() as service:
        service.answer(status(answer))

        assert run("healthy.py", str(service.port), "/").returncode == code


def test_a_service_that_does_not_listen_is_not_healthy() -> None:
    assert run("healthy.py", "1", "/").returncode != 0
