import pytest

from offloop.load.retry_after import seconds_of


@pytest.mark.parametrize(("header", "seconds"), [("1", 1), (" 120 ", 120), ("0", 0)])
def test_seconds_are_read(header: str, seconds: int) -> None:
    assert seconds_of(header) == seconds


@pytest.mark.parametrize(
    "header", [None, "", "soon", "-1", "1.5", "Wed, 21 Oct 2026 07:28:00 GMT", object()]
)
def test_a_retry_after_without_seconds_is_ignored(header: object) -> None:
    assert seconds_of(header) is None
