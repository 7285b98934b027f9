"""What does it cost to be watched? `python -m benchmarks.telemetry [ROUNDS]`.

Requests/s of `GET /ping` at saturation with and without telemetry, in turns of a second; and how
long an app whose event loop is blocked takes to answer a scrape.
"""

import argparse
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory

import httpx

from benchmarks.saturation import SATURATED, saturate
from offloop.project import project_root
from offloop.stack.catalog import Site, Way, api
from offloop.stack.service import HttpOk, Service
from offloop.stack.supervisor import Stack

ROUNDS = 10
CONNECTIONS = 64

#: The order within a round, a second each: whatever makes the machine slower or faster from one
#: second to the next, or steadily, is in both.
_TURNS = 2 * ("with", "without", "without", "with")

#: What telemetry promises: of the rate without it; and seconds until a scrape is answered, whatever
#: the event loop does.
OF_RATE = 0.97
SCRAPE_S = 0.2

#: Seconds for which the loop is blocked while it is scraped, and between two scrapes.
BLOCKED_S = 5.0
BETWEEN_S = 0.2

_APPS = {"with": "create_with", "without": "create_without"}


def _service(name: str, factory: str, site: Site) -> Service:
    service = api(Way(name, f"benchmarks.telemetry_app:{factory}", has_tier=False), site)
    # The one without telemetry has no metrics to wait for.
    ready = HttpOk(f"{service.url}/health/ready")
    return replace(service, command=(*service.command, "--factory"), ready=ready)


@contextmanager
def _running(names: Iterable[str]) -> Iterator[tuple[Stack, Mapping[str, Service]]]:
    with TemporaryDirectory() as folder, Stack(Path(folder) / "logs", disposable=True) as stack:
        site = Site(project_root(), stack.folder / "files", None)
        services = {name: _service(name, _APPS[name], site) for name in names}
        stack.start(*services.values())
        yield stack, services


def _cost(rounds: int) -> tuple[float, bool]:
    """Return the median share of the rate that telemetry leaves, and whether it means anything.

    Each round has processes of its own: one and the same app is up to a tenth faster in one process
    than in the next, for as long as it lives.
    """
    shares, saturated = [], True
    for number in range(rounds):
        rates, cores = _round()
        shares.append(rates["with"] / rates["without"])
        saturated = saturated and min(cores.values()) >= SATURATED
        said = (f"{name} {rates[name]:,.0f} /s at {cores[name]:.0%}" for name in rates)
        print(f"{number + 1:2}  {shares[-1]:.3f}  ", *said)
    return median(shares), saturated


def _round() -> tuple[dict[str, float], dict[str, float]]:
    """Return requests/s, and the share of a core that was used for them, of each app."""
    rates: dict[str, list[float]] = {name: [] for name in _APPS}
    cores: dict[str, list[float]] = {name: [] for name in _APPS}
    with _running(_APPS) as (stack, services):
        pids = {name: stack.pids()[name][0] for name in services}
        for name in services:
            stack.signal(name, signal.SIGSTOP)
        for name in _TURNS:
            # Only this app runs. The other ones are stopped, and not even their heartbeats run.
            stack.signal(name, signal.SIGCONT)
            url = f"{services[name].url}/ping"
            rate, used = saturate(url, pids[name], seconds=1, connections=CONNECTIONS)
            stack.signal(name, signal.SIGSTOP)
            rates[name].append(rate)
            cores[name].append(used)
    return (
        {name: mean(found) for name, found in rates.items()},
        {name: mean(found) for name, found in cores.items()},
    )


def _slowest_scrape_s(service: Service) -> float:
    """Return how long the slowest scrape took while the event loop was blocked."""
    with httpx.Client(trust_env=False, timeout=60) as client:
        blocking = threading.Thread(
            target=client.get, args=(f"{service.url}/block?seconds={BLOCKED_S}",)
        )
        blocking.start()
        slowest_s, end_s = 0.0, time.monotonic() + BLOCKED_S - 1
        while time.monotonic() < end_s:
            time.sleep(BETWEEN_S)
            sent_s = time.monotonic()
            httpx.get(str(service.metrics_url), trust_env=False, timeout=60).raise_for_status()
            slowest_s = max(slowest_s, time.monotonic() - sent_s)
        blocking.join()
    return slowest_s


def main(rounds: int = ROUNDS) -> int:
    """Measure both; 0 if the promises hold."""
    if shutil.which("wrk") is None:
        print("This benchmark needs wrk; on Debian: apt install wrk", file=sys.stderr)
        return 2
    share, saturated = _cost(rounds)
    with _running(["with"]) as (_, services):
        slowest_s = _slowest_scrape_s(services["with"])
    print(f"\nrequests/s with telemetry, of those without:  {share:.3f}  (at least {OF_RATE})")
    print(f"slowest scrape of a blocked app:              {slowest_s * 1000:.0f} ms", end="")
    print(f"  (at most {SCRAPE_S * 1000:.0f} ms)")
    if not saturated:
        print("not valid: the server was not saturated throughout")
    return 0 if saturated and share >= OF_RATE and slowest_s <= SCRAPE_S else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "rounds", nargs="?", type=int, default=ROUNDS, help="rounds of eight seconds"
    )
    sys.exit(main(parser.parse_args().rounds))
