"""Idempotency keys, as a server sees them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from pydantic import ValidationError

from offloop.load.generator import Generator
from offloop.load.plan import Plan, Stream
from tests.receiver import Receiver

pytestmark = pytest.mark.medium


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def keys_of(receiver: Receiver, path: str) -> list[str | None]:
    """The keys that requests for a path had, in the order in which they arrived."""
    asked = [delivery for delivery in receiver.deliveries if delivery.path == path]
    return [delivery.headers.get("idempotency-key") for delivery in asked]


def stream(receiver: Receiver, name: str, due_s: Sequence[float], keys: str | None) -> Stream:
    url = f"http://{receiver.host}"
    return Stream(name=name, path=f"/{name}", base_url=url, due_s=list(due_s), keys=keys)


def plan(*streams: Stream) -> Plan:
    return Plan(streams=list(streams), duration_s=1, drain_s=5, seed=7)


def test_each_request_has_a_key_of_its_own_in_quotes(
    generator: Generator, receiver: Receiver, tmp_path: Path
) -> None:
    generator.run(plan(stream(receiver, "a", [0.0, 0.1, 0.2], keys="a")), tmp_path)

    keys = keys_of(receiver, "/a")
    assert len(set(keys)) == 3
    assert all(key and key[0] == key[-1] == '"' for key in keys)


def test_a_repeated_order_has_the_key_of_the_first_one(
    generator: Generator, receiver: Receiver, tmp_path: Path
) -> None:
    first = stream(receiver, "first", [0.0, 0.1, 0.2], keys="order")
    again = stream(receiver, "again", [0.25, 0.35], keys="order")

    generator.run(plan(first, again), tmp_path)

    assert keys_of(receiver, "/again") == keys_of(receiver, "/first")[:2]


def test_streams_with_different_key_names_share_no_keys(
    generator: Generator, receiver: Receiver, tmp_path: Path
) -> None:
    both = (stream(receiver, "a", [0.0], keys="a"), stream(receiver, "b", [0.1], keys="b"))

    generator.run(plan(*both), tmp_path)

    assert keys_of(receiver, "/a") != keys_of(receiver, "/b")


def test_running_a_plan_again_sends_new_keys(
    generator: Generator, receiver: Receiver, tmp_path: Path
) -> None:
    """A server remembers those of the time before."""
    same = plan(stream(receiver, "a", [0.0], keys="a"))

    generator.run(same, tmp_path)
    generator.run(same, tmp_path)

    once, again = keys_of(receiver, "/a")
    assert once != again


def test_a_stream_without_keys_sends_none(
    generator: Generator, receiver: Receiver, tmp_path: Path
) -> None:
    generator.run(plan(stream(receiver, "a", [0.0], keys=None)), tmp_path)

    assert keys_of(receiver, "/a") == [None]


def test_a_key_name_that_is_invalid_in_a_header_is_refused(receiver: Receiver) -> None:
    with pytest.raises(ValidationError, match="keys"):
        stream(receiver, "a", [0.0], keys='a"\r\n')
