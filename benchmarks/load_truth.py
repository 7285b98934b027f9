"""Who sees a stall? `python -m benchmarks.load_truth` prints a Markdown table.

The same stalling server is measured by this project's generator and by Locust's own
`constant_throughput`, and the truth is computed from what the server logged: for every request
that was due, how long after that moment its answer left.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.servers import stalling_server
from offloop.load.arrivals import constant
from offloop.load.generator import Generator
from offloop.load.percentiles import Percentiles
from offloop.load.plan import Plan, Stream

DRAIN_S = 5.0
SEED = 7
SHOWN = ("p50", "p90", "p95", "p99")

#: Locust's usual way to ask for a rate: users who each take a turn `constant_throughput` times a
#: second.
LOCUSTFILE = """
from locust import FastHttpUser, constant_throughput, task

class Visitor(FastHttpUser):
    wait_time = constant_throughput({per_user})

    @task
    def ping(self):
        self.client.get("/ping")
"""


@dataclass(frozen=True)
class Case:
    """A stalling server and the load on it.

    Attributes:
        stall_s: The server stands still for so long,
        every_s: once in so long.
        rate: Requests per second.
        users: How many users Locust divides the rate among.
        duration_s: A whole number of periods.
    """

    stall_s: float
    every_s: float
    rate: int
    users: int
    duration_s: int

    @property
    def title(self) -> str:
        """Say in words what the server does."""
        return f"{self.stall_s:g} s in every {self.every_s:g} s, {self.rate} requests/s"


CASES = (
    Case(stall_s=1.0, every_s=5.0, rate=200, users=20, duration_s=20),
    Case(stall_s=0.2, every_s=1.0, rate=500, users=50, duration_s=10),
)


def by_arithmetic(case: Case) -> Percentiles | None:
    """Give the times of a server that catches up at once after each stall.

    A share `stall/every` of the requests is due in a stall and waits for its end, evenly between 0
    and the whole stall. All other requests do not wait.
    """
    steps = 100_000
    waits = (max(case.stall_s - case.every_s * step / steps, 0.0) * 1000 for step in range(steps))
    return Percentiles.of(waits)


def by_schedule(
    generator: Generator, case: Case, directory: Path
) -> tuple[Percentiles | None, Percentiles | None]:
    """Measure with this project's generator; give the truth of that run, then what it saw."""
    left_path = directory / "left.csv"
    with stalling_server(left_path, stall_s=case.stall_s, every_s=case.every_s) as url:
        due_s = constant(case.rate, case.duration_s, SEED)
        stream = Stream(name="ping", path="/ping", base_url=url, due_s=due_s)
        plan = Plan(streams=[stream], duration_s=case.duration_s, drain_s=DRAIN_S, seed=SEED)
        log = generator.run(plan, directory)
    left = dict(line.split(",") for line in left_path.read_text(encoding="ascii").split())
    truth = Percentiles.of(
        (float(left[f"{SEED}-{index}"]) - log.start_monotonic_s - row.due_s) * 1000
        for index, row in enumerate(log.requests)
    )
    return truth, log.summary()["ping"].response_ms


def by_locust(case: Case, directory: Path) -> tuple[Percentiles | None, int]:
    """Measure with `constant_throughput`; give what Locust keeps of the times, and its requests."""
    locustfile = directory / "visitor.py"
    locustfile.write_text(LOCUSTFILE.format(per_user=case.rate / case.users), encoding="utf-8")
    left_path = directory / "left.csv"
    with stalling_server(left_path, stall_s=case.stall_s, every_s=case.every_s) as url:
        locust = subprocess.run(
            [
                *(sys.executable, "-m", "locust", "-f", str(locustfile), "--host", url),
                *("--headless", "--json", "--loglevel", "ERROR"),
                *("--users", f"{case.users}", "--spawn-rate", f"{case.users}"),
                *("--run-time", f"{case.duration_s}s", "--stop-timeout", f"{DRAIN_S:g}"),
            ],
            check=True,
            capture_output=True,
            cwd=directory,
        )
    (ping,) = json.loads(locust.stdout)
    # Locust counts requests by rounded milliseconds.
    times = ping["response_times"].items()
    percentiles = Percentiles.of(float(ms) for ms, count in times for _ in range(count))
    return percentiles, ping["num_requests"]


def rows(generator: Generator, case: Case, directory: Path) -> Iterator[tuple[str, ...]]:
    """Yield the table's rows for one case."""

    def figures(percentiles: Percentiles | None) -> list[str]:
        values = percentiles.model_dump() if percentiles is not None else {}
        return [f"{values[name]:.1f}" if name in values else "" for name in SHOWN]

    due = f"{case.rate * case.duration_s}"
    truth, seen = by_schedule(generator, case, directory)
    locusts, sent = by_locust(case, directory)
    yield (case.title, "arithmetic", due, *figures(by_arithmetic(case)))
    yield ("", "server's log", due, *figures(truth))
    yield ("", "`offloop load`", due, *figures(seen))
    yield ("", "`constant_throughput`", f"{sent}", *figures(locusts))


def main() -> None:
    """Print the table."""
    lines = [("the server stalls", "measured by", "requests", *(f"{name} ms" for name in SHOWN))]
    lines.append(("---", "---", *("---:" for _ in lines[0][2:])))
    with tempfile.TemporaryDirectory() as scratch, Generator() as generator:
        for case in CASES:
            lines.extend(rows(generator, case, Path(scratch)))
    for line in lines:
        sys.stdout.write(f"| {' | '.join(line)} |\n")


if __name__ == "__main__":
    main()
