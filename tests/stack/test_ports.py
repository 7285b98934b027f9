import socket
import subprocess
import sys

import pytest

from offloop.stack import ports
from offloop.stack.errors import StackError

ONE_PORT = "from offloop.stack import ports; ports.candidates = lambda _: [{}]; "


def test_a_port_is_never_handed_out_twice() -> None:
    given = [ports.free_port() for _ in range(200)]

    assert len(set(given)) == len(given)


def test_ports_are_outside_the_ephemeral_range() -> None:
    low, high = ports.ephemeral_range()

    assert all(not low <= ports.free_port() <= high for _ in range(50))


def test_a_port_can_be_listened_on() -> None:
    with socket.create_server((ports.LOOPBACK, ports.free_port())):
        pass


def test_ports_above_the_ephemeral_range_are_used_too() -> None:
    assert max(ports.candidates((20_000, 60_000))) == ports.HIGHEST
    assert ports.candidates((20_000, 60_000))[0] == ports.LOWEST


def test_an_ephemeral_range_that_covers_everything_still_leaves_ports() -> None:
    assert len(ports.candidates((1_024, 65_535))) == ports.HIGHEST - ports.LOWEST + 1


def test_a_port_with_a_listener_is_not_free() -> None:
    port = ports.free_port()
    with socket.create_server((ports.LOOPBACK, port)):
        assert not ports.is_free(port)


@pytest.mark.medium
def test_two_labs_are_not_given_the_same_port() -> None:
    port = ports.free_port()
    other_lab = ONE_PORT.format(port) + "ports.free_port()"

    ended = subprocess.run(
        [sys.executable, "-c", other_lab], check=False, capture_output=True, text=True
    )

    assert "no free port" in ended.stderr


def test_running_out_of_ports_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = ports.free_port()
    monkeypatch.setattr(ports, "candidates", lambda _: [taken])

    with pytest.raises(StackError, match=r"no free port .* end some of the servers"):
        ports.free_port()
