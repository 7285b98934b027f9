import pytest
from pydantic import ValidationError

from offloop.load.plan import Plan, Stream


def stream(name: object = "ping", **changes: object) -> Stream:
    return Stream.model_validate(
        {"name": name, "path": "/ping", "base_url": "http://127.0.0.1:1", "due_s": [0.5], **changes}
    )


def plan(*streams: Stream, duration_s: float = 1.0) -> Plan:
    return Plan(streams=list(streams), duration_s=duration_s, drain_s=2, seed=7)


def test_a_plan_survives_serialisation() -> None:
    sent = plan(stream(body={"a": [1, None]}, expect={201, 202}, headers={"X": "y"}, follow=True))

    assert Plan.model_validate_json(sent.model_dump_json(by_alias=True)) == sent


def test_streams_are_merged_by_due_time() -> None:
    merged = plan(stream("a", due_s=[0.1, 0.5]), stream("b", due_s=[0.3])).merged()

    assert [(due_s, each.name) for due_s, each in merged] == [(0.1, "a"), (0.3, "b"), (0.5, "a")]


def test_the_deadline_is_the_end_of_the_drain() -> None:
    assert plan(stream()).deadline_s == 3


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"base_url": "ftp://host"}, "not the address of a web server"),
        ({"base_url": "127.0.0.1:8000"}, "not the address of a web server"),
        ({"base_url": "http://host?a=1"}, "query"),
        ({"path": "ping"}, "path"),
        ({"path": "/a b"}, "path"),
        ({"method": "G T"}, "method"),
        ({"headers": {"X": "a\r\nHost: b"}}, "headers"),
        ({"name": "schema"}, "choose another name"),
        ({"due_s": [0.2, 0.1]}, "ascend"),
        ({"due_s": [-0.1]}, "due_s"),
        ({"due": [0.1]}, "due"),
    ],
)
def test_a_stream_that_cannot_be_sent_is_refused(changes: dict[str, object], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        stream(**{"name": "ping", **changes})


def test_two_streams_of_one_name_are_refused() -> None:
    with pytest.raises(ValidationError, match="unique"):
        plan(stream(), stream())


def test_a_request_due_after_the_end_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"due at 0\.5 s, but the plan lasts 0\.4 s"):
        plan(stream(), duration_s=0.4)
