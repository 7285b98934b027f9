"""Ten times the orders that can be done, for a moment: the benchmark's own measurement, short."""

import pytest

from benchmarks.overload import QUEUE_LIMIT, Overload, measure

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def seen() -> Overload:
    return measure(seconds=12, calm_s=4, environment={"OFFLOOP_SCALE_FACTOR": "0.1"})


def test_every_order_is_answered_with_a_promise_or_a_refusal(seen: Overload) -> None:
    assert seen.statuses.keys() == {202, 503}


def test_the_queue_never_holds_more_than_its_limit_and_is_full(seen: Overload) -> None:
    assert QUEUE_LIMIT / 2 < seen.deepest <= QUEUE_LIMIT


def test_the_api_takes_hardly_more_memory(seen: Overload) -> None:
    before, after = seen.api_bytes

    assert after <= 1.1 * before
