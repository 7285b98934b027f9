"""Where callbacks may go."""

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.callbacks import Place, callback_allowed, parse_host

ALLOWED = ("shop.example", "127.0.0.1:8080", "[::1]:9000", "[2001:db8::1]")


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example",
        "https://shop.example/",
        "https://shop.example/hooks?of=reports",
        "http://shop.example/hooks",
        "https://SHOP.Example/hooks",
        "https://shop.example./hooks",
        "https://shop.example:443/hooks",
        "http://shop.example:80/hooks",
        "http://127.0.0.1:8080/hooks",
        "https://127.0.0.1:8080/hooks",
        "http://[::1]:9000/hooks",
        "http://[0:0:0:0:0:0:0:1]:9000/hooks",
        "https://[2001:DB8::1]/hooks",
    ],
)
def test_callbacks_may_go_to_an_allowed_host(url: str) -> None:
    assert callback_allowed(url, ALLOWED)


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example/hooks",
        "https://sub.shop.example/hooks",
        "https://shop.example.other.example/hooks",
        "https://ashop.example/hooks",
        "https://shop.example:8080/hooks",
        "https://shop.example:80/hooks",
        "http://shop.example:443/hooks",
        "http://127.0.0.1/hooks",
        "http://127.0.0.1:80800/hooks",
        "http://127.1:8080/hooks",
        "http://[::1]/hooks",
        "http://[::ffff:127.0.0.1]:8080/hooks",
        "http://[::1:9000/hooks",
        "http://[1:2:3]:9000/hooks",
        "ftp://shop.example/hooks",
        "//shop.example/hooks",
        "shop.example/hooks",
        "https:shop.example",
        "https://shop.example@other.example/hooks",
        "https://other.example@shop.example/hooks",
        "https://other.example\\@shop.example/hooks",
        "https://shop.example\\@other.example/hooks",
        "https://shop.example #@other.example/",
        "https://shop.example\n.other.example/",
        "https://shop.example%2eother.example/",
        "https://shop.example/a b",
        "https://shop.example..",
        "https://",
        "",
    ],
)
def test_callbacks_may_go_nowhere_else(url: str) -> None:
    assert not callback_allowed(url, ALLOWED)


def test_without_allowed_hosts_callbacks_go_nowhere() -> None:
    assert not callback_allowed("https://shop.example/hooks", ())


PIECES = st.sampled_from(
    [
        *("http:", "https:", "/", "//", "\\", "@", ":", "#", "?", ".", "%2f", "%40", " ", "\t"),
        *("shop.example", "SHOP.EXAMPLE", "other.example", "[::1]", "80", "443", "8080", "\uff0f"),
    ]
)


@settings(deadline=None, derandomize=True)
@given(st.lists(PIECES, max_size=8).map("".join).map("http://shop.example".__add__))
def test_a_client_that_delivers_reads_an_allowed_url_in_the_same_way(url: str) -> None:
    """The host that is checked is the host that is called, however the URL is twisted."""
    if callback_allowed(url, ["shop.example"]):
        read = httpx.URL(url)
        assert read.host.rstrip(".") == "shop.example"
        assert read.port in {None, 80}
        assert not read.userinfo


@pytest.mark.parametrize(
    ("allowed", "place"),
    [
        ("Shop.Example", Place("shop.example", None)),
        ("shop.example.", Place("shop.example", None)),
        ("localhost:8080", Place("localhost", 8080)),
        ("hooks_1:80", Place("hooks_1", 80)),
        ("[2001:DB8:0::1]:80", Place("2001:db8::1", 80)),
    ],
)
def test_an_allowed_host_is_read_with_its_port(allowed: str, place: Place) -> None:
    assert parse_host(allowed) == place


@pytest.mark.parametrize(
    "allowed", ["", "*", "*.shop.example", "https://shop.example", "::1", "[1:2]", "shop:x", "a b"]
)
def test_what_is_no_host_is_refused_with_how_to_write_one(allowed: str) -> None:
    with pytest.raises(ValueError, match="write host or host:port"):
        parse_host(allowed)
