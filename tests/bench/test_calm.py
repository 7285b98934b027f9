"""Which blocks are judged: by what others took of the machine, and by nothing else."""

from collections.abc import Sequence

from offloop.bench.calm import (
    DISTURBED,
    TAKEN,
    Block,
    calm_blocks,
    numbers,
    until_calm,
    without_the_others,
)


def blocks(*stolen: float) -> list[dict[str, dict[str, float]]]:
    return [{"naive": {TAKEN: 0.0}, "fixed": {TAKEN: share}} for share in stolen]


def judged(of: Sequence[Block]) -> list[int]:
    return calm_blocks(of, planned=len(of))


def run(planned: int, *taken: float) -> int:
    """How many blocks are run if this is taken from one after the other, and then nothing."""
    done: list[dict[str, dict[str, float]]] = []
    for number in numbers(planned, done):
        assert number == len(done)
        done += blocks(taken[number] if number < len(taken) else 0)
    return len(done)


def measured(*taken: float | None) -> tuple[int, list[float]]:
    """Which of three measurements at most counts, if this is taken from one after the other."""
    return until_calm(lambda number: (number, taken[number]), at_most=3)


def test_what_was_measured_on_a_quiet_machine_is_measured_once() -> None:
    assert measured(0.01) == (0, [0.01])


def test_what_was_disturbed_is_measured_again_and_the_calm_one_counts() -> None:
    assert measured(0.2, DISTURBED, 0.02) == (2, [0.2, DISTURBED, 0.02])


def test_where_none_is_calm_the_calmest_counts_and_says_so() -> None:
    assert measured(0.2, 0.08, 0.3) == (1, [0.2, 0.08, 0.3])


def test_where_the_machine_does_not_tell_one_measurement_has_to_do() -> None:
    assert measured(None) == (0, [0.0])


def test_on_a_quiet_machine_every_block_is_judged() -> None:
    assert judged(blocks(0, 0.01, 0, 0.02, DISTURBED / 2)) == [0, 1, 2, 3, 4]


def test_disturbed_blocks_are_left_out() -> None:
    assert judged(blocks(0, 0.2, 0, 0.06, 0.01)) == [0, 2, 4]


def test_more_than_half_of_the_blocks_are_judged_however_bad_the_day_is() -> None:
    assert judged(blocks(0.3, 0.2, 0.1, 0.4, 0.25)) == [1, 2, 4]
    assert judged(blocks(0.3, 0.2)) == [0, 1]


def test_where_an_even_number_is_calm_the_calmest_of_the_others_decides_between_them() -> None:
    assert judged(blocks(0.3, 0, 0.1, 0.2, 0)) == [1, 2, 4]
    assert judged(blocks(0.3, 0, 0, 0, 0)) == [0, 1, 2, 3, 4]
    assert calm_blocks(blocks(0.3, 0.2, 0.1, 0, 0), planned=3) == [2, 3, 4]


def test_what_was_taken_from_any_arm_counts() -> None:
    disturbed = {"naive": {TAKEN: 0.3}, "fixed": {TAKEN: 0.0}}

    assert judged([disturbed, *blocks(0, 0, 0)]) == [1, 2, 3]


def test_where_the_machine_does_not_tell_every_block_is_judged() -> None:
    assert judged([{"naive": {"x": 1.0}}, {"naive": {"x": 2.0}}]) == [0, 1]


def test_an_arm_that_ran_only_in_a_block_that_is_left_out_is_still_shown() -> None:
    first = {"naive": {"x": 1.0}, "once": {"x": 9.0}}
    others = [{"naive": {"x": 2.0}}, {"naive": {"x": 3.0}}]

    assert without_the_others([first, *others], [1, 2]) == [{"once": {"x": 9.0}}, *others]


def test_what_was_taken_from_an_arm_that_ran_once_does_not_count() -> None:
    first = {"naive": {TAKEN: 0.0}, "once": {TAKEN: 0.5}}
    others = [{"naive": {TAKEN: share}} for share in (0.0, 0.3, 0.2, 0.0)]

    assert judged([first, *others]) == [0, 1, 4]


def test_as_many_blocks_are_run_as_are_planned_while_more_than_half_are_calm() -> None:
    assert run(5) == 5
    assert run(5, 0.3, 0.3) == 5
    assert run(3, 0, 0.3, 0) == 3


def test_others_are_run_for_those_that_were_disturbed_until_more_than_half_are_calm() -> None:
    assert run(3, 0.3, 0.3, 0) == 4
    assert run(3, 0.3, 0.3, 0.3) == 5
    assert run(5, 0.3, 0.3, 0.3, 0, 0, 0.3) == 7
    assert calm_blocks(blocks(0.3, 0.2, 0, 0), planned=3) == [1, 2, 3]


def test_on_a_machine_that_is_never_quiet_there_is_an_end_all_the_same() -> None:
    assert run(3, *[0.3] * 99) == 5
    assert run(5, *[0.3] * 99) == 8
    assert calm_blocks(blocks(0.5, 0.3, 0.4, 0.2, 0.6), planned=3) == [1, 2, 3]
