"""`make up` and `make down`: the lab in containers.

Runs before anything is installed, and so needs nothing but Python.
"""

import argparse
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

#: The password of Grafana's `admin`, which anonymous visitors do not need.
SECRET = ROOT / ".offloop" / "secrets" / "grafana-admin-password"

#: What `make up WITHOUT=…` leaves out, for Compose.
_LEFT_OUT = ROOT / ".offloop" / "left-out.yml"

#: Seconds until everything has to be healthy; images are there by then.
_DEADLINE_S = 180.0

_LOOK_S = 1.0

_LOG_LINES = "20"

_PROFILES = ("heavy", "workshop")

#: Who gets an address, by service: the variable for the port, the port, the path, what is there.
_ADDRESSES = (
    ("grafana", "OFFLOOP_GRAFANA_PORT", "3000", "/", "naive and fixed side by side (home)"),
    ("grafana", "OFFLOOP_GRAFANA_PORT", "3000", "/d/offloop-job-tier", "the job tier"),
    ("grafana", "OFFLOOP_GRAFANA_PORT", "3000", "/d/offloop-load", "the load test"),
    ("prometheus", "OFFLOOP_PROMETHEUS_PORT", "9090", "/alerts", "alerts"),
    ("naive", "OFFLOOP_NAIVE_PORT", "8001", "/docs", "the naive app"),
    ("fixed", "OFFLOOP_FIXED_PORT", "8002", "/docs", "the fixed app"),
)


class ContainersError(Exception):
    """There are no containers to be had; the message says what to do."""


def compose_command() -> Sequence[str]:
    """Find Compose: Docker's plug-in, or the older program of its own.

    Raises:
        ContainersError: There is neither, or no engine answers.
    """
    if shutil.which("docker") is None:
        raise ContainersError(
            "containers need Docker, and there is no program `docker`. Install Docker with "
            "Compose, or run the lab without containers: .venv/bin/offloop up"
        )
    asked = _run("docker", "info", "--format", "{{.ServerVersion}}")
    if asked.returncode != 0:
        reason = (asked.stderr.strip() or "docker info failed").splitlines()[-1]
        raise ContainersError(f"no Docker engine answers ({reason}). Start it, and try again")
    for command in (("docker", "compose"), ("docker-compose",)):
        if shutil.which(command[0]) and _run(*command, "version").returncode == 0:
            return command
    raise ContainersError(
        "containers need Docker Compose, and neither `docker compose` nor `docker-compose` is "
        "there. Install Docker's plug-in `docker-compose-plugin`"
    )


def make_secret(file: Path = SECRET) -> None:
    """Make the password of Grafana's `admin`, unless it is there.

    Every user may read the file itself, because Grafana is a user of its own in its container. The
    mode of the folder keeps all other users out.
    """
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.parent.chmod(0o700)
    if not file.exists():
        file.write_text(secrets.token_urlsafe(24))
        file.chmod(0o444)


@dataclass(frozen=True)
class Container:
    """A container of the project.

    Attributes:
        name: Docker's.
        service: The service that it is of.
        state: ``healthy``, ``starting`` or ``unhealthy``; where it does not run, Docker's own word.
    """

    name: str
    service: str
    state: str


def containers(compose: Sequence[str]) -> Sequence[Container]:
    """Look at all containers of the project, those that ended included."""
    ids = _run(*compose, "ps", "--quiet", "--all").stdout.split()
    found: list[dict[str, Any]] = json.loads(_run("docker", "inspect", *ids).stdout) if ids else []
    return [
        Container(
            name=each["Name"].lstrip("/"),
            service=each["Config"]["Labels"]["com.docker.compose.service"],
            state=_state(each["State"]),
        )
        for each in found
    ]


def _state(state: Mapping[str, Any]) -> str:
    if state["Status"] != "running":
        return str(state["Status"])
    return str(state.get("Health", {}).get("Status", "without a health check"))


def wait_until_healthy(compose: Sequence[str], deadline_s: float = _DEADLINE_S) -> None:
    """Return once all containers of the project are healthy.

    Args:
        compose: The command.
        deadline_s: Seconds to wait.

    Raises:
        ContainersError: One is not in time; the message has its state and the end of its log.
    """
    give_up_s = time.monotonic() + deadline_s
    told = 0
    while True:
        now = containers(compose)
        ill = [each for each in now if each.state != "healthy"]
        if len(now) - len(ill) > told:
            told = len(now) - len(ill)
            _tell(f"  {told} of {len(now)} healthy")
        if now and not ill:
            return
        if time.monotonic() > give_up_s:
            raise ContainersError(_what_is_wrong(ill, deadline_s))
        time.sleep(_LOOK_S)


def _what_is_wrong(ill: Sequence[Container], deadline_s: float) -> str:
    lines = [f"after {deadline_s:.0f} s these are not healthy:"]
    for each in ill:
        log = _run("docker", "logs", "--tail", _LOG_LINES, each.name)
        lines += [f"{each.service} is {each.state}. The end of its log:", log.stdout + log.stderr]
    if not ill:
        lines += ["there is not a single container"]
    return "\n".join(lines)


def up(without: Sequence[str] = ()) -> None:
    """Build, start, wait, and say where everything is.

    Args:
        without: Services to leave out.

    Raises:
        ContainersError: Something is missing or did not become healthy.
    """
    compose = compose_command()
    make_secret()
    # Once for all services, which share the image.
    _must(*compose, "build", "naive")
    if without:
        compose = (*compose, *_leaving_out(without))
    try:
        _must(*compose, "up", "--detach", "--no-build")
    except ContainersError as error:
        raise ContainersError(
            f"{error}. Where it is an image that cannot be had: make up WITHOUT=grafana"
        ) from error
    _tell("Waiting until everything is healthy …")
    wait_until_healthy(compose)
    there = {each.service for each in containers(compose)}
    _tell("")
    for service, variable, usual, path, what in _ADDRESSES:
        if service in there:
            url = f"http://127.0.0.1:{os.environ.get(variable, usual)}{path}"
            _tell(f"{url:<42}{what}")
    if "grafana" in there:
        _tell(f"\nGrafana's admin has the password in {SECRET.relative_to(ROOT)}.")
    _tell("`make down` stops everything.")


def _leaving_out(services: Sequence[str]) -> Sequence[str]:
    """Return options that put services into a profile that is never enabled."""
    lines = [f"  {name}: {{ profiles: [left-out] }}" for name in services]
    _LEFT_OUT.write_text("\n".join(["services:", *lines, ""]))
    return ("--file", "docker-compose.yml", "--file", str(_LEFT_OUT))


def down() -> None:
    """Stop the containers, those of profiles as well, and delete what they kept.

    Raises:
        ContainersError: There is no engine, or Compose failed.
    """
    profiles = [part for name in _PROFILES for part in ("--profile", name)]
    _must(*compose_command(), *profiles, "down", "--volumes", "--remove-orphans")


def _must(*command: str) -> None:
    if subprocess.run(command, check=False, cwd=ROOT).returncode != 0:
        raise ContainersError(f"`{' '.join(command)}` failed; what it says is above")


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> int:
    """Do what is asked; the exit code is 2 if it cannot be done."""
    parser = argparse.ArgumentParser(prog="offloop/containers.py", description=__doc__)
    parser.add_argument("do", choices=("up", "down"))
    parser.add_argument(
        "--without",
        metavar="SERVICE",
        action="append",
        default=[],
        help="with up: leave it out, such as an image that cannot be had; may be repeated",
    )
    given = parser.parse_args(arguments)
    try:
        if given.do == "up":
            up(given.without)
        else:
            down()
    except ContainersError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
