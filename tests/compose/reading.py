"""What docker-compose.yml and the Dockerfile say."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from offloop.project import project_root

ROOT = project_root()

COMPOSE: Mapping[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: Mapping[str, Mapping[str, Any]] = COMPOSE["services"]

#: Those that start where nobody asks for a profile.
STANDARD = {name: service for name, service in SERVICES.items() if "profiles" not in service}

#: Those that run our image.
OURS = {name: service for name, service in SERVICES.items() if "build" in service}

#: `${NAME:-usual}`, with what it is where nobody says otherwise.
_VARIABLE = re.compile(r"\$\{\w+:-([^}]*)\}")

DOCKERFILE = (ROOT / "Dockerfile").read_text()


def usual(text: str) -> str:
    """Put in what variables are where nobody sets them."""
    return _VARIABLE.sub(r"\1", text)


def command(service: str) -> Sequence[str]:
    """Return what a service runs, where the image has no entry point."""
    made = SERVICES[service]
    return [usual(part) for part in (*made.get("entrypoint", ()), *made.get("command", ()))]


def options(parts: Sequence[str]) -> Mapping[str, str]:
    """Return the options of a command, `--name value`, `--name=value` or `--name` alone."""
    found: dict[str, str] = {}
    name = None
    for part in parts:
        if part.startswith("--"):
            name, _, value = part.partition("=")
            found[name] = value
        elif name is not None and not found[name]:
            found[name] = part
    return found


def base_image() -> str:
    """Return the image that ours begin with."""
    (image,) = re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", DOCKERFILE, re.MULTILINE)
    return str(image)
