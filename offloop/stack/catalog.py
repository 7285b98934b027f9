"""The services of the lab, by name: what to run for each, and at what priority."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from offloop.stack.ports import LOOPBACK, free_port
from offloop.stack.service import HttpOk, Service

#: Niceness. One machine plays three tiers, and priorities keep them from starving each other:
#: the generator (0) must keep its schedule, and workers (19) run on what the APIs (5) leave.
NICE_GENERATOR = 0
NICE_API = 5
NICE_WORKER = 19

#: Milliseconds an idle worker sleeps at most before it asks for messages again. Dramatiq's
#: default, 1000, would be most of a short job's wait.
_WORKER_POLL_MS = 50


@dataclass(frozen=True)
class Way:
    """A way to answer ``POST /reports``, and the app that serves it.

    Attributes:
        service: Name of the service.
        app: What uvicorn is to import.
        has_tier: Whether it needs a broker and workers.
    """

    service: str
    app: str
    has_tier: bool


#: Ways, by the module that answers.
WAYS: Mapping[str, Way] = {
    "naive_app.reports": Way("naive", "naive_app.main:app", has_tier=False),
    "fixed_app.reports": Way("fixed", "fixed_app.main:app", has_tier=True),
}


@dataclass(frozen=True)
class Site:
    """Where the services of one stack work.

    Attributes:
        root: The checkout, with the modules to run.
        files: Folder for the files of reports.
        redis_url: The broker; None where there is none.
    """

    root: Path
    files: Path
    redis_url: str | None

    def environment(self, metrics_port: int, files: str) -> dict[str, str]:
        """Return what a service is told beside what it inherits (such as the data set's scale)."""
        paths = [str(self.root), os.environ.get("PYTHONPATH")]
        return {
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "OFFLOOP_FILES_DIR": str(self.files / files),
            "OFFLOOP_METRICS_PORT": str(metrics_port),
            **({"OFFLOOP_REDIS_URL": self.redis_url} if self.redis_url else {}),
        }


def api(way: Way, site: Site) -> Service:
    """One server process for an app. Both apps get the same server and the same settings."""
    port, metrics_port = free_port(), free_port()
    url = f"http://{LOOPBACK}:{port}"
    return Service(
        name=way.service,
        command=(
            *(sys.executable, "-m", "uvicorn", way.app),
            *("--host", LOOPBACK, "--port", str(port)),
            *("--http", "httptools", "--no-access-log", "--log-level", "warning"),
            "--no-server-header",
        ),
        env=site.environment(metrics_port, files=way.service),
        nice=NICE_API,
        ready=HttpOk(f"{url}/health/ready"),
        url=url,
        metrics_url=_metrics_url(metrics_port),
    )


def worker(queue: str, number: int, site: Site) -> Service:
    """One slot: a single-process, single-thread worker on one queue."""
    metrics_port = free_port()
    prefetch = {"dramatiq_queue_prefetch": "1", "dramatiq_worker_timeout": str(_WORKER_POLL_MS)}
    return Service(
        name=f"worker-{queue}-{number}",
        command=(
            *(sys.executable, "-m", "dramatiq", "workers.fixed"),
            *("--processes", "1", "--threads", "1", "--queues", queue),
        ),
        env=site.environment(metrics_port, files="fixed") | prefetch,
        nice=NICE_WORKER,
        ready=HttpOk(_metrics_url(metrics_port)),
        metrics_url=_metrics_url(metrics_port),
    )


def housekeeping(site: Site) -> Service:
    """The one process that looks after what slots, jobs and files leave behind."""
    metrics_port = free_port()
    return Service(
        name="housekeeping",
        command=(sys.executable, "-m", "workers.housekeeping"),
        env=site.environment(metrics_port, files="fixed"),
        nice=NICE_API,
        ready=HttpOk(_metrics_url(metrics_port)),
        metrics_url=_metrics_url(metrics_port),
    )


def _metrics_url(port: int) -> str:
    return f"http://{LOOPBACK}:{port}/metrics"
