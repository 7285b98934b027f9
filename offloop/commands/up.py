"""`offloop up`: the services without containers, kept up until Ctrl-C."""

import json
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from filelock import FileLock, Timeout
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from offloop import targets
from offloop.commands.ending import explained
from offloop.project import project_root
from offloop.stack import catalog, redis
from offloop.stack.broker import given_broker
from offloop.stack.errors import StackError
from offloop.stack.keeper import Keeper
from offloop.stack.pools import STANDARD_POOLS, Pool
from offloop.stack.ports import free_port, this_or_free_port
from offloop.stack.service import Service
from offloop.stack.supervisor import Stack

#: Seconds between two looks at the services.
_LOOK_S = 0.2

#: Two orders: one goes to the short queue, the other to the long one.
_ORDERS = {
    "short": '{"shipped_from": "1995-03-01", "shipped_to": "1995-03-31", "format": "csv"}',
    "long": '{"shipped_from": "1995-01-01", "shipped_to": "1995-12-31", "format": "csv"}',
}


class Side(StrEnum):
    """Which of the two apps to run."""

    NAIVE = "naive"
    FIXED = "fixed"
    BOTH = "both"


#: The ports of the apps, as in docker-compose.yml. If one is taken, a free port.
_PORTS = {Side.NAIVE: 8001, Side.FIXED: 8002}


