"""How many requests a server answers when there are always more (needs wrk)."""

import re
import subprocess
from pathlib import Path

import psutil

#: Share of a core, less what the machine's host took, that the server must have used for its figure
#: to mean anything.
SATURATED = 0.95


def saturate(
    url: str, pid: int, *, seconds: int, connections: int, script: Path | None = None
) -> tuple[float, float]:
    """Return requests/s, and the share that the server used of what there was of a core.

    Args:
        url: Of the requests.
        pid: Of the server.
        seconds: How long to ask.
        connections: How many requests are always on their way.
        script: For wrk, in Lua; without one it sends GET requests.
    """
    server = psutil.Process(pid)
    before_s, stolen_s = _cpu_s(server), _stolen_s()
    scripted = () if script is None else ("-s", script)
    command = ("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", *scripted, url)
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    had_s = seconds - (_stolen_s() - stolen_s)
    if "Non-2xx" in output:
        raise SystemExit(f"{url} refused requests:\n{output}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", output)
    if found is None:
        raise SystemExit(f"wrk printed no rate:\n{output}")
    return float(found.group(1)), (_cpu_s(server) - before_s) / had_s


def _cpu_s(process: psutil.Process) -> float:
    return float(sum(process.cpu_times()[:2]))


def _stolen_s() -> float:
    """Return the seconds of each core that went to other guests of the host so far, on average."""
    return float(getattr(psutil.cpu_times(), "steal", 0.0)) / (psutil.cpu_count() or 1)
