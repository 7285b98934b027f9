"""A bench of an experiment without services."""

import signal
from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.cli.checkout import BENCH_HANG_S, END_HANG_S, Checkout, family, has_ended, read_until
from tests.waiting import wait_for

pytestmark = pytest.mark.slow

SLUG = "threads_share_the_gil"


@pytest.fixture
def small(checkout: Checkout, data_set: Mapping[str, str]) -> Checkout:
    """A checkout whose lines come from a small data set."""
    return replace(checkout, env=data_set)


def test_ctrl_c_keeps_the_blocks_so_far_and_leaves_no_process_of_a_pool(small: Checkout) -> None:
    bench = small.start("bench", SLUG, "--blocks", "2")
    read_until(bench, "block 2 of 2: fixed")
    wait_for(lambda: any("spawn_main" in " ".join(one.cmdline()) for one in family(bench)))
    everything = family(bench)

    bench.send_signal(signal.SIGINT)
    output, errors = bench.communicate(timeout=END_HANG_S)

    assert bench.returncode == 130
    assert "marked as interrupted" in output
    assert "Traceback" not in errors
    wait_for(lambda: all(map(has_ended, everything)))
    run = small.latest()
    assert run["interrupted"]
    (block,) = run["experiments"][SLUG]["blocks"]
    assert block.keys() == {"naive", "fixed", "more_threads"}


def test_a_program_that_ends_is_named_with_the_end_of_its_log(small: Checkout) -> None:
    bench = small.start("bench", SLUG, "--blocks", "2")
    read_until(bench, "block 1 of 2: naive")

    def programs() -> list[str]:
        return [" ".join(one.cmdline()) for one in family(bench)]

    wait_for(lambda: any("loadtests.bursts" in program for program in programs()))
    for one in family(bench):
        if "loadtests.bursts" in " ".join(one.cmdline()):
            one.kill()
    _, errors = bench.communicate(timeout=BENCH_HANG_S)

    assert bench.returncode == 2
    assert "Error: naive was ended by SIGKILL." in errors
    assert "Traceback" not in errors
    run = small.latest()
    assert run["verdict"] == "no_verdict"
    assert "naive was ended by SIGKILL" in run["experiments"][SLUG]["error"]
