"""The tier's housekeeping: `python -m workers.housekeeping`, one process for all slots.

Safe to run twice by mistake, and safe to kill at any time: every chore is repeated soon, and each
of its steps is atomic.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import REGISTRY
from redis.exceptions import RedisError

from offloop.telemetry import serve_metrics
from reports.settings import ReportSettings
from workers.expiry import expire_files
from workers.index import Index
from workers.queue_metrics import QueueMetrics
from workers.recovery import Recovery
from workers.retries import Retries
from workers.settings import TierSettings

_log = logging.getLogger("workers.housekeeping")


@dataclass
class Chore:
    """Something to be done again and again.

    Attributes:
        name: What the log calls it.
        every_s: Seconds from the end of one time to the next.
        run: Does it once.
    """

    name: str
    every_s: float
    run: Callable[[], object]
    due_s: float = 0.0

    def run_if_due(self) -> None:
        """Do it if it is time; what goes wrong is logged, and does not keep others waiting."""
        if time.monotonic() < self.due_s:
            return
        try:
            self.run()
        except (RedisError, OSError) as error:
            _log.warning("%s failed, to be tried again in %g s: %s", self.name, self.every_s, error)
        self.due_s = time.monotonic() + self.every_s


def chores(tier: TierSettings, reports: ReportSettings) -> list[Chore]:
    """List what there is to do."""
    recovery = Recovery(tier)

    def expire() -> None:
        for path in expire_files(
            reports.files_dir, max_age_s=tier.file_ttl_s, max_bytes=tier.files_max_bytes
        ):
            _log.info("file expired name=%s", path.name)

    return [
        Chore("queueing what is due again", tier.recovery_interval_s, Retries(tier).run),
        Chore("recovering the jobs of dead slots", tier.recovery_interval_s, recovery.run),
        Chore("forgetting jobs", tier.expiry_interval_s, Index(tier).forget_expired),
        Chore("expiring files", tier.expiry_interval_s, expire),
    ]


def main() -> None:
    """Do the chores until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    tier, reports = TierSettings(), ReportSettings()
    reports.files_dir.mkdir(parents=True, exist_ok=True)
    REGISTRY.register(QueueMetrics(tier))
    todo = chores(tier, reports)
    metrics = serve_metrics(int(os.environ.get("OFFLOOP_METRICS_PORT", "0")) or None)
    while not stopping.wait(min(chore.every_s for chore in todo) / 4):
        for chore in todo:
            chore.run_if_due()
    metrics.close()


if __name__ == "__main__":
    main()
