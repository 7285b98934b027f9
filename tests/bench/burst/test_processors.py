import subprocess
import sys

import pytest

from offloop.bench.burst.processors import Processors

BEFORE = Processors(total_s=100.0, free_s=50.0, ours_s=3.0)

#: Uses half a second of a processor.
BUSY = "import time\nwhile time.process_time() < 0.5: pass"


def test_time_that_is_neither_idle_nor_ours_was_taken_by_other_programs() -> None:
    after = Processors(total_s=120.0, free_s=55.0, ours_s=16.0)

    assert after.taken_since(BEFORE) == pytest.approx(0.1)


def test_the_share_taken_by_other_programs_is_never_negative() -> None:
    after = Processors(total_s=120.0, free_s=60.0, ours_s=13.01)

    assert after.taken_since(BEFORE) == 0


def test_without_elapsed_time_the_share_taken_is_unknown() -> None:
    assert BEFORE.taken_since(BEFORE) is None


def test_the_time_of_a_child_that_has_ended_is_ours() -> None:
    before = Processors.now()

    subprocess.run([sys.executable, "-c", BUSY], check=True)

    after = Processors.now()
    # Both clocks tick in hundredths of a second.
    assert after.ours_s - before.ours_s >= 0.45
    assert after.total_s - before.total_s >= 0.45
