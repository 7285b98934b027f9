"""What does it cost to accept a job durably? `python -m benchmarks.accept`."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from redis import Redis

from benchmarks.saturation import SATURATED, saturate
from offloop.project import project_root
from offloop.stack.catalog import Site, Way, api
from offloop.stack.ports import free_port
from offloop.stack.redis import embedded_redis
from offloop.stack.supervisor import Stack

ROUNDS = 5
SECONDS = 4
CONNECTIONS = 128

#: What the accept path promises: of the no-op's rate, and of ``actor.send()``'s.
OF_NOOP = 0.45
OF_SEND = 2.0

_PATHS = ("/noop", "/reports", "/send")

_SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"shipped_from":"1995-01-01","shipped_to":"1995-12-31","format":"csv"}'
"""


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
        # No slot works on the jobs, and the benchmark is not about refusing them.
        service = replace(service, env={**service.env, "OFFLOOP_QUEUE_LIMIT": str(10**9)})
        stack.start(service)
        script = stack.folder / "post.lua"
        script.write_text(_SCRIPT)
        pid = stack.pids()[service.name][0]
        with Redis.from_url(site.redis_url or "") as client:
            for number in range(ROUNDS):
                for path in _PATHS if number % 2 == 0 else reversed(_PATHS):
                    rate, used = saturate(
                        f"{service.url}{path}",
                        pid,
                        seconds=SECONDS,
                        connections=CONNECTIONS,
                        script=script,
                    )
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
