"""What docker-compose.yml and the Dockerfile say."""

from collections.abc import Mapping
from typing import Any

import yaml

from offloop.project import project_root

ROOT = project_root()

COMPOSE: Mapping[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: Mapping[str, Mapping[str, Any]] = COMPOSE["services"]

#: Services that run an image of the Dockerfile; the rest run an image of a registry.
OURS = {name: service for name, service in SERVICES.items() if "build" in service}

DOCKERFILE = (ROOT / "Dockerfile").read_text()


def stage(name: str) -> str:
    """One stage of the Dockerfile."""
    return DOCKERFILE.split(f" AS {name}\n")[1].split("\nFROM ")[0]
