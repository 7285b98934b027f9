"""Group commit: who shares a batch, and who shares its fate."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import chain

import pytest

from workers.batching import MAX_BATCH, Batcher


class Broker:
    """Takes batches, answers each only when told to, and each item with its double."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.errors: dict[int, Exception] = {}
        self.answer = asyncio.Semaphore(0)

    async def send(self, batch: list[int]) -> list[int]:
        self.batches.append(batch)
        await self.answer.acquire()
        for item in batch:
            if item in self.errors:
                raise self.errors[item]
        return [2 * item for item in batch]

    def answer_all(self) -> None:
        for _ in range(1000):
            self.answer.release()


def run(use: Callable[[Broker, Batcher[int, int]], Awaitable[None]]) -> Broker:
    async def main() -> Broker:
        broker = Broker()
        await use(broker, Batcher(broker.send))
        return broker

    return asyncio.run(main())


async def submitted(batcher: Batcher[int, int], items: range) -> list[asyncio.Task[int]]:
    """Submit the items, and return once they wait."""
    tasks = [asyncio.create_task(batcher.submit(item)) for item in items]
    for _ in range(3):  # the items, then the batcher's own task
        await asyncio.sleep(0)
    return tasks


def test_an_item_alone_waits_for_nobody() -> None:
    async def use(broker: Broker, batcher: Batcher[int, int]) -> None:
        broker.answer_all()
        for item in range(3):
            await batcher.submit(item)

    assert run(use).batches == [[0], [1], [2]]


def test_items_that_come_during_a_batch_share_the_next_one_in_their_order() -> None:
    async def use(broker: Broker, batcher: Batcher[int, int]) -> None:
        first = await submitted(batcher, range(1))
        others = await submitted(batcher, range(1, 11))
        broker.answer_all()
        assert await asyncio.gather(*first, *others) == [2 * item for item in range(11)]

    assert run(use).batches == [[0], list(range(1, 11))]


def test_no_item_is_answered_before_its_batch() -> None:
    async def use(broker: Broker, batcher: Batcher[int, int]) -> None:
        first = await submitted(batcher, range(1))
        others = await submitted(batcher, range(1, 3))
        broker.answer.release()
        await asyncio.gather(*first)
        assert not any(task.done() for task in others)
        broker.answer.release()
        await asyncio.gather(*others)

    run(use)


def test_a_batch_is_never_larger_than_its_limit() -> None:
    async def use(broker: Broker, batcher: Batcher[int, int]) -> None:
        broker.answer_all()
        await asyncio.gather(*await submitted(batcher, range(2 * MAX_BATCH + 1)))

    batches = run(use).batches
    assert [len(batch) for batch in batches] == [MAX_BATCH, MAX_BATCH, 1]
    assert list(chain.from_iterable(batches)) == list(range(2 * MAX_BATCH + 1))


def test_an_error_reaches_all_in_the_batch_and_nobody_else() -> None:
    async def use(broker: Broker, batcher: Batcher[int, int]) -> None:
        broker.errors[2] = ConnectionError("gone")
        first = await submitted(batcher, range(1))
        second = await submitted(batcher, range(1, 4))
        broker.answer_all()

        assert await asyncio.gather(*first) == [0]
        errors = await asyncio.gather(*second, return_exceptions=True)
        assert [str(error) for error in errors] == ["gone"] * 3
        await batcher.submit(4)

    assert run(use).batches == [[0], [1, 2, 3], [4]]


@pytest.mark.parametrize("fails", [False, True])
def test_a_waiter_that_gives_up_harms_nobody(*, fails: bool) -> None:
    async def use(broker: Broker, batcher: Batcher[int, int]) -> None:
        if fails:
            broker.errors[1] = ConnectionError("gone")
        leaves, stays, later = await submitted(batcher, range(3))
        leaves.cancel()
        stays.cancel()
        broker.answer_all()

        results = await asyncio.gather(leaves, stays, later, return_exceptions=True)

        assert [type(result) for result in results[:2]] == [asyncio.CancelledError] * 2
        assert str(results[2]) == ("gone" if fails else "4")
        await batcher.submit(3)

    assert run(use).batches[-1] == [3]
