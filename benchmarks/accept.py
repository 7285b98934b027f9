"""What does it cost to accept a job durably? `python -m benchmarks.accept`."""

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import psutil
from redis import Redis

from offloop.project import project_root
from offloop.stack.catalog import Site, Way, api
from offloop.stack.ports import free_port
from offloop.stack.redis import embedded_redis
from offloop.stack.service import Service
from offloop.stack.supervisor import Stack

ROUNDS = 5
SECONDS = 4
CONNECTIONS = 128

#: Share of a core, less what the machine's host took, that the server must have used for its figure
#: to mean anything.
SATURATED = 0.95

#: What the accept path promises: of the no-op's rate, and of ``actor.send()``'s.
OF_NOOP = 0.45
OF_SEND = 2.0

_PATHS = ("/noop", "/reports", "/send")

_SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"shipped_from":"1995-01-01","shipped_to":"1995-12-31","format":"csv"}'
"""


def _load(service: Service, pid: int, path: str, script: Path) -> tuple[float, float]:
    """Return requests/s, and the share that the server used of what there was of a core."""
    server = psutil.Process(pid)
    before, stolen = sum(server.cpu_times()[:2]), _stolen_s()
    command = (
        "wrk",
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{SECONDS}s",
        "-s",
        script,
        f"{service.url}{path}",
    )
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = (sum(server.cpu_times()[:2]) - before) / (SECONDS - (_stolen_s() - stolen))
    if "Non-2xx" in output:
        raise SystemExit(f"POST {path} was refused:\n{output}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", output)
    if found is None:
        raise SystemExit(f"wrk printed no rate:\n{output}")
    return float(found.group(1)), used


def _stolen_s() -> float:
    """Return the seconds of each core that went to other guests of the host so far, on average."""
    return float(getattr(psutil.cpu_times(), "steal", 0.0)) / (psutil.cpu_count() or 1)


def main() -> int:
    """Measure in alternating rounds; 0 if the promises hold."""
    if shutil.which("wrk") is None:
        print("This benchmark needs wrk; on Debian: apt install wrk", file=sys.stderr)
        return 2
    rates: dict[str, list[float]] = {path: [] for path in _PATHS}
    saturated = True
    with TemporaryDirectory() as folder, Stack(Path(folder) / "logs") as stack:
        redis = embedded_redis(stack.folder / "redis", free_port())
        stack.start(redis)
        site = Site(project_root(), stack.folder / "files", f"{redis.url}/0")
        service = api(Way("fixed", "benchmarks.accept_app:app", has_tier=True), site)
        # Nobody works on the jobs, and refusing them is not what is to be measured.
        service = replace(service, env={**service.env, "OFFLOOP_QUEUE_LIMIT": str(10**9)})
        stack.start(service)
        script = stack.folder / "post.lua"
        script.write_text(_SCRIPT)
        pid = stack.pids()[service.name][0]
        with Redis.from_url(site.redis_url or "") as client:
            for number in range(ROUNDS):
                for path in _PATHS if number % 2 == 0 else reversed(_PATHS):
                    rate, used = _load(service, pid, path, script)
                    client.flushall()
                    rates[path].append(rate)
                    # A blocking send waits for the broker with the core idle; that is its cost.
                    saturated = saturated and (used >= SATURATED or path == "/send")
                    print(f"{number + 1}  POST {path:9} {rate:8,.0f} /s, {used:.0%} of a core")
    of_noop = median(a / b for a, b in zip(rates["/reports"], rates["/noop"], strict=True))
    of_send = median(a / b for a, b in zip(rates["/reports"], rates["/send"], strict=True))
    print(f"\naccepting, of a no-op:       {of_noop:.2f}  (at least {OF_NOOP})")
    print(f"accepting, of actor.send():  {of_send:.2f}  (at least {OF_SEND})")
    if not saturated:
        print("not valid: the server was not saturated throughout")
    return 0 if saturated and of_noop >= OF_NOOP and of_send >= OF_SEND else 1


if __name__ == "__main__":
    sys.exit(main())
