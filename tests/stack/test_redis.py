import shutil
import signal
from importlib import metadata
from pathlib import Path

import psutil
import pytest
import redis

from offloop.stack.errors import StackError
from offloop.stack.ports import free_port
from offloop.stack.redis import embedded_redis
from offloop.stack.supervisor import Stack

#: None stands for the server that comes with the lab.
BINARIES = [None, *map(Path, filter(None, [shutil.which("redis-server")]))]


@pytest.fixture(params=BINARIES, ids=lambda binary: binary.name if binary else "embedded")
def server(request: pytest.FixtureRequest, stack: Stack) -> redis.Redis:
    service = embedded_redis(stack.folder / "redis", free_port(), request.param)
    stack.start(service)
    assert service.url is not None
    return redis.Redis.from_url(service.url)


@pytest.mark.medium
def test_an_acknowledged_write_survives_sigkill(stack: Stack, server: redis.Redis) -> None:
    with server:
        for number in range(100):
            server.set(f"key-{number}", number)

        stack.signal("redis", signal.SIGKILL)
        stack.restart("redis")

        assert server.dbsize() == 100
        assert server.get("key-99") == b"99"


@pytest.mark.medium
def test_it_never_evicts_never_snapshots_and_syncs_every_write(
    stack: Stack, server: redis.Redis
) -> None:
    names = ("appendonly", "appendfsync", "save", "maxmemory-policy")
    with server:
        assert server.config_get(*names) == {
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
            "maxmemory-policy": "noeviction",
        }


@pytest.mark.medium
def test_it_has_a_database_beside_the_queue(stack: Stack, server: redis.Redis) -> None:
    server.set("key", "queue")
    port = server.connection_pool.connection_kwargs["port"]

    with server, redis.Redis(port=port, db=1) as records:
        assert records.dbsize() == 0


@pytest.mark.medium
def test_it_listens_on_loopback_only(stack: Stack, server: redis.Redis) -> None:
    server.close()
    process = psutil.Process(stack.pids()["redis"][0])

    listening = {
        connection.laddr.ip
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }

    assert listening == {"127.0.0.1"}


def test_a_missing_binary_is_named_with_the_next_step(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(metadata, "files", lambda _: None)

    with pytest.raises(StackError, match=r"valkey-server is not installed .*OFFLOOP_REDIS_URL"):
        embedded_redis(tmp_path, free_port())


def test_a_binary_that_cannot_be_executed_is_named_with_the_next_step(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    binary = tmp_path / "valkey-server"
    binary.touch(mode=0o644)

    class Installed:
        name = "valkey-server"

        def locate(self) -> Path:
            return binary

    monkeypatch.setattr(metadata, "files", lambda _: [Installed()])

    with pytest.raises(StackError, match=r"is not executable\. Run `chmod"):
        embedded_redis(tmp_path, free_port())


def test_a_given_binary_that_does_not_exist_is_named(stack: Stack, tmp_path: Path) -> None:
    missing = tmp_path / "redis-server"
    service = embedded_redis(tmp_path / "redis", free_port(), missing)

    with pytest.raises(StackError, match=f"no program '{missing}'"):
        stack.start(service)
