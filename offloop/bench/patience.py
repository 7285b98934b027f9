"""Patience with a machine that is not quiet: waiting a little, and repeating what was disturbed."""

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import NamedTuple, TypeVar

from offloop.bench.judging import Measured, block_values
from offloop.bench.results import Discarded, ExperimentResult, Noise
from offloop.errors import OffloopError
from offloop.measuring.noise import Busy, is_quiet, wait_for_quiet
from offloop.measuring.values import Recorded

#: How often an arm runs in one block, at most, until nothing disturbs it.
ATTEMPTS = 3

#: Seconds to wait for a quiet machine, at most: each time, and altogether in one experiment that
#: is not a quick run.
WAIT_S = 20.0
WAITS_S = 90.0

_Pids = Callable[[], Mapping[str, Sequence[int]]]


_Found = TypeVar("_Found")


def until_quiet(
    measure: Callable[[int], tuple[_Found, float | None]], at_most: int
) -> tuple[_Found, float | None]:
    """Measure something, and again as long as other programs disturb it.

    Args:
        measure: Is given how often it was called before; returns what it found, and the share of
            the machine that other programs had, if that is known.
        at_most: How often it is called at most.

    Returns:
        What was found when other programs had least, and what they had then.
    """
    found: list[tuple[_Found, float | None]] = []
    for number in range(at_most):
        found.append(measure(number))
        if is_quiet(found[-1][1]):
            break
    return min(found, key=lambda each: each[1] or 0.0)


class MachineBusyError(OffloopError):
    """Other programs have the machine, and the run was asked to stop then."""

    def __init__(self, busy: Busy) -> None:
        super().__init__(
            f"{busy}. End these, or run it with `--if-busy go-on`, which discards and repeats what "
            "they disturb."
        )


class Attempt(NamedTuple):
    """One run of an arm in a block.

    Attributes:
        recorded: What was measured.
        taken: Share of the machine's CPU time that other programs had; None if not known.
        taken_by: What took it, most first.
    """

    recorded: Recorded
    taken: float | None
    taken_by: Sequence[str] = ()


class Patience:
    """What one experiment may spend on a machine that is not quiet.

    Args:
        result: Noise and discarded runs are noted there.
        measured: So are discarded runs, for what must never happen in any.
        tell: Is told what is waited for.
        reruns: How many runs of arms may be repeated.
        waits_s: Seconds to wait for a quiet machine altogether, at most.
        stop: Whether to stop where the machine does not become quiet.
    """

    def __init__(  # noqa: PLR0913 - what is noted where, and the limits
        self,
        result: ExperimentResult,
        measured: Measured,
        tell: Callable[[str], None],
        *,
        reruns: int,
        waits_s: float,
        stop: bool,
    ) -> None:
        self._result = result
        self._measured = measured
        self._tell = tell
        self._reruns = reruns
        self._stop = stop
        self._wait_s = waits_s

    def wait(self, pids: _Pids, step: str) -> bool:
        """Wait a little for a quiet machine, and say what takes it; then go on, or stop.

        Args:
            pids: Gives the process ids of everything that belongs to the lab, by name.
            step: What is about to be done.

        Returns:
            Whether the machine is quiet now.

        Raises:
            MachineBusyError: the machine is not quiet, and the run is to stop then.
        """
        began_s = time.monotonic()
        busy = wait_for_quiet(pids, min(WAIT_S, self._wait_s), self._tell)
        self._wait_s = max(0.0, self._wait_s - (time.monotonic() - began_s))
        if busy is not None:
            self.note(step, busy.taken, busy.by)
            if self._stop:
                raise MachineBusyError(busy)
        return busy is None

    def note(self, step: str, taken: float | None, by: Sequence[str]) -> None:
        """Note what took the machine during a step, if that disturbed it."""
        if not is_quiet(taken):
            noise = Noise(step=step, taken_share=taken or 0.0, taken_by=tuple(by))
            self._result.noise.append(noise)

    def run(self, run: Callable[[int], Attempt], pids: _Pids, block: int, arm: str) -> Recorded:
        """Run an arm, and again as long as other programs disturb it and there is patience.

        Args:
            run: Runs it; is given how often it ran before in this block.
            pids: As for `wait`.
            block: The number of the block.
            arm: The name of the arm.

        Returns:
            What the last run measured; the earlier runs are discarded.

        Raises:
            MachineBusyError: the machine is not quiet, and the run is to stop then.
        """
        step = f"block {block + 1}: {arm}"
        for number in count():
            found = run(number)
            self.note(step, found.taken, found.taken_by)
            if is_quiet(found.taken) or number + 1 == ATTEMPTS or not self._reruns:
                return found.recorded
            # On a machine that stays busy, another run would be disturbed as well.
            if not self.wait(pids, step):
                return found.recorded
            self._reruns -= 1
            self._discard(found, block, arm)
            self._tell(f"{step}, again: it was disturbed")
        raise AssertionError  # the loop ends by itself

    def _discard(self, found: Attempt, block: int, arm: str) -> None:
        self._measured.discarded.append({arm: found.recorded})
        self._result.discarded.append(
            Discarded(
                block=block,
                arm=arm,
                taken_share=found.taken or 0.0,
                taken_by=tuple(found.taken_by),
                measures=block_values({arm: found.recorded})[arm],
            )
        )
