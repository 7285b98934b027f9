"""Running the arms of an experiment block by block, with patience for a machine that is not quiet.

Every second block runs the arms in reverse order, so that a machine that becomes slower or faster
favours no arm. A run that other programs disturb is discarded and repeated, within limits. More
blocks are run while a verdict is open, up to a limit.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple, Protocol, TypeVar

from offloop.errors import OffloopError
from offloop.measuring.instruments.resources import TAKEN
from offloop.measuring.judging import Measured, another_block, block_values
from offloop.measuring.noise import Busy, is_quiet, wait_for_quiet
from offloop.measuring.results import Discarded, ExperimentResult, Noise, Values
from offloop.measuring.values import Block, Recorded
from offloop.measuring.verdicts import Expectation

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
        taken_by: What took the machine meanwhile, most first.
    """

    recorded: Recorded
    taken_by: Sequence[str] = ()

    @property
    def taken(self) -> float | None:
        """Share of the machine's CPU time that other programs had; None if not known."""
        return self.recorded.numbers.get(TAKEN)


@dataclass(frozen=True)
class Limits:
    """How much an experiment may run.

    Attributes:
        planned: Blocks that have to be undisturbed.
        at_most: Blocks that are run at most.
        reruns: How many runs of arms may be repeated because they were disturbed.
        waits_s: Seconds to wait for a quiet machine altogether, at most.
        stop_if_busy: Whether to stop where the machine does not become quiet.
    """

    planned: int
    at_most: int
    reruns: int
    waits_s: float
    stop_if_busy: bool = False

    def said(self, number: int) -> str:
        """Name a block, for people."""
        more = f" of {self.planned}" if number < self.planned else f", after {self.planned} planned"
        return f"block {number + 1}{more}"


class Arms(Protocol):
    """The arms of an experiment, ready to run."""

    def pids(self) -> Mapping[str, Sequence[int]]:
        """Return the process ids of everything that belongs to the lab, by name."""

    def before_block(self, number: int) -> Block:
        """Prepare a block, and return what is known before its load, by pseudo-arm."""

    def there(self, arm: str) -> AbstractContextManager[None]:
        """Have everything running that an arm needs."""

    def run_arm(self, arm: str, block: int, attempt: int) -> Attempt:
        """Run an arm once."""

    def after_block(self) -> None:
        """Keep what there is so far."""


class Blocks:
    """The blocks of one experiment: runs them, and keeps what they measured.

    Args:
        once: The arms, and whether each runs in the first block only.
        expectations: What is expected: they say whether a verdict is open.
        limits: How much may be run.
        result: Gets the values of blocks and discarded runs, and what disturbed them.
        tell: Is told what is run or waited for.

    Attributes:
        measured: Every run of every arm so far.
    """

    def __init__(
        self,
        once: Mapping[str, bool],
        expectations: Sequence[Expectation],
        limits: Limits,
        result: ExperimentResult,
        tell: Callable[[str], None],
    ) -> None:
        self.measured = Measured(frozenset(arm for arm in once if not once[arm]))
        self._once = once
        self._expectations = expectations
        self._limits = limits
        self._result = result
        self._tell = tell
        self._reruns = limits.reruns
        self._wait_s = limits.waits_s

    def run(self, arms: Arms) -> None:
        """Run blocks until there are enough.

        Raises:
            MachineBusyError: the machine is not quiet, and the run is to stop then.
        """
        limits = self._limits
        for number in count():
            why = another_block(self.measured, self._expectations, limits.planned, limits.at_most)
            if why is None:
                return
            said = limits.said(number) + (f" ({why})" if number >= limits.planned else "")
            block = dict(arms.before_block(number))
            values: Values = {}
            due = [arm for arm, once in self._once.items() if number == 0 or not once]
            for arm in due[:: 1 if number % 2 == 0 else -1]:
                self._tell(f"{said}: {arm}")
                with arms.there(arm):
                    block[arm] = self._run_arm(arms, arm, number)
                values |= block_values({arm: block[arm]})
            self.measured.blocks.append(block)
            self._result.blocks.append(values)
            arms.after_block()

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
            if self._limits.stop_if_busy:
                raise MachineBusyError(busy)
        return busy is None

    def note(self, step: str, taken: float | None, by: Sequence[str]) -> None:
        """Note what took the machine during a step, if that disturbed it."""
        if not is_quiet(taken):
            noise = Noise(step=step, taken_share=taken or 0.0, taken_by=tuple(by))
            self._result.noise.append(noise)

    def _run_arm(self, arms: Arms, arm: str, block: int) -> Recorded:
        """Run an arm, and again as long as other programs disturb it and there is patience.

        The last run counts; the earlier ones are discarded.
        """
        step = f"block {block + 1}: {arm}"
        for number in count():
            found = arms.run_arm(arm, block, number)
            self.note(step, found.taken, found.taken_by)
            if is_quiet(found.taken) or number + 1 == ATTEMPTS or not self._reruns:
                return found.recorded
            # On a machine that stays busy, another run would be disturbed as well.
            if not self.wait(arms.pids, step):
                return found.recorded
            self._reruns -= 1
            self._discard(found, block, arm)
            self._tell(f"{step}, again: it was disturbed")
        raise AssertionError  # the loop ends by itself

    def _discard(self, found: Attempt, block: int, arm: str) -> None:
        self.measured.discarded.append({arm: found.recorded})
        self._result.discarded.append(
            Discarded(
                block=block,
                arm=arm,
                taken_share=found.taken or 0.0,
                taken_by=tuple(found.taken_by),
                measures=block_values({arm: found.recorded})[arm],
            )
        )
