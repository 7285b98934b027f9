import math

import pytest

from offloop.bench.capacity import slots_serving, utilisation
from offloop.stack.pools import Pool

SHARED = {"shared": Pool(queues=("short", "long"), slots=2)}
APART = {"short": Pool(queues=("short",), slots=1), "long": Pool(queues=("long",), slots=1)}


def test_a_slot_that_serves_several_queues_counts_once() -> None:
    assert slots_serving(["short"], SHARED) == 2
    assert slots_serving(["short", "long"], SHARED) == 2
    assert slots_serving(["long"], APART) == 1


def test_slots_that_share_all_queues_share_all_work() -> None:
    assert utilisation({"short": 0.2, "long": 1.0}, SHARED) == pytest.approx(0.6)


def test_slots_with_separate_queues_do_not_share_work() -> None:
    assert utilisation({"short": 0.2, "long": 1.0}, APART) == pytest.approx(1.0)


def test_a_shared_pool_counts_for_every_queue_that_it_serves() -> None:
    helped = {**APART, "both": Pool(queues=("short", "long"), slots=1)}

    assert utilisation({"short": 0.0, "long": 1.8}, helped) == pytest.approx(0.9)
    assert utilisation({"short": 1.2, "long": 1.8}, helped) == pytest.approx(1.0)


def test_a_queue_without_slots_has_infinite_utilisation() -> None:
    assert utilisation({"short": 0.1, "long": 0.1}, {"long": APART["long"]}) == math.inf
