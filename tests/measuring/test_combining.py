"""From the blocks of a run to one value of a measure."""

from collections.abc import Sequence
from random import Random
from statistics import median

import pytest

from offloop.load.percentiles import nearest_rank
from offloop.measuring.catalogue import UnknownMeasureError
from offloop.measuring.combining import combined, in_block
from offloop.measuring.values import NEVER, Recorded, sample

#: Weights of four blocks: the run's own, and some that a bootstrap draws.
WEIGHTS = [(1, 1, 1, 1), (2, 0, 1, 1), (0, 0, 4, 0), (0, 3, 0, 1), (0, 0, 0, 0)]

PERCENTILES = {"p50_ms": 50, "p95_ms": 95, "p99_ms": 99}


def samples(*times: Sequence[float], of: str = "ping.response_ms") -> list[Recorded]:
    return [Recorded(samples={of: sample(each)}) for each in times]


def numbers(name: str, *values: float) -> list[Recorded]:
    return [Recorded({name: value}) for value in values]


def value(name: str, blocks: Sequence[Recorded], weights: Sequence[int] | None = None) -> object:
    found = combined(name, blocks)
    return None if found is None else found.value(weights or (1,) * len(blocks))


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("seed", range(5))
def test_samples_are_pooled_as_often_as_their_block_is_drawn(
    seed: int, weights: tuple[int, ...]
) -> None:
    random = Random(seed)  # noqa: S311 - not for secrets
    # Many ties, some without an answer, and a block without any request.
    times = [
        [random.choice([1.0, 4.0, 10.0, 12.0, random.random(), NEVER]) for _ in range(size)]
        for size in (0, 3, 40, 150)
    ]
    pooled = sorted(
        time for each, w in zip(times, weights, strict=True) for time in each for _ in range(w)
    )
    answered = [time for time in pooled if time != NEVER]
    harmed = sum(time > 10 for time in pooled) / len(pooled) if pooled else None
    blocks = samples(*times)

    for name, percent in PERCENTILES.items():
        assert value(f"ping.{name}", blocks, weights) == nearest_rank(pooled, percent)
    assert value("ping.answered_p99_ms", blocks, weights) == nearest_rank(answered, 99)
    assert value("ping.max_ms", blocks, weights) == max(pooled, default=None)
    assert value("ping.harmed_share", blocks, weights) == harmed


@pytest.mark.parametrize(
    ("name", "whole", "drawn"),
    [
        ("ping.failed", 1 + 5 + 2 + 8, 2 * 1 + 2 + 8),
        ("queue.depth_max", 8, 8),
        ("files.smallest_bytes", 1, 1),
        ("gzip.speedup", median([1, 5, 2, 8]), median([1, 1, 2, 8])),
    ],
)
def test_numbers_combine_as_their_kind_says(name: str, whole: float, drawn: float) -> None:
    blocks = numbers(name, 1, 5, 2, 8)

    assert value(name, blocks) == whole
    assert value(name, blocks, (2, 0, 1, 1)) == drawn
    assert value(name, blocks, (0, 0, 0, 0)) is None


@pytest.mark.parametrize("weights", WEIGHTS[:4])
def test_a_level_is_the_median_of_the_blocks_that_were_drawn(weights: tuple[int, ...]) -> None:
    levels = (3.0, 1.0, NEVER, 2.0)
    drawn = [each for each, w in zip(levels, weights, strict=True) for _ in range(w)]

    assert value("gzip.speedup", numbers("gzip.speedup", *levels), weights) == median(drawn)


@pytest.mark.parametrize(
    ("name", "has", "size"),
    [
        ("ping.p99_ms", samples([1.0, 2.0], [3.0])[0], 2),
        ("ping.failed", Recorded({"ping.failed": 0}), 1),
    ],
)
def test_without_the_measure_in_every_block_there_is_no_value(
    name: str, has: Recorded, size: int
) -> None:
    assert combined(name, [has, Recorded()]) is None
    assert combined(name, []) is None
    assert in_block(name, Recorded()) is None
    assert in_block(name, has) is not None
    both = combined(name, [has, has])
    assert both is not None
    assert both.n == 2 * size


def test_a_block_whose_sample_is_empty_adds_nothing_to_those_of_other_blocks() -> None:
    assert value("ping.p99_ms", samples([], [3.0])) == 3
    assert value("ping.p99_ms", samples([], [])) is None
    assert value("ping.answered_p99_ms", samples([NEVER], [NEVER])) is None


def test_a_percentile_that_falls_among_failures_never_came() -> None:
    half = [1.0, NEVER]

    assert value("ping.p50_ms", samples(half, half)) == 1
    assert value("ping.p99_ms", samples(half, half)) == NEVER


def test_a_name_that_is_no_measure_is_refused() -> None:
    with pytest.raises(UnknownMeasureError):
        combined("ping.p98_ms", [])
