"""Loopback ports for services, each of them given to one service only.

A port from the kernel's ephemeral range can be taken, between choosing and listening, by any
outgoing connection on the machine; so ports are chosen outside that range. Two labs choosing at
once are kept apart by a reservation: the UDP socket of the same number, held by this process, which
the kernel releases however the process ends.
"""

import contextlib
import os
import random
import socket
import threading
from collections import deque
from pathlib import Path

from offloop.stack.errors import StackError

LOOPBACK = "127.0.0.1"

#: Below are the well-known ports and the defaults of most databases and web servers.
LOWEST = 10_000
HIGHEST = 65_535

_LINUX_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")

#: IANA's dynamic ports, which macOS and the BSDs use for outgoing connections (RFC 6335).
_DEFAULT_RANGE = (49_152, 65_535)

#: Reservations matter only until the service listens, so old ones give their descriptor back.
_HELD_AT_ONCE = 64

_ATTEMPTS = 1_000

_lock = threading.Lock()
_handed_out: set[int] = set()
_reservations: deque[int] = deque()
# Not the shared generator: two labs that seed `random` for a repeatable load must not draw the same
# ports.
_random = random.SystemRandom()


def ephemeral_range() -> tuple[int, int]:
    """The ports, both ends included, that the kernel gives to outgoing connections."""
    try:
        low, high = _LINUX_RANGE.read_text().split()
    except OSError:
        return _DEFAULT_RANGE
    return int(low), int(high)


def candidates(ephemeral: tuple[int, int]) -> list[int]:
    """Ports to choose from: at or above `LOWEST` and outside the ephemeral range.

    Where the ephemeral range leaves none (some servers use 1024-65535) every port from `LOWEST` on
    is a candidate: a small chance of losing one is better than no lab.
    """
    low, high = ephemeral
    outside = [port for port in range(LOWEST, HIGHEST + 1) if not low <= port <= high]
    return outside or list(range(LOWEST, HIGHEST + 1))


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose last connections are in TIME_WAIT can be listened on.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A loopback port outside the ephemeral range, without a listener.

    Chosen at random, and never handed out twice by one process.

    Raises:
        StackError: If no free port was found.
    """
    choice = candidates(ephemeral_range())
    with _lock:
        for _ in range(_ATTEMPTS):
            port = _random.choice(choice)
            if port not in _handed_out and is_free(port) and _reserve(port):
                _handed_out.add(port)
                return port
    raise StackError(
        f"no free port on {LOOPBACK} after {_ATTEMPTS} attempts between {choice[0]} and "
        f"{choice[-1]}: end some of the servers listening there (see `lsof -iTCP -sTCP:LISTEN`)."
    )


def this_or_free_port(wanted: int) -> int:
    """Return a certain loopback port; a free one where something listens on it.

    Raises:
        StackError: If no free port was found.
    """
    with _lock:
        if wanted not in _handed_out and is_free(wanted) and _reserve(wanted):
            _handed_out.add(wanted)
            return wanted
    return free_port()


def _reserve(port: int) -> bool:
    with contextlib.ExitStack() as undo:
        reservation = undo.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        try:
            reservation.bind((LOOPBACK, port))
        except OSError:
            return False
        undo.pop_all()
    # A bare descriptor: the kernel closes what is still reserved when the process ends.
    _reservations.append(reservation.detach())
    if len(_reservations) > _HELD_AT_ONCE:
        os.close(_reservations.popleft())
    return True
