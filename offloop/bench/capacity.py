"""How much of what a tier can do is asked of it: pure functions."""

from collections.abc import Collection, Iterable, Mapping
from itertools import chain, combinations

from offloop.stack.pools import Pool


def slots_serving(queues: Collection[str], pools: Mapping[str, Pool]) -> int:
    """Count the slots that serve at least one of these queues."""
    return sum(pool.slots for pool in pools.values() if not set(queues).isdisjoint(pool.queues))


def utilisation(busy: Mapping[str, float], pools: Mapping[str, Pool]) -> float:
    """Return how busy those slots are that have most to do.

    Work of some queues can keep up only if the slots that serve any of them can do it all, and if
    that holds for every choice of queues, it can (Hall's condition).

    Args:
        busy: Queue -> seconds of work that arrive in a second.
        pools: The slots.

    Returns:
        Seconds of work for each second of a slot: above 1 a queue grows for ever, and infinite
        where no slot serves a queue.
    """
    return max(
        (_utilisation(sum(busy[queue] for queue in queues), queues, pools))
        for queues in _choices(busy)
    )


def _utilisation(busy: float, queues: Collection[str], pools: Mapping[str, Pool]) -> float:
    slots = slots_serving(queues, pools)
    return busy / slots if slots else float("inf")


def _choices(queues: Collection[str]) -> Iterable[tuple[str, ...]]:
    return chain.from_iterable(combinations(queues, size + 1) for size in range(len(queues)))
