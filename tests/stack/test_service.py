import pytest

from offloop.stack.errors import StackError
from offloop.stack.ports import free_port
from offloop.stack.service import AllReady, HttpOk, RedisPong, Running, Service


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


def test_a_probe_of_several_parts_is_ready_when_all_of_them_are() -> None:
    absent = HttpOk(f"http://127.0.0.1:{free_port()}/metrics")

    assert AllReady((Running(), Running())).missing() is None
    assert AllReady((Running(), absent)).missing() == absent.missing()


def test_a_probe_of_several_parts_checks_the_port_of_the_first() -> None:
    first, second = HttpOk("http://127.0.0.1:1/", deadline_s=5), HttpOk("http://127.0.0.1:2/")

    assert AllReady((first, second)).port == 1
    assert AllReady((first, second)).deadline_s == 5


def test_a_service_is_known_by_the_metrics_of_its_first_process() -> None:
    assert Service("service", ("true",), metrics_urls=("a", "b")).metrics_url == "a"
    assert Service("service", ("true",)).metrics_url is None


def test_only_a_loopback_url_has_a_port_to_check() -> None:
    assert HttpOk("http://127.0.0.1:8000/ping").port == 8000
    assert HttpOk("http://example.org:8000/ping").port is None
