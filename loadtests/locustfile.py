"""The lab's load for a person with Locust's web UI.

    locust -f loadtests/locustfile.py --host http://127.0.0.1:8000

Bystander pings and a report stream, both sent when they are due whether or not earlier answers
came back. Response times count from the due time; `READY` rows are the time until a report was
ready to fetch. With `OFFLOOP_METRICS_PORT` set, the clients' view is served to Prometheus there.
"""

from argparse import Namespace

import gevent
from locust import events, task
from locust.argument_parser import LocustArgumentParser
from locust.exception import StopUser
from locust.runners import WorkerRunner
from prometheus_client import REGISTRY

from offloop import telemetry
from offloop.load.arrivals import constant, poisson
from offloop.load.client_view import CLIENT_VIEW
from offloop.load.plan import Plan, Stream
from offloop.load.user import OpenModelUser

#: A year of line items: about 0.6 s of work at the default scale factor.
REPORT = {"shipped_from": "1995-01-01", "shipped_to": "1995-12-31", "format": "csv"}


def add_arguments(parser: LocustArgumentParser) -> None:
    """Offer the knobs of the plan, on the command line and in the web UI."""
    group = parser.add_argument_group("Plan", "What is sent, and for how long")
    group.add_argument("--ping-rate", type=float, default=100.0, help="GET /ping per second")
    group.add_argument("--report-rate", type=float, default=0.8, help="POST /reports per second")
    group.add_argument("--duration", type=float, default=60.0, help="Seconds of sending")
    group.add_argument("--drain", type=float, default=30.0, help="Seconds to wait for answers")
    group.add_argument("--seed", type=int, default=7, help="Same seed, same schedule")


# Locust's hooks are not typed.
events.init_command_line_parser.add_listener(add_arguments)  # type: ignore[no-untyped-call]


def serve_metrics(**_: object) -> None:
    """Serve the clients' view, from the process that sends."""
    REGISTRY.register(CLIENT_VIEW)
    telemetry.serve_metrics_as_set()


events.init.add_listener(serve_metrics)  # type: ignore[no-untyped-call]


def plan(options: Namespace, base_url: str) -> Plan:
    """Lay out what the options ask for; a rate of 0 leaves its stream out."""
    streams = []
    if options.ping_rate > 0:
        due_s = poisson(options.ping_rate, options.duration, f"{options.seed} ping")
        streams.append(Stream(name="ping", path="/ping", base_url=base_url, due_s=due_s))
    if options.report_rate > 0:
        due_s = constant(options.report_rate, options.duration, f"{options.seed} report")
        streams.append(
            Stream(
                name="report",
                method="POST",
                path="/reports",
                base_url=base_url,
                body=REPORT,
                due_s=due_s,
                follow=True,
            )
        )
    return Plan(
        streams=streams, duration_s=options.duration, drain_s=options.drain, seed=options.seed
    )


class Customers(OpenModelUser):
    """Everyone who uses the service, bystanders and those who order reports."""

    @task
    def run_plan(self) -> None:
        """Walk the plan once; then a headless run is over and the web UI shows it as stopped."""
        assert self.host is not None  # noqa: S101 - Locust starts no user without one
        self.walk(plan(self.environment.parsed_options, self.host))
        runner = self.environment.runner
        if not isinstance(runner, WorkerRunner):
            # Not from this greenlet, which the runner waits for.
            gevent.spawn(runner.quit if self.environment.parsed_options.headless else runner.stop)
        raise StopUser
