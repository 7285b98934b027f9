"""The tier's housekeeping: `python -m workers.housekeeping`, one process for all slots.

Safe to run twice by mistake, and safe to kill at any time: every chore is repeated soon, and each
of its steps is atomic.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import REGISTRY
from redis.exceptions import RedisError

from offloop import telemetry
from reports.settings import ReportSettings
from workers.housekeeping.delayed import Delayed
from workers.housekeeping.expiry import Expiry
from workers.housekeeping.index import Index
from workers.housekeeping.outbox import Outbox
from workers.housekeeping.outbox_metrics import OutboxMetrics
from workers.housekeeping.queue_metrics import QueueMetrics
from workers.housekeeping.recovery import Recovery
from workers.housekeeping.sweeper import Sweeper
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
        except Exception:  # noqa: BLE001 - one that is wrong must not keep others from being done
            _log.exception("%s failed, to be tried again in %g s", self.name, self.every_s)
        self.due_s = time.monotonic() + self.every_s


def chores(tier: TierSettings, reports: ReportSettings, outbox: Outbox) -> list[Chore]:
    """List what there is to do."""
    return [
        Chore("queueing what is due again", tier.recovery_interval_s, Delayed(tier).run),
        Chore("recovering the jobs of dead slots", tier.recovery_interval_s, Recovery(tier).run),
        Chore("looking for jobs without a message", tier.sweep_interval_s, Sweeper(tier).run),
        Chore("delivering callbacks", tier.recovery_interval_s, outbox.run),
        Chore("forgetting jobs", tier.expiry_interval_s, Index(tier).forget_expired),
        Chore("expiring files", tier.expiry_interval_s, Expiry(tier, reports.files_dir).run),
    ]


def main() -> None:
    """Do the chores until SIGTERM or SIGINT."""
    telemetry.logs.configure()
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    tier, reports = TierSettings(), ReportSettings()
    reports.files_dir.mkdir(parents=True, exist_ok=True)
    REGISTRY.register(QueueMetrics(tier))
    REGISTRY.register(OutboxMetrics(tier))
    outbox = Outbox(tier)
    todo = chores(tier, reports, outbox)
    metrics = telemetry.serve_metrics_as_set()
    while not stopping.wait(min(chore.every_s for chore in todo) / 4):
        for chore in todo:
            chore.run_if_due()
    outbox.close(tier.shutdown_grace_s)
    metrics.close()


if __name__ == "__main__":
    main()
