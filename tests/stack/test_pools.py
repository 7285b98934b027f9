from collections import Counter
from typing import Any

import pytest
from pydantic import ValidationError

from offloop.stack.pools import STANDARD_POOLS, Pool
from offloop.stack.priorities import NICE_WORKER
from offloop.stack.queues import QUEUES


def test_a_pool_by_default_has_low_priority_and_does_not_prefetch() -> None:
    pool = Pool(queues=("long",), slots=2)

    assert (pool.nice, pool.prefetch) == (NICE_WORKER, 1)


def test_the_standard_pools_serve_each_queue_with_one_slot_of_its_own() -> None:
    assert Counter(pool.queues for pool in STANDARD_POOLS.values()) == {
        (queue,): 1 for queue in QUEUES
    }
    assert {pool.slots for pool in STANDARD_POOLS.values()} == {1}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"queues": [], "slots": 1}, "queues"),
        ({"queues": ["lnog"], "slots": 1}, "'lnog' is not a queue of the job tier; there is short"),
        (
            {"queues": ["long", "short", "long"], "slots": 1},
            "is named twice in long, short, long",
        ),
        ({"queues": ["long"]}, "slots\n  Field required"),
        ({"queues": ["long"], "slots": 0}, "greater than 0"),
        ({"queues": ["long"], "slots": 1, "nice": -1}, "greater than or equal to 0"),
        ({"queues": ["long"], "slots": 1, "nice": 20}, "less than or equal to 19"),
        ({"queues": ["long"], "slots": 1, "prefetch": 0}, "greater than 0"),
        ({"queues": ["long"], "slot": 1}, "no key 'slot'; there is queues, slots, nice, prefetch"),
    ],
)
def test_an_invalid_pool_is_refused_with_the_allowed_values(
    table: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        Pool.model_validate(table)

    assert said in str(refused.value)
