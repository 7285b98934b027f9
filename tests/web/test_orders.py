"""What may be ordered beside the spec."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from reports.spec import ReportSpec
from web.orders import MAX_URL_LENGTH, ReportOrder
from workers.callbacks import callback_allowed

SPEC: dict[str, Any] = {"shipped_from": "1995-03-01", "shipped_to": "1995-03-31"}


def order(callback_url: object) -> ReportOrder:
    return ReportOrder.model_validate({**SPEC, "callback_url": callback_url})


def rules(callback_url: object) -> list[str]:
    """The rules that a callback URL breaks."""
    try:
        order(callback_url)
    except ValidationError as refused:
        return [error["type"] for error in refused.errors()]
    return []


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example",
        "http://shop.example/hooks/reports?of=7&by=%C3%A4",
        "https://shop.example?of=7",
        "http://127.0.0.1:8080/hooks",
        "http://worker_1:65535/",
        "https://[2001:db8::7]:8443/hooks",
        "https://shop.example/".ljust(MAX_URL_LENGTH, "x"),
    ],
)
def test_a_callback_url_is_kept_as_it_is_written(url: str) -> None:
    assert order(url).callback_url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example/hooks",
        "//shop.example/hooks",
        "https:shop.example",
        "https:///hooks",
        "ftp://shop.example/",
        "javascript://shop.example/%0aalert(1)",
        "https://me@shop.example/",
        "https://me:secret@shop.example/",
        "https://shop.example/#top",
        "https://shop.example\\hooks",
        "https://shop.example/a b",
        "https://shop.example/\n",
        "https://shop.example/\u00e4",
        "https://sh\u00f6p.example/",
        "https://shop.example/%zz",
        "https://shop.example:port/",
        "https://shop.example/".ljust(MAX_URL_LENGTH + 1, "x"),
    ],
)
def test_a_callback_that_is_no_plain_url_is_refused(url: str) -> None:
    assert rules(url) == ["callback_url"]


@pytest.mark.parametrize(
    "url", ["https://shop.example:65536/", "https://[1:2]/", "https://300.0.0.1/"]
)
def test_a_callback_url_with_an_invalid_address_is_refused(url: str) -> None:
    assert rules(url) == ["callback_address"]


def test_a_callback_url_is_text() -> None:
    assert rules(7) == ["string_type"]


def test_an_order_is_validated_as_a_spec() -> None:
    with pytest.raises(ValidationError, match="swap them"):
        ReportOrder.model_validate({**SPEC, "shipped_from": "1995-04-01"})


def test_the_spec_does_not_depend_on_the_callback() -> None:
    specs = [order(url).spec for url in (None, "https://shop.example/")]

    assert specs == [ReportSpec.model_validate(SPEC)] * 2
    assert {type(spec) for spec in specs} == {ReportSpec}


PATTERN = ReportOrder.model_json_schema()["properties"]["callback_url"]["anyOf"][0]["pattern"]


@settings(deadline=None, derandomize=True)
@given(st.from_regex(PATTERN, fullmatch=True).filter(lambda url: not url.endswith("\n")))
def test_callback_urls_that_match_the_schema_are_accepted(url: str) -> None:
    """But for addresses that cannot be, which a pattern has no words for."""
    host = re.split("[/?]", url)[2]

    assert rules(url) == ["callback_address"] or callback_allowed(url, [host])
