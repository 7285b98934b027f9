import pytest

from offloop.bench.expressions import (
    Expression,
    Measures,
    Term,
    in_every_block,
    observe,
    seconds_of,
)

ARMS = {"naive": {"bystander.p99_ms": 500.0, "jobs.lost": 0.0}, "fixed": {"bystander.p99_ms": 5.0}}


def test_a_measure_belongs_to_the_arm_before_its_first_dot() -> None:
    assert Expression.parse("naive.bystander.p99_ms").terms == (Term("naive", "bystander.p99_ms"),)


@pytest.mark.parametrize(
    "text", ["naive.jobs.done / fixed.jobs.done", "naive.jobs.done/fixed.jobs.done"]
)
def test_a_ratio_is_worked_out_with_or_without_spaces(text: str) -> None:
    arms = {"naive": {"jobs.done": 8.0}, "fixed": {"jobs.done": 2.0}}

    assert Expression.parse(text).value(arms) == 4


@pytest.mark.parametrize(
    "text",
    ["", "naive", "naive.", ".p99_ms", "naive.p99_ms /", "naive.p99_ms - fixed.p99_ms", "1 / 2"],
)
def test_what_is_no_measure_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match=r"write ARM\.MEASURE") as refused:
        Expression.parse(text)

    assert repr(text) in str(refused.value)


def test_a_ratio_of_three_is_refused() -> None:
    with pytest.raises(ValueError, match="a ratio has two sides"):
        Expression.parse("a.b / c.d / e.f")


@pytest.mark.parametrize(
    "text",
    [
        "naive.bystander.p50_ms",
        "mine.bystander.p99_ms",
        "naive.bystander.p99_ms / fixed.bystander.p50_ms",
        "naive.bystander.p50_ms / fixed.bystander.p99_ms",
        "naive.bystander.p99_ms / naive.jobs.lost",
    ],
)
def test_without_one_side_or_with_nothing_to_divide_by_there_is_no_value(text: str) -> None:
    assert Expression.parse(text).value(ARMS) is None


def test_nothing_lost_is_a_value_and_not_a_missing_one() -> None:
    assert Expression.parse("naive.jobs.lost").value(ARMS) == 0


def test_a_ratio_is_taken_in_each_block_before_the_median() -> None:
    pairs = [(10.0, 1.0), (40.0, 20.0), (90.0, 30.0)]
    blocks = [{"naive": {"x": naive}, "fixed": {"x": fixed}} for naive, fixed in pairs]

    # The ratio of the medians would be 2.
    assert observe("naive.x / fixed.x", blocks) == 3


def test_the_seconds_of_all_blocks_are_looked_at_as_if_each_were_a_block() -> None:
    blocks = [
        {"a": {"x": 9.0, "second:0.x": 1.0, "second:3.x": 2.0}, "b": {"second:0.x": 4.0}},
        {"a": {"second:0.x": 3.0}},
    ]

    assert seconds_of(blocks) == [
        {"a": {"x": 1.0}, "b": {"x": 4.0}},
        {"a": {"x": 2.0}},
        {"a": {"x": 3.0}},
    ]
    assert observe("a.x", seconds_of(blocks)) == 2


def test_two_arms_are_compared_in_the_seconds_that_both_have() -> None:
    killed_in_the_second_one = {"second:0.x": 4.0}
    blocks = [{"a": killed_in_the_second_one, "b": {"second:0.x": 2.0, "second:1.x": 1.0}}] * 3

    assert observe("a.x / b.x", seconds_of(blocks)) == 2
    assert observe("a.y / b.x", seconds_of(blocks)) is None
    assert observe("c.x / b.x", seconds_of(blocks)) is None


def test_one_block_without_the_measure_leaves_nothing_to_observe() -> None:
    blocks: list[dict[str, Measures]] = [
        {"naive": {"x": 1.0}},
        {"naive": {}},
        {"naive": {"x": 3.0}},
    ]

    assert observe("naive.x", blocks) is None
    assert in_every_block("naive.x", blocks) is None


def test_a_block_in_which_an_arm_did_not_run_says_nothing_about_it() -> None:
    blocks: list[dict[str, Measures]] = [
        {"naive": {"x": 6.0}, "once": {"x": 2.0}},
        {"naive": {"x": 5.0}},
        {"naive": {"x": 4.0}},
    ]

    assert observe("once.x", blocks) == 2
    assert observe("naive.x / once.x", blocks) == 3
    assert observe("naive.x", blocks) == 5


def test_without_blocks_there_is_nothing_to_observe() -> None:
    assert observe("naive.x", []) is None
