import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from offloop.bench.experiment import Arm
from offloop.bench.outcomes import asked_again
from offloop.bench.stage import Setting
from offloop.load.records import ReportRow
from offloop.stack.catalog import Site
from offloop.stack.service import Service
from offloop.stack.supervisor import Stack
from tests.bench.support import report, request_log

#: The status of each job; or a file, and the job is running until there is one.
Statuses = dict[str, str | Path]

#: Is at work until it has made the file that it is given.
BUILDING = """
import sys, time
began = time.process_time()
while time.process_time() - began < 0.5: pass
open(sys.argv[1], "x").close()
time.sleep(600)
"""


@pytest.fixture
def statuses() -> Statuses:
    return {}


@pytest.fixture
def setting(tmp_path: Path, statuses: Statuses) -> Iterator[Setting]:
    """An API that was away and is there again."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            job_id = self.path.rpartition("/")[2]
            status = statuses.get(job_id)
            if isinstance(status, Path):
                status = "done" if status.exists() else "running"
            self.send_response(200 if status else 404)
            self.end_headers()
            if status:
                self.wfile.write(json.dumps({"job_id": job_id, "status": status}).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    arm = Arm.model_validate(
        {
            "way": "naive_app.reports",
            "server": "uvicorn",
            "tier": "workers.fixed",
            "pools": {"long": {"queues": ["long"], "slots": 1}},
        }
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        api = Service("naive", ("true",), url=f"http://127.0.0.1:{server.server_port}")
        site = Site(tmp_path, tmp_path, None)
        yield Setting(Stack(tmp_path), (api,), api, (), None, arm, site, None)
        server.shutdown()
        thread.join()


def row(job_id: str | None, status: str | None) -> ReportRow:
    return report(status=status, seen_s=None)._replace(job_id=job_id)


def settled(setting: Setting, *rows: ReportRow) -> list[str | None]:
    return [each.status for each in asked_again(setting, request_log([], rows)).reports]


def test_a_report_that_finished_after_the_load_is_not_lost(
    setting: Setting, statuses: Statuses
) -> None:
    statuses["late"] = "done"

    assert settled(setting, row("late", "running")) == ["done"]


def test_a_report_that_is_being_built_is_waited_for(
    setting: Setting, statuses: Statuses, tmp_path: Path
) -> None:
    finished = tmp_path / "finished"
    statuses["late"] = finished

    with setting.stack as stack:
        stack.popen("naive", (sys.executable, "-c", BUILDING, str(finished)))
        assert settled(setting, row("late", "running")) == ["done"]


def test_a_report_that_no_process_builds_keeps_its_status(
    setting: Setting, statuses: Statuses
) -> None:
    statuses["lost"] = "running"

    assert settled(setting, row("lost", None), row("unknown", "queued")) == ["running", "queued"]


def test_final_and_never_accepted_reports_are_not_asked_for_again(setting: Setting) -> None:
    rows = (row("done", "done"), row("failed", "failed"), row(None, None))

    assert settled(setting, *rows) == ["done", "failed", None]


def test_asking_again_does_not_change_when_the_client_saw_a_report(
    setting: Setting, statuses: Statuses
) -> None:
    statuses["late"] = "done"

    log = asked_again(setting, request_log([], [row("late", "running")]))

    assert log.reports[0].seen_s is None
