"""The generator's process: `python -m offloop.load.piped` runs the plans it is given on a pipe.

Locust is used as a library here, so that no `locust.conf`, `LOCUST_*` variable or plugin of the
machine changes what is measured. What is said on the pipe is in `offloop.load.protocol`.
"""

# Locust comes first: it replaces the parts of the standard library that would block.
from locust import task  # isort: skip
from locust.env import Environment  # isort: skip

import os
import sys
import traceback
from typing import ClassVar, TextIO

from gevent.fileobject import FileObject
from gevent.queue import Queue

from offloop.load.plan import Plan
from offloop.load.protocol import Done, Event, Failed, Job, Ready
from offloop.load.records import (
    REFUSALS_FILE,
    REPORTS_FILE,
    REQUESTS_FILE,
    RefusalRow,
    ReportRow,
    RequestRow,
    write_rows,
)
from offloop.load.user import OpenModelUser


class PipedUser(OpenModelUser):
    """Runs jobs one after the other, for as long as the process lives."""

    #: Each stream of a plan names its own server; Locust insists on one.
    host = "http://127.0.0.1"
    #: Locust's own statistics are not used here, and they cost processor time.
    statistics = False
    jobs: ClassVar["Queue[Job]"] = Queue()
    events: ClassVar[TextIO]

    @task
    def run_jobs(self) -> None:
        """Run every job that comes. One that cannot be run is reported, and the next one is run."""
        for job in self.jobs:
            try:
                done = self._run(job)
            except Exception as error:  # noqa: BLE001 - the lab decides what to do about any of them
                traceback.print_exc()
                self.tell(Failed(reason=f"{type(error).__name__}: {error}"))
            else:
                self.tell(done)

    @classmethod
    def tell(cls, event: Event) -> None:
        """Write one event for the lab."""
        cls.events.write(event.model_dump_json() + "\n")

    def _run(self, job: Job) -> Done:
        plan = Plan.model_validate_json(job.plan.read_bytes())
        dispatched = self.dispatch(plan, on_progress=self.tell)
        write_rows(job.out / REQUESTS_FILE, RequestRow._fields, dispatched.requests)
        write_rows(job.out / REPORTS_FILE, ReportRow._fields, dispatched.reports)
        write_rows(job.out / REFUSALS_FILE, RefusalRow._fields, dispatched.refusals)
        return Done(start_monotonic_s=dispatched.start_monotonic_s, cpu_s=dispatched.cpu_s)


def main() -> None:
    """Serve jobs until standard input ends, which it also does when the lab is killed."""
    # Whatever a library prints goes to the log; only events go to the lab.
    PipedUser.events = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1, encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    runner = Environment(user_classes=[PipedUser]).create_local_runner()
    runner.start(user_count=1, spawn_rate=1)
    PipedUser.tell(Ready())
    for line in FileObject(sys.stdin.fileno(), "rb"):
        PipedUser.jobs.put(Job.model_validate_json(line))
    # At once, also in the middle of a plan: the lab, which reads the results, has ended.
    os._exit(0)


if __name__ == "__main__":
    main()
