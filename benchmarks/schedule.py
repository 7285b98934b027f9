"""Does the generator keep its schedule? `python -m benchmarks.schedule [RATE ...]`.

Sends Poisson arrivals to a server that does nothing, in a process of its own at the niceness of
the lab's servers. Exits with 1 unless, at every rate, each due request was sent and the 99th
percentile of dispatch lag stayed within the limit that makes a measurement valid.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.servers import stalling_server
from offloop.load.arrivals import poisson
from offloop.load.generator import Generator
from offloop.load.log import RequestLog
from offloop.load.plan import Plan, Stream

RATES = (50, 500, 1000)
DURATION_S = 10.0
DRAIN_S = 5.0
SEED = 7


def measure(generator: Generator, rate: float, directory: Path) -> RequestLog:
    """Send `rate` requests/s for `DURATION_S` to a server of their own."""
    with stalling_server(directory / "left.csv") as url:
        stream = Stream(
            name="ping", path="/ping", base_url=url, due_s=poisson(rate, DURATION_S, SEED)
        )
        plan = Plan(streams=[stream], duration_s=DURATION_S, drain_s=DRAIN_S, seed=SEED)
        return generator.run(plan, directory)


def main(rates: Sequence[float] = RATES) -> int:
    """Print a row for each rate; 1 if one of them was not kept."""
    table = Table(title="Requests to a no-op server")
    for column in ("rate/s", "due", "sent", "failed", "lag p50 ms", "lag p99 ms", "max ms"):
        table.add_column(column, justify="right")
    table.add_column("CPU us/request", justify="right")
    broken = []
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch, Generator() as generator:
        started_in_s = time.monotonic() - began_s
        for rate in rates:
            log = measure(generator, rate, Path(scratch))
            figures = log.summary()["ping"]
            lag = figures.dispatch_lag_ms
            if lag is None:
                broken.append(f"{rate:g}/s: nothing was due")
                continue
            table.add_row(
                *(f"{rate:g}", f"{figures.offered}", f"{figures.sent}", f"{figures.failed}"),
                *(f"{lag.p50:.2f}", f"{lag.p99:.2f}", f"{lag.max:.2f}"),
                f"{log.cpu_s / figures.offered * 1e6:.0f}",
            )
            problem = figures.broken_schedule()
            if problem is not None:
                broken.append(f"{rate:g}/s: {problem}")
    console = Console()
    console.print(table)
    console.print(f"The generator was ready after {started_in_s:.1f} s.")
    for problem in broken:
        console.print(f"[red]{problem}[/]")
    return 1 if broken else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rates", nargs="*", type=float, default=RATES, help="requests per second")
    sys.exit(main(parser.parse_args().rates))
