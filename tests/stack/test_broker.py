from pathlib import Path

import pytest

from offloop.stack.broker import REDIS_URL_VARIABLE, given_broker, without_password
from offloop.stack.errors import StackError
from offloop.stack.ports import free_port
from offloop.stack.redis import embedded_redis
from offloop.stack.supervisor import Stack


def test_without_the_variable_no_external_broker_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("", None):
        if value is None:
            monkeypatch.delenv(REDIS_URL_VARIABLE)
        else:
            monkeypatch.setenv(REDIS_URL_VARIABLE, value)

        assert given_broker() is None


@pytest.mark.parametrize("url", ["redis://:secret@127.0.0.1:{port}/0", "nonsense://x"])
def test_a_broker_that_cannot_be_used_is_explained_without_its_password(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(REDIS_URL_VARIABLE, url.format(port=free_port()))

    with pytest.raises(StackError) as failed:
        given_broker()

    message = str(failed.value)
    assert message.startswith(f"{REDIS_URL_VARIABLE} names ")
    assert "unset the variable" in message
    assert "secret" not in message


@pytest.mark.medium
def test_a_broker_that_answers_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Stack(tmp_path / "logs") as stack:
        server = embedded_redis(stack.folder / "redis", free_port())
        stack.start(server)
        monkeypatch.setenv(REDIS_URL_VARIABLE, f"{server.url}/0")

        assert given_broker() == f"{server.url}/0"


def test_a_url_is_shown_without_its_password() -> None:
    assert without_password("redis://me:secret@host:6379/1") == "redis://***@host:6379/1"
    assert without_password("redis://host:6379/1") == "redis://host:6379/1"
