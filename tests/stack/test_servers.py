import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
import pytest
from pydantic import TypeAdapter, ValidationError

from offloop.measuring.scraping import scrape
from offloop.stack import catalog
from offloop.stack.servers import STANDARD_SERVER, AnyServer, Server
from offloop.stack.service import Service
from offloop.stack.supervisor import Stack
from tests.shop import NAIVE, ROOT
from tests.waiting import wait_for

GUNICORN = Server(kind="gunicorn", processes=2, timeout_s=2)
UVICORN = Server(kind="uvicorn", processes=2)

both_servers = pytest.mark.parametrize("server", [GUNICORN, UVICORN], ids=lambda each: each.kind)


@contextmanager
def serving(
    server: Server, folder: Path, environment: Mapping[str, str]
) -> Iterator[tuple[Stack, Service]]:
    """The naive app behind a server, in a stack of its own."""
    with Stack(folder) as stack:
        api = catalog.api(NAIVE, catalog.Site(ROOT, stack.folder / "files", None), server)
        api = replace(api, env={**api.env, **environment})
        stack.start(api)
        yield stack, api


def starts(api: Service) -> list[float]:
    """When each process was started, in the order of their metrics."""
    return [process["process_start_time_seconds"] for process in scrape(api)]


def test_uvicorn_by_name_serves_requests_in_one_process() -> None:
    assert TypeAdapter(AnyServer).validate_python("uvicorn") == STANDARD_SERVER
    assert STANDARD_SERVER.serving(slots=0) == STANDARD_SERVER.serving(slots=3) == 1


@both_servers
def test_processes_without_a_slot_serve_requests(server: Server) -> None:
    assert server.serving(slots=0) == 2
    assert server.serving(slots=1) == 1


def test_a_server_needs_more_processes_than_slots() -> None:
    with pytest.raises(ValueError, match=r"processes = 2 .* 2 slots: it takes at least 3"):
        UVICORN.serving(slots=2)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("gunicorn", "gunicorn needs `processes` and `timeout_s`"),
        ({"kind": "gunicorn", "processes": 2}, "gunicorn needs `processes` and `timeout_s`"),
        ({"kind": "uvicorn", "timeout_s": 2}, "timeout_s is gunicorn's"),
        ({"kind": "gunicorn", "processes": 2, "timeout_s": 1}, "greater than or equal to 2"),
        ({"kind": "uvicorn", "processes": 0}, "greater than 0"),
        ({"kind": "uvicorn", "workers": 2}, "there is no key 'workers'; there is kind, processes"),
        ("hypercorn", "'uvicorn' or 'gunicorn'"),
    ],
)
def test_contradictory_server_settings_are_refused(table: object, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TypeAdapter(AnyServer).validate_python(table)


def test_a_worker_gives_a_sign_of_life_in_whole_seconds_after_half_of_the_timeout() -> None:
    signs = [Server(kind="gunicorn", processes=2, timeout_s=s).sign_of_life_s for s in (2, 3, 4)]

    assert signs == [1, 2, 2]
    assert STANDARD_SERVER.sign_of_life_s is None


@both_servers
def test_each_process_for_requests_has_metrics_of_its_own(server: Server) -> None:
    api = catalog.api(NAIVE, catalog.Site(ROOT, Path("/files"), None), server)

    ports = [url.rpartition(":")[2].removesuffix("/metrics") for url in api.metrics_urls]

    assert len(set(ports)) == 2
    assert api.env["OFFLOOP_METRICS_PORT"] == ",".join(ports)


@pytest.mark.medium
@both_servers
def test_several_processes_are_ready_together_and_answer_as_a_single_one(
    server: Server, tmp_path: Path, data_set: Mapping[str, str]
) -> None:
    answers = []
    for each in (STANDARD_SERVER, server):
        with serving(each, tmp_path / str(each.processes), data_set) as (_, api):
            assert len(starts(api)) == (each.processes or 1)
            answers.append(httpx.get(f"{api.url}/ping", trust_env=False))
        # Nor does either log requests.
        assert "/ping" not in (tmp_path / str(each.processes) / "naive.log").read_text()

    one, several = answers
    assert one.json() == several.json()
    # Neither server names itself, nor closes the connection.
    assert one.headers.keys() == several.headers.keys()
    assert not one.headers.keys() & {"server", "connection"}


@pytest.mark.medium
def test_a_replaced_worker_serves_its_metrics_on_the_same_port(
    tmp_path: Path, data_set: Mapping[str, str]
) -> None:
    with serving(GUNICORN, tmp_path, data_set) as (stack, api):
        before = starts(api)
        _, worker, _ = stack.pids()[api.name]

        os.kill(worker, signal.SIGKILL)
        wait_for(lambda: not psutil.pid_exists(worker))
        stack.wait_until_ready(api.name)

        after = starts(api)
        replaced = [old != new for old, new in zip(before, after, strict=True)]
        assert sorted(replaced) == [False, True]
        assert after[replaced.index(True)] > max(before)
