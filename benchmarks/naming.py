"""Is what holds the loop named rightly where it matters? `python -m benchmarks.naming [REPORTS]`.

Every way of the lab that blocks its event loop for long, under each event loop that is installed,
with twenty other requests in flight. Exits with 1 if fewer than 95% of the stalls of one of them
have the name of the work, and of the request that it was done for.
"""

import argparse
import contextlib
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from benchmarks.stalls import BYSTANDERS, RIGHT, loops
from offloop.project import project_root
from offloop.stack.catalog import WAYS, Site, api
from offloop.stack.ports import free_port
from offloop.stack.redis import NAME as REDIS
from offloop.stack.redis import embedded_redis
from offloop.stack.service import Service
from offloop.stack.supervisor import Stack

REPORTS = 20

#: Half a year: about 0.6 s of work at scale 0.1.
REPORT = {"shipped_from": "1995-01-01", "shipped_to": "1995-06-30", "format": "csv"}

#: Ways that hold their loop, and the folders of the work that does: `chunked` never holds it for as
#: long as a stall, and `metrics_on_loop` is there to show what cannot be seen without the monitor.
HOLD: dict[str, tuple[str, ...]] = {
    "naive_app.reports": ("reports/",),
    "naive_app.attempts.background_task_async": ("reports/",),
    "naive_app.attempts.group_by": ("reports/", "naive_app/attempts/group_by.py"),
    "naive_app.attempts.blocking_send": ("naive_app/attempts/frame/queueing.py",),
}

#: Of the request that each of them holds the loop for.
ENDPOINT = "POST /reports"

#: Seconds for which the broker is frozen, where it is waited for in the loop.
FROZEN_S = 0.3

#: Seconds between the requests of each bystander, and until a stall counts as not seen.
_BETWEEN_S = 0.05
_COUNTED_S = 5.0
_LOOK_S = 0.05

_TIMEOUT_S = 60.0

#: File, function and endpoint.
Name = tuple[str, str, str]


def stalls_of(way: str, loop: str, reports: int) -> Counter[Name]:
    """Have reports built one after the other, and return how often which code was blamed."""
    with TemporaryDirectory() as folder, Stack(Path(folder) / "logs", disposable=True) as stack:
        redis_url = None
        if WAYS[way].has_tier:
            redis = embedded_redis(stack.folder / "redis", free_port())
            stack.start(redis)
            redis_url = f"{redis.url}/0"
        service = api(WAYS[way], Site(project_root(), stack.folder / "files", redis_url))
        words = list(service.command)
        words[words.index("--loop") + 1] = loop
        stack.start(replace(service, command=tuple(words)))
        with httpx.Client(base_url=str(service.url), timeout=_TIMEOUT_S, trust_env=False) as client:
            # What is loaded lazily, and for the first time only, is not what is asked about.
            client.post("/reports", json=REPORT).raise_for_status()
            with _bystanders(str(service.url)):
                before = _wait_for_more(service, Counter(), stalls=0)
                for number in range(reports):
                    with _frozen(stack) if redis_url else contextlib.nullcontext():
                        client.post("/reports", json=REPORT).raise_for_status()
                    _wait_for_more(service, before, stalls=number + 1)
                return _blamed(service) - before


@contextlib.contextmanager
def _frozen(stack: Stack) -> Iterator[None]:
    """Stop the broker, and let it go on a moment after the request was sent."""
    stack.signal(REDIS, signal.SIGSTOP)
    thaw = threading.Timer(FROZEN_S, stack.signal, (REDIS, signal.SIGCONT))
    thaw.start()
    yield
    thaw.join()


@contextlib.contextmanager
def _bystanders(url: str) -> Iterator[None]:
    done = threading.Event()

    def ask_again_and_again() -> None:
        with httpx.Client(base_url=url, timeout=_TIMEOUT_S, trust_env=False) as client:
            while not done.wait(_BETWEEN_S):
                client.get("/ping").raise_for_status()

    threads = [threading.Thread(target=ask_again_and_again) for _ in range(BYSTANDERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


def _wait_for_more(service: Service, before: Counter[Name], *, stalls: int) -> Counter[Name]:
    """Return what is blamed once there were so many stalls more, or that has taken too long."""
    deadline = time.monotonic() + _COUNTED_S
    blamed = _blamed(service)
    while (blamed - before).total() < stalls and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
        blamed = _blamed(service)
    return blamed


def _blamed(service: Service) -> Counter[Name]:
    text = httpx.get(str(service.metrics_url), timeout=_TIMEOUT_S, trust_env=False).text
    found: Counter[Name] = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "offloop_loop_stall_seconds_count":
                labels = sample.labels
                name = labels["file"], labels["function"], labels["endpoint"]
                found[name] += int(sample.value)
    return found


def is_right(way: str, name: Name) -> bool:
    """Whether this is the code that holds the loop of a way, and the request it does it for."""
    file, _, endpoint = name
    return file.startswith(HOLD[way]) and endpoint == ENDPOINT


def main(reports: int = REPORTS) -> int:
    """Print a row for each way and loop; 1 if the promise was not kept."""
    table = Table(title=f"{reports} reports each, {BYSTANDERS} other requests in flight")
    for column in ("way", "loop", "stalls", "named", "blamed most"):
        table.add_column(column)
    kept = True
    for way, loop in product(HOLD, loops()):
        blamed = stalls_of(way, loop, reports)
        right = sum(number for name, number in blamed.items() if is_right(way, name))
        share = right / blamed.total() if blamed else 0.0
        kept = kept and share >= RIGHT and blamed.total() >= reports
        most = ", ".join(f"{name[1]} {number}" for name, number in blamed.most_common(3))
        short = way.removeprefix("naive_app.")
        table.add_row(short, loop, f"{blamed.total()}", f"{share:.0%}", most)
    Console().print(table)
    return 0 if kept else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "reports", nargs="?", type=int, default=REPORTS, help="reports that hold each loop"
    )
    sys.exit(main(parser.parse_args().reports))
