"""Where callbacks may go: the rule that both the accepting and the delivering side apply."""

import re
from collections.abc import Iterable
from ipaddress import AddressValueError, IPv6Address
from typing import NamedTuple

_DEFAULT_PORTS = {"http": 80, "https": 443}

_PLACE = r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?"

_ALLOWED = re.compile(_PLACE)

# Nothing but a host and a port may stand between the slashes: where a user, a backslash or white
# space is possible, parsers disagree about which host is meant.
_URL = re.compile(rf"(?P<scheme>https?)://{_PLACE}(?:[/?][\x21-\x7e]*)?")


class Place(NamedTuple):
    """A host, in the one spelling that is compared, and a port if one was given."""

    host: str
    port: int | None


def parse_host(allowed: str) -> Place:
    """Read an allowed host, written as ``host`` or ``host:port``; IPv6 addresses in brackets.

    Raises:
        ValueError: It is written in another way.
    """
    match = _ALLOWED.fullmatch(allowed)
    place = _place(match) if match else None
    if place is None:
        raise ValueError(
            f"{allowed!r} is no host that callbacks could go to: write host or host:port, and IPv6 "
            "addresses in brackets, such as shop.example, 10.0.0.7:8080 or [::1]:8080"
        )
    return place


def callback_allowed(url: str, hosts: Iterable[str]) -> bool:
    """Whether a callback may go to ``url``.

    Args:
        url: Of the callback.
        hosts: Where callbacks may go. ``host`` allows the default ports of http and https, and
            ``host:port`` that port only. Letter case and the dot after a full domain name make no
            difference; subdomains are other hosts.

    Raises:
        ValueError: One of the ``hosts`` is none.
    """
    match = _URL.fullmatch(url)
    place = _place(match) if match else None
    if match is None or place is None:
        return False
    default = _DEFAULT_PORTS[match["scheme"]]
    meant = Place(place.host, place.port or default)
    return any(Place(host, port or default) == meant for host, port in map(parse_host, hosts))


def _place(match: re.Match[str]) -> Place | None:
    host = match["host"].lower().removesuffix(".")
    if host.startswith("["):
        try:
            host = str(IPv6Address(host[1:-1]))
        except AddressValueError:
            return None
    return Place(host, int(match["port"]) if match["port"] else None)
