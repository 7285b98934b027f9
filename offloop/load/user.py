"""The Locust user that dispatches a schedule. Imported inside a Locust process only."""

from time import time
from typing import ClassVar

from locust import FastHttpUser

from offloop.load.client_view import CLIENT_VIEW
from offloop.load.dispatcher import Dispatched, OnProgress, Walk
from offloop.load.log import succeeded
from offloop.load.plan import Plan, Stream
from offloop.load.protocol import Progress
from offloop.load.records import ReportRow, RequestRow

_MS = 1000.0


class RequestFailed(Exception):  # noqa: N818 - Locust shows this name beside the reason
    """What Locust's statistics show for a request that failed."""


class OpenModelUser(FastHttpUser):
    """One user that is a whole population: it sends every request of a plan when it is due.

    Subclasses have a task that calls `dispatch`. With `statistics`, Locust's own figures and its
    web UI show every request, its response time counted from when it was due, and `CLIENT_VIEW` has
    metrics of them. Locust rounds and keeps no raw values, so verdicts use the request log instead.
    """

    abstract = True
    #: One user is the whole schedule; a second one would send everything twice.
    fixed_count = 1
    statistics: ClassVar[bool] = True

    def dispatch(self, plan: Plan, on_progress: OnProgress | None = None) -> Dispatched:
        """Send everything in `plan` and wait for the answers until its deadline."""
        deadline_s = plan.deadline_s

        def show(stream: Stream, row: RequestRow, report: ReportRow | None) -> None:
            end_s = deadline_s if row.done_s is None else row.done_s
            failure = None if succeeded(row) else RequestFailed(row.error)
            self._fire(stream.method, stream, end_s - row.due_s, row.bytes, failure)
            if report is not None and succeeded(row):
                seen_s = deadline_s if report.seen_s is None else report.seen_s
                outcome = report.status if report.seen_s is not None else "never seen"
                problem = None if outcome == "done" else RequestFailed(f"report {outcome}")
                self._fire("READY", stream, seen_s - row.due_s, report.bytes, problem)

        def progressed(progress: Progress) -> None:
            CLIENT_VIEW.progressed(progress)
            if on_progress is not None:
                on_progress(progress)

        if not self.statistics:
            return Walk(plan, on_progress=on_progress).run()
        with CLIENT_VIEW.watching(plan):
            return Walk(
                plan, on_request=show, on_settled=CLIENT_VIEW.settled, on_progress=progressed
            ).run()

    def _fire(
        self,
        kind: str,
        stream: Stream,
        response_s: float,
        length: int | None,
        failure: Exception | None,
    ) -> None:
        self.environment.events.request.fire(
            request_type=kind,
            name=stream.path,
            response_time=response_s * _MS,
            response_length=length or 0,
            exception=failure,
            context={},
            start_time=time() - response_s,
            url=stream.base_url + stream.path,
            response=None,
        )
