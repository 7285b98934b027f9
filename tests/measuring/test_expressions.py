import pytest

from offloop.measuring.expressions import Expression, Term
from offloop.measuring.values import NEVER, Block, Recorded, second_of
from tests.bench.support import Values, measured

P99S = "naive.ping.p99_ms / fixed.ping.p99_ms"


def block(**arms: Values) -> Block:
    return {arm: measured(values) for arm, values in arms.items()}


def value(text: str, *blocks: Block) -> float | None:
    observed = Expression.parse(text).over(blocks)
    return None if observed is None else observed.value


def test_a_measure_belongs_to_the_arm_before_its_first_dot() -> None:
    assert Expression.parse("naive.bystander.p99_ms").terms == (Term("naive", "bystander.p99_ms"),)


@pytest.mark.parametrize(
    "text", ["naive.jobs.count / fixed.jobs.count", "naive.jobs.count/fixed.jobs.count"]
)
def test_a_ratio_is_worked_out_with_or_without_spaces(text: str) -> None:
    assert value(text, block(naive={"jobs.count": 8}, fixed={"jobs.count": 2})) == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        *((text, r"write ARM\.MEASURE") for text in ("", "naive", "naive.", ".p99_ms", "1 / 2")),
        *((f"naive.p99_ms {more}", r"write ARM\.MEASURE") for more in ("/", "- fixed.p99_ms")),
        ("a.p50_ms / b.p50_ms / c.p50_ms", "a ratio has two sides"),
        ("naive.bystander.p98_ms", "is no measure: the nearest is"),
    ],
)
def test_an_invalid_measure_is_refused_with_the_correct_form(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Expression.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "naive.ping.run_p50_ms",
        "mine.ping.p99_ms",
        "naive.ping.p99_ms / fixed.ping.run_p50_ms",
        "naive.ping.run_p50_ms / fixed.ping.p99_ms",
        "naive.ping.p99_ms / naive.jobs.lost",
    ],
)
def test_a_ratio_with_a_missing_side_or_a_zero_denominator_has_no_value(text: str) -> None:
    both = block(naive={"ping.p99_ms": 500, "jobs.lost": 0}, fixed={"ping.p99_ms": 5})

    assert value(text, both) is None
    assert value(text) is None
    assert Expression.parse(text).in_each([both]) is None


def test_zero_is_a_value_and_not_missing() -> None:
    assert value("naive.jobs.lost", block(naive={"jobs.lost": 0})) == 0


@pytest.mark.parametrize(
    ("naive", "fixed", "ratio"), [(NEVER, 5, NEVER), (5, NEVER, 0), (NEVER, NEVER, None)]
)
def test_never_is_longer_than_every_measured_time(
    naive: float, fixed: float, ratio: float | None
) -> None:
    assert value(P99S, block(naive={"ping.p99_ms": naive}, fixed={"ping.p99_ms": fixed})) == ratio


def test_each_side_of_a_ratio_is_combined_over_all_blocks_before_it_is_divided() -> None:
    blocks = [
        block(naive={"gzip.speedup": naive}, fixed={"gzip.speedup": fixed})
        for naive, fixed in [(10, 1), (40, 20), (90, 30)]
    ]
    ratio = Expression.parse("naive.gzip.speedup / fixed.gzip.speedup")

    assert value(str(ratio.numerator), *blocks) == 40
    observed = ratio.over(blocks)
    assert observed is not None
    assert (observed.value, observed.n, observed.blocks) == (2, 3, 3)
    assert ratio.in_each(blocks) == [10, 2, 3]


def test_both_arms_of_a_ratio_are_drawn_from_the_same_block() -> None:
    # A machine that was slower in some blocks was so for both.
    blocks = [
        block(naive={"jobs.cpu_us_per_line": 3 * pace}, fixed={"jobs.cpu_us_per_line": pace})
        for pace in (1, 2, 5)
    ]
    observed = Expression.parse("naive.jobs.cpu_us_per_line / fixed.jobs.cpu_us_per_line").over(
        blocks
    )

    assert observed is not None
    assert observed.interval == (3, 3)


def test_one_block_has_no_interval_and_the_values_of_the_smaller_sample() -> None:
    few, many = {"ping.response_ms": (8.0, 9.0)}, {"ping.response_ms": (1.0, 2.0, 3.0)}
    observed = Expression.parse(P99S).over([block(naive=few, fixed=many)])

    assert observed is not None
    assert (observed.value, observed.interval, observed.n) == (3, None, 2)


def test_one_block_without_the_measure_leaves_no_value() -> None:
    blocks = [block(naive={"ping.p99_ms": 1}), block(naive={}), block(naive={"ping.p99_ms": 3})]

    assert value("naive.ping.p99_ms", *blocks) is None
    assert Expression.parse("naive.ping.p99_ms").in_each(blocks) is None


def test_a_block_in_which_an_arm_did_not_run_does_not_count_for_it() -> None:
    blocks = [
        block(naive={"gzip.speedup": 6}, once={"gzip.speedup": 2}),
        block(naive={"gzip.speedup": 5}),
        block(naive={"gzip.speedup": 4}),
    ]

    assert value("once.gzip.speedup", *blocks) == 2
    assert value("naive.gzip.speedup / once.gzip.speedup", *blocks) == 3
    assert value("naive.gzip.speedup", *blocks) == 5


def seconds(**ms: float) -> Recorded:
    """What pings waited in some seconds of a block, by their numbers: ``_3=8``."""
    return Recorded(
        samples={
            f"{second_of(int(number[1:]), 'ping')}.response_ms": (each,)
            for number, each in ms.items()
        }
    )


def test_the_typical_second_is_the_median_of_the_seconds_that_both_arms_have() -> None:
    blocks = [
        {"naive": seconds(_0=8, _1=80, _10=9), "fixed": seconds(_0=4, _1=8, _10=9, _11=1)},
        {"naive": seconds(_0=9), "fixed": seconds(_0=3)},
        {"fixed": seconds(_0=1)},
    ]

    # 2, 10, 1 and 3.
    assert Expression.parse(P99S).typical_second(blocks) == 2.5
    assert Expression.parse("naive.ping.failed").typical_second(blocks) is None
