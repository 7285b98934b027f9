"""What is asked of a run, and who is told how it is going."""

from dataclasses import dataclass
from typing import Protocol

from offloop.bench.question import Question
from offloop.load.protocol import Progress
from offloop.measuring.blocks import WAITS_S, Limits
from offloop.measuring.results import ExperimentResult

#: Passes over all arms of a quick run, and the fewest that may be asked for.
QUICK_BLOCKS = 2

#: Runs of arms that are repeated because other programs disturbed them, and seconds to wait for a
#: quiet machine, in one experiment at most. A busy machine gets no verdict, but that soon.
QUICK_RERUNS = 3
QUICK_WAITS_S = 20.0


class Reporter(Protocol):
    """Is told how a run is going."""

    def experiment(self, slug: str, experiment: Question) -> None:
        """An experiment begins."""

    def step(self, text: str) -> None:
        """The next thing is being done; it may take seconds."""

    def predicted(self, result: ExperimentResult) -> None:
        """Theory has predicted something, and the load has not begun."""

    def progress(self, progress: Progress) -> None:
        """The load of the current step is this far."""

    def result(self, slug: str, result: ExperimentResult) -> None:
        """An experiment is over."""


@dataclass(frozen=True)
class Options:
    """How thoroughly to measure.

    Attributes:
        blocks: Passes over all arms, no more and no fewer; None for as many as the experiment says,
            and more in place of disturbed ones, or where nothing is decided yet.
        seed: Of the first block; the following ones count on from it.
        stop_if_busy: Whether to stop where the machine does not become quiet.
        quick: Whether to be done soon matters more than to get a verdict on a busy machine.
    """

    blocks: int | None
    seed: int
    stop_if_busy: bool = False
    quick: bool = False

    def limits(self, experiment: Question, arms: int) -> Limits:
        """Return how much an experiment with so many arms may run."""
        planned = self.blocks or experiment.blocks
        return Limits(
            planned=planned,
            at_most=self.blocks or 2 * experiment.blocks,
            reruns=QUICK_RERUNS if self.quick else planned * arms,
            waits_s=QUICK_WAITS_S if self.quick else WAITS_S,
            stop_if_busy=self.stop_if_busy,
        )