def up(
    side: Annotated[Side, typer.Argument(help="Which of the two apps.")] = Side.BOTH,
    *,
    slots: Annotated[
        list[str] | None,
        typer.Option(
            metavar="POOL=N",
            help=f"Worker slots of a pool ({', '.join(STANDARD_POOLS)}) of the fixed side; may be "
            "repeated. Without it, each has one.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run the apps without containers until Ctrl-C; what dies is started again.

    Examples: `offloop up`; `offloop up fixed --slots long=2`.

    Prints where everything is and what to try, and writes it to .offloop/up.json, and for
    Prometheus to .offloop/targets. Jobs and finished reports are kept in .offloop/up from one time
    to the next. Finished jobs are called back at the hosts in OFFLOOP_CALLBACK_HOSTS, signed with
    OFFLOOP_WEBHOOK_SECRET.
    """
    pools = _pools(slots or [])
    console = Console()
    with explained():
        root = project_root()
        state = root / ".offloop"
        with _alone(state), Stack(state / "up" / "logs") as stack:
            services = _services(side, pools, root, state / "up")
            keeper = Keeper(
                stack, services, lambda text: console.print(f"  {escape(text)}", highlight=False)
            )
            console.print("Starting …")
            keeper.start()
            listing, scraped = state / "up.json", state / targets.FOLDER / "up.json"
            try:
                _write(listing, stack, services)
                targets.write_targets(scraped, services)
                _show(console, services, stack.log_dir)
                while True:
                    time.sleep(_LOOK_S)
                    if keeper.look():
                        _write(listing, stack, services)
            finally:
                listing.unlink(missing_ok=True)
                scraped.unlink(missing_ok=True)
                # The broker comes last, so that slots can hand back their jobs.
                stack.stop(*(name for name in stack.pids() if name != redis.NAME))


def _pools(wanted: Sequence[str]) -> Mapping[str, Pool]:
    """Return the standard pools with the numbers of slots that were asked for."""
    pools = dict(STANDARD_POOLS)
    for each in wanted:
        name, _, number = each.partition("=")
        if name not in pools or not number.isdecimal() or int(number) < 1:
            raise typer.BadParameter(
                f"{each!r} does not say how many slots a pool has: write POOL=N with N of 1 or "
                f"more, such as {next(iter(pools))}=2; there is {', '.join(pools)}",
                param_hint="--slots",
            )
        pools[name] = pools[name].model_copy(update={"slots": int(number)})
    return pools


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Refuse to run beside another one: two brokers would write to the same files."""
    state.mkdir(exist_ok=True)
    lock = FileLock(state / "up.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout as taken:
        raise StackError(
            f"`offloop up` is running in this checkout already; {state / 'up.json'} says where its "
            "services are. End it first."
        ) from taken
    try:
        yield
    finally:
        lock.release()


def _services(
    side: Side, pools: Mapping[str, Pool], root: Path, folder: Path
) -> tuple[Service, ...]:
    naive, fixed = (catalog.WAYS[way] for way in ("naive_app.reports", "fixed_app.reports"))
    files = folder / "files"
    services: list[Service] = []
    if side is not Side.FIXED:
        port = this_or_free_port(_PORTS[Side.NAIVE])
        services.append(catalog.api(naive, catalog.Site(root, files, None), port=port))
    if side is not Side.NAIVE:
        redis_url = given_broker()
        if redis_url is None:
            broker = redis.embedded_redis(folder / "redis", free_port())
            services.append(broker)
            redis_url = f"{broker.url}/0"
        site = catalog.Site(root, files, redis_url)
        services.append(catalog.api(fixed, site, port=this_or_free_port(_PORTS[Side.FIXED])))
        services += catalog.workers(pools, catalog.STANDARD_TIER, site)
        services.append(catalog.housekeeping(site))
    return tuple(services)


def _write(listing: Path, stack: Stack, services: Sequence[Service]) -> None:
    pids = stack.pids()
    content = {
        "services": [
            {
                "name": service.name,
                "pid": pids[service.name][0] if service.name in pids else None,
                "url": service.url,
                "metrics_url": service.metrics_url,
            }
            for service in services
        ]
    }
    partial = listing.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=2) + "\n")
    partial.replace(listing)


def _show(console: Console, services: Sequence[Service], logs: Path) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("service", "URL", "metrics"):
        table.add_column(heading)
    for service in services:
        table.add_row(service.name, service.url or "", service.metrics_url or "")
    console.print(table)
    for service in services:
        wanted = next((port for side, port in _PORTS.items() if side == service.name), None)
        if wanted is not None and not (service.url or "").endswith(f":{wanted}"):
            console.print(f"Port {wanted} is taken, so {service.name} listens on another one.")
    _show_stall(console, services)
    console.print("Try, in another terminal:")
    for service in services:
        for command in _to_try(service):
            console.print(f"  {command}", highlight=False, soft_wrap=True)
    console.print(f"Logs are in {logs}. Ctrl-C stops everything.", highlight=False)


def _show_stall(console: Console, services: Sequence[Service]) -> None:
    """Print the pair of commands that makes the stall visible."""
    apps = [service for service in services if service.name in _PORTS]
    console.print(
        "See it stall: run the first command, then the second in another terminal. A ping takes a "
        "millisecond; while naive builds the report, one takes as long as the report."
    )
    for service in apps:
        console.print(f"  {ping_loop(service)}", highlight=False, soft_wrap=True)
        console.print(f"  {_order(service, 'long')}", highlight=False, soft_wrap=True)


def ping_loop(service: Service) -> str:
    """Return a command that pings an app ten times a second, and prints how long each took."""
    return (
        f"while sleep 0.1; do curl -so /dev/null -w '{service.name} %{{time_total}} s\\n' "
        f"{service.url}/ping; done"
    )


def _order(service: Service, queue: str) -> str:
    return (
        f"curl -i {service.url}/reports -H 'Content-Type: application/json' -d '{_ORDERS[queue]}'"
    )


def _to_try(service: Service) -> Sequence[str]:
    """Return what a person may do with a service, as commands."""
    orders = {queue: _order(service, queue) for queue in _ORDERS}
    match service.name:
        case Side.NAIVE:
            return orders["long"], f"curl -i {service.url}/ping"
        case Side.FIXED:
            # A key of its own each time: the tier remembers keys from one time to the next.
            keys = {queue: f"{queue}-{secrets.token_hex(4)}" for queue in orders}
            return (
                *(f"{orders[queue]} -H 'Idempotency-Key: \"{keys[queue]}\"'" for queue in orders),
                f"curl -i {service.url}/reports/JOB_ID -H 'Prefer: wait=10'",
                f"curl -OJ {service.url}/reports/JOB_ID/file",
                f"curl -i {service.url}/reports",
            )
        case _:
            return ()
