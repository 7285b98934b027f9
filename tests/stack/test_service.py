import pytest

from offloop.stack.errors import StackError
from offloop.stack.ports import free_port
from offloop.stack.service import HttpOk, RedisPong, Service


@pytest.mark.parametrize("name", ["", "../up", "two words", "Naive"])
def test_a_name_that_cannot_be_a_log_file_is_refused(name: str) -> None:
    with pytest.raises(StackError, match="cannot name a process"):
        Service(name, ("true",))


@pytest.mark.parametrize("nice", [-1, 20])
def test_a_niceness_out_of_range_is_refused(nice: int) -> None:
    with pytest.raises(StackError, match=f"niceness {nice}"):
        Service("service", ("true",), nice=nice)


def test_an_empty_command_is_refused() -> None:
    with pytest.raises(StackError, match="empty command"):
        Service("service", ())


def test_a_probe_that_gets_no_answer_says_what_it_asked_for() -> None:
    port = free_port()

    assert f"GET http://127.0.0.1:{port}/ready" in str(
        HttpOk(f"http://127.0.0.1:{port}/ready").missing()
    )
    assert f"port {port}" in str(RedisPong(port).missing())


def test_only_a_loopback_url_has_a_port_to_check() -> None:
    assert HttpOk("http://127.0.0.1:8000/ping").port == 8000
    assert HttpOk("http://example.org:8000/ping").port is None
