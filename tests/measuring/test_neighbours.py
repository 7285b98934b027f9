"""Which processes outside of the lab used the machine: pure, but for one look."""

import os

import pytest

from offloop.measuring.neighbours import Process, look, named, outside, used_between

INIT, SHELL, MAKE, COMPILER = 1, 40, 4700, 4711


def process(parent: int, own_s: float = 0.0, children_s: float = 0.0) -> Process:
    return Process("any", parent, own_s, children_s)


def test_a_process_has_used_what_its_clock_gained() -> None:
    assert used_between({MAKE: process(INIT, 3)}, {MAKE: process(INIT, 5)}) == {MAKE: 2}


def test_all_the_time_of_a_process_started_in_between_counts() -> None:
    before = {MAKE: process(INIT)}

    used = used_between(before, {**before, COMPILER: process(MAKE, 2, 1)})

    assert used == {MAKE: 0, COMPILER: 3}


def test_short_lived_children_count_for_the_parent_that_waited_for_them() -> None:
    assert used_between(
        {MAKE: process(INIT, 1, children_s=10)}, {MAKE: process(INIT, 1, children_s=14)}
    ) == {MAKE: 4}


def test_earlier_time_of_a_child_does_not_count_when_its_parent_reaps_it() -> None:
    before = {MAKE: process(INIT), COMPILER: process(MAKE, 10)}

    assert used_between(before, {MAKE: process(INIT, 0, children_s=11)}) == {MAKE: 1}


def test_earlier_time_of_two_generations_does_not_count_for_their_parent() -> None:
    before = {
        SHELL: process(INIT, 0, children_s=1),
        MAKE: process(SHELL, 2),
        COMPILER: process(MAKE, 10),
    }

    assert used_between(before, {SHELL: process(INIT, 0, children_s=16)}) == {SHELL: 3}


def test_a_child_that_its_parent_did_not_wait_for_takes_nothing_from_the_parent() -> None:
    before = {MAKE: process(INIT, 1), COMPILER: process(MAKE, 10)}

    assert used_between(before, {MAKE: process(INIT, 3)}) == {MAKE: 2}


def test_a_process_id_that_is_used_again_is_a_new_process() -> None:
    assert used_between({MAKE: process(INIT, 100)}, {MAKE: process(INIT, 2)}) == {MAKE: 2}


def test_the_lab_and_its_descendants_are_not_outside() -> None:
    table = {
        INIT: process(0),
        SHELL: process(INIT),
        50: process(SHELL),
        51: process(50),
        MAKE: process(SHELL),
    }

    assert outside(table, lab=[50], this=60) == [INIT, SHELL, MAKE]


def test_other_children_of_the_measuring_process_are_outside_of_the_lab() -> None:
    table = {INIT: process(0), 60: process(INIT), 61: process(60), MAKE: process(60)}

    assert outside(table, lab=[60, 61], this=60) == [INIT, MAKE]


def test_a_cycle_of_parents_does_not_loop_forever() -> None:
    assert outside({12: process(13), 13: process(12)}, lab=[], this=1) == [12, 13]


def test_the_largest_shares_are_named_first_and_small_ones_are_not() -> None:
    seconds = {"make": 0.2, "cc1plus": 3.1, "sshd": 0.09, "host": 0.4}

    assert named(seconds, total_s=10) == ("cc1plus 31%", "host 4%", "make 2%")


def test_the_three_largest_shares_are_named() -> None:
    assert named({"a": 4, "b": 3, "c": 2, "d": 1}, total_s=10) == ("a 40%", "b 30%", "c 20%")


@pytest.mark.medium
def test_the_process_table_has_this_process_and_its_parent() -> None:
    found = look()[os.getpid()]

    assert found.parent == os.getppid()
    assert found.own_s > 0
