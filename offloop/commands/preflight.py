"""`offloop preflight`: what this machine can measure, and what is missing."""

import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir

import psutil
import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from offloop.errors import ExitCode
from offloop.machine import affinity
from offloop.project import NotACheckoutError, project_root
from offloop.stack.broker import REDIS_URL_VARIABLE, given_broker, without_password
from offloop.stack.errors import StackError
from offloop.stack.ports import free_port
from offloop.stack.priorities import NICE_WORKER, prefix
from offloop.stack.redis import embedded_redis

#: The generator, the API and a worker: two cores are the fewest on which they can be told apart.
MIN_CORES = 2

#: Bytes. All that `offloop bench --all` runs at once held 1.6 GB at most.
MIN_MEMORY = 2 * 10**9

#: Bytes. The data set takes about 60 MB, and a run about 50 MB while it lasts.
MIN_DISK = 10**9

_PTRACE_SCOPE = Path("/proc/sys/kernel/yama/ptrace_scope")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: What was looked at.
        found: What was found.
        lack: What its lack means and what to do about it; None if all is well.
        needed: Whether nothing works without it.
    """

    what: str
    found: str
    lack: str | None = None
    needed: bool = False


def look() -> list[Finding]:
    """Look at everything that decides what the lab can do here."""
    checks: tuple[Callable[[], Finding], ...] = (
        _system, _cores, _memory, _disk, _checkout, _broker, _evidence, _priorities,
    )  # fmt: skip
    return [check() for check in checks]


def _system() -> Finding:
    system = platform.system()
    lacks = {
        "Linux": None,
        "Darwin": "evidence needs sudo, and what reads /proc is left out",
        "Windows": "use WSL2 or the dev container: the lab needs process groups and niceness",
    }
    lack = lacks.get(system, "the lab has not been tried on this system")
    return Finding("system", f"{platform.platform()}, Python {platform.python_version()}", lack,
                   needed=system == "Windows")  # fmt: skip


def _cores() -> Finding:
    cores = affinity()
    lack = f"with fewer than {MIN_CORES} the generator and the apps disturb each other"
    return Finding("cores", str(cores), lack if cores < MIN_CORES else None)


def _memory() -> Finding:
    free = psutil.virtual_memory().available
    lack = f"a bench wants {MIN_MEMORY / 1e9:.0f} GB; close something"
    return Finding("free memory", f"{free / 1e9:.1f} GB", lack if free < MIN_MEMORY else None)


def _disk() -> Finding:
    folder = gettempdir()
    free = shutil.disk_usage(folder).free
    lack = f"a bench wants {MIN_DISK / 1e9:.0f} GB there; make room or set TMPDIR"
    return Finding(
        f"free disk in {folder}", f"{free / 1e9:.1f} GB", lack if free < MIN_DISK else None
    )


def _checkout() -> Finding:
    try:
        return Finding("checkout", str(project_root()))
    except NotACheckoutError as error:
        return Finding("checkout", "none", str(error), needed=True)


def _broker() -> Finding:
    try:
        if url := given_broker():
            return Finding("broker", f"{without_password(url)} ({REDIS_URL_VARIABLE})")
        service = embedded_redis(Path(gettempdir()), free_port())
    except StackError as error:
        return Finding("broker", "none", str(error), needed=True)
    return Finding("broker", f"embedded: {service.command[0]}")


def _evidence() -> Finding:
    spy = Path(sys.executable).with_name("py-spy")
    if not spy.exists():
        return Finding("evidence", "no py-spy", "profiles are left out; `make setup` installs it")
    restricted = _PTRACE_SCOPE.exists() and _PTRACE_SCOPE.read_text().strip() != "0"
    lack = "profiles need root, or `sysctl kernel.yama.ptrace_scope=0`; all else works without"
    return Finding("evidence", str(spy), lack if restricted and os.geteuid() != 0 else None)


def _priorities() -> Finding:
    nice = os.nice(0)
    if nice > 0:
        lack = "the lab itself runs at low priority: expect a late generator and no verdict"
        return Finding("niceness", str(nice), lack)
    if not prefix(NICE_WORKER):
        lack = "workers cost bystanders some milliseconds; on Linux, install util-linux"
        return Finding("niceness", "0, no chrt", lack)
    return Finding("niceness", "0")


def preflight() -> None:
    """Check what this machine can measure, and what is missing.

    Example: `offloop preflight`.
    """
    findings = look()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("", "found", "what that means"):
        # Paths are folded, not cut: half a path is useless.
        table.add_column(heading, overflow="fold")
    for finding in findings:
        meaning = "[green]ok[/green]" if finding.lack is None else escape(finding.lack)
        table.add_row(finding.what, escape(finding.found), meaning)
    console = Console()
    console.print(table)
    if any(finding.lack and finding.needed for finding in findings):
        console.print("Nothing can be run here before that is put right.")
        raise typer.Exit(ExitCode.ERROR)
    console.print("Next: `offloop bench`")
