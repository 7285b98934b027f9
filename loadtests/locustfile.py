"""The lab's load for a person with Locust's web UI, or for many machines.

    locust -f loadtests/locustfile.py --host http://127.0.0.1:8000

Bystander pings and report streams, all sent when they are due whether or not earlier answers
came back. Response times count from the due time; `READY` rows are the time until a report was
ready to fetch. With `OFFLOOP_METRICS_PORT` set, the clients' view is served to Prometheus there.

With `--master` and `--worker`, each worker sends every n-th request of each stream, so that
together they send the plan once.
"""

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import ClassVar

from gevent.event import AsyncResult
from locust import LoadTestShape, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.exception import StopUser
from locust.rpc import Message
from locust.runners import STATE_RUNNING, STATE_SPAWNING, MasterRunner, WorkerRunner
from prometheus_client import REGISTRY

from offloop import telemetry
from offloop.load.arrivals import constant, poisson
from offloop.load.client_view import CLIENT_VIEW
from offloop.load.plan import Plan, Stream
from offloop.load.user import OpenModelUser

#: A year of line items: about 0.6 s of work at the default scale factor.
REPORT = {"shipped_from": "1995-01-01", "shipped_to": "1995-12-31", "format": "csv"}

#: A month: about 50 ms.
SHORT_REPORT = {"shipped_from": "1995-03-01", "shipped_to": "1995-03-31", "format": "csv"}

#: Message from the master to a worker: which share of the plan is its own.
_SHARE = "offloop-share"

#: Seconds within which it comes; guards against a master with another locustfile.
_SHARE_DEADLINE_S = 10.0


@dataclass(frozen=True)
class Share:
    """Which requests of each stream a process sends: every `of`-th, from the `index`-th on."""

    index: int
    of: int


#: Of a process that is alone.
_ALL = Share(index=0, of=1)


def add_arguments(parser: LocustArgumentParser) -> None:
    """Offer the knobs of the plan, on the command line and in the web UI."""
    # Not in a group of their own: Locust's web page shows no arguments of groups.
    parser.add_argument("--ping-rate", type=float, default=100.0, help="GET /ping per second")
    parser.add_argument(
        "--report-rate", type=float, default=0.8, help="POST /reports per second, of a year each"
    )
    parser.add_argument(
        "--short-report-rate", type=float, default=0.0, help="The same, of a month each"
    )
    parser.add_argument("--duration", type=float, default=60.0, help="Seconds of sending")
    parser.add_argument("--drain", type=float, default=30.0, help="Seconds to wait for answers")
    parser.add_argument("--seed", type=int, default=7, help="Same seed, same schedule")
    parser.add_argument("--repeat", action="store_true", help="Again and again, until stopped")


# Locust's hooks are not typed.
events.init_command_line_parser.add_listener(add_arguments)  # type: ignore[no-untyped-call]


def prepare(environment: Environment, **_: object) -> None:
    """Serve the clients' view from the process that sends, and listen for its share."""
    REGISTRY.register(CLIENT_VIEW)
    telemetry.serve_metrics_as_set()
    if isinstance(environment.runner, WorkerRunner):
        environment.runner.register_message(_SHARE, take_share)


def take_share(msg: Message, **_: object) -> None:
    """Note what the master has given to this worker."""
    Customers.given_share.set(Share(**msg.data))


def give_shares(environment: Environment, **_: object) -> None:
    """Give every worker its share. Comes before the master starts them."""
    runner = environment.runner
    if isinstance(runner, MasterRunner):
        workers = [*runner.clients.ready, *runner.clients.spawning, *runner.clients.running]
        for index, worker in enumerate(workers):
            runner.send_message(_SHARE, {"index": index, "of": len(workers)}, worker.id)


events.init.add_listener(prepare)  # type: ignore[no-untyped-call]
events.test_start.add_listener(give_shares)  # type: ignore[no-untyped-call]


def plan(options: Namespace, base_url: str, share: Share = _ALL, turn: int = 0) -> Plan:
    """Lay out what the options ask for; a rate of 0 leaves its stream out.

    Args:
        options: Of the command line, or from the web UI.
        base_url: Whom to send it to.
        share: The part that is sent from here.
        turn: How often it was sent before; each time it is another schedule.
    """
    seed = options.seed + turn
    orders: Mapping[str, tuple[float, Mapping[str, str]]] = {
        "report": (options.report_rate, REPORT),
        "short-report": (options.short_report_rate, SHORT_REPORT),
    }
    streams = []
    if options.ping_rate > 0:
        due_s = poisson(options.ping_rate, options.duration, f"{seed} ping")
        streams.append(Stream(name="ping", path="/ping", base_url=base_url, due_s=due_s))
    for name, (rate, order) in orders.items():
        if rate > 0:
            due_s = constant(rate, options.duration, f"{seed} {name}")
            streams.append(
                Stream(
                    name=name,
                    method="POST",
                    path="/reports",
                    base_url=base_url,
                    body=dict(order),
                    due_s=due_s,
                    follow=True,
                )
            )
    mine = [
        stream.model_copy(update={"due_s": stream.due_s[share.index :: share.of]})
        for stream in streams
    ]
    return Plan(streams=mine, duration_s=options.duration, drain_s=options.drain, seed=seed)


class Customers(OpenModelUser):
    """Everyone who uses the service, bystanders and those who order reports."""

    #: `OneWalkEach` says how many there are: one in each process.
    fixed_count = 0
    #: Of a worker: what the master said.
    given_share: ClassVar[AsyncResult] = AsyncResult()

    @task
    def run_plan(self) -> None:
        """Walk this process's share of the plan, once or until stopped."""
        assert self.host is not None  # noqa: S101 - Locust starts no user without one
        options = self.environment.parsed_options
        share = _ALL
        if isinstance(self.environment.runner, WorkerRunner):
            share = self.given_share.get(timeout=_SHARE_DEADLINE_S)
        for turn in count():
            self.dispatch(plan(options, self.host, share, turn))
            if not options.repeat:
                raise StopUser


class OneWalkEach(LoadTestShape):
    """One user in every process that sends, until all have sent their plan.

    A second user in a process would send everything twice, so the number of users is no option.
    """

    senders = 0

    def tick(self) -> tuple[int, float] | None:
        """Return how many users there have to be; None once they are done."""
        runner = self.runner
        assert runner is not None  # noqa: S101 - Locust sets it before it asks
        if runner.state not in {STATE_SPAWNING, STATE_RUNNING}:
            # How many there are when it begins: who comes later takes part the next time.
            self.senders = runner.worker_count if isinstance(runner, MasterRunner) else 1
        elif runner.state == STATE_RUNNING and runner.user_count == 0:
            return None
        return self.senders, max(self.senders, 1)
