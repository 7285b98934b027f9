"""The tables of an experiment that does bursts of work, without HTTP."""

from typing import Annotated, Self

from pydantic import Field, PositiveInt, model_validator

from offloop.bench.burst.measures import names
from offloop.bench.burst.protocol import Executor, Kind
from offloop.bench.question import Name, Question
from offloop.measuring.verdicts import Expectation
from offloop.tables import Table

#: The key that tells such an experiment from one with services.
BURST = "burst"


class Burst(Table):
    """What every arm does: for each kind of work, some pieces at once, and one alone."""

    work: tuple[Kind, ...] = Field(min_length=1)
    """Kinds of work, one after the other."""
    pieces: Annotated[int, Field(ge=2)]
    """Pieces of work that are handed over at the same moment; nothing comes after them."""
    repeats: PositiveInt
    """How often each is timed in a block, one alone and the burst in turns."""

    @model_validator(mode="after")
    def _does_each_once(self) -> Self:
        if len(set(self.work)) < len(self.work):
            raise ValueError(f"a kind of work is named twice in {', '.join(self.work)}")
        return self


class BurstArm(Table):
    """One side of the experiment. ``naive`` and ``fixed`` differ in exactly one field."""

    executor: Executor
    """What runs the pieces."""
    workers: PositiveInt
    """How many threads, or processes."""
    once: bool = False
    """Whether it is shown, in the first block, and not judged."""


class BurstExperiment(Question):
    """One question about where work is done, asked of the work alone."""

    burst: Burst
    """What is computed."""
    arms: dict[Name, BurstArm]
    """The sides that are compared. `naive` and `fixed` are needed; one key differs."""

    @property
    def judged_arms(self) -> tuple[str, ...]:
        """The arms that are compared. All other arms are only shown."""
        compared = {"naive", "fixed"} | self.expected_of
        return tuple(name for name in self.arms if name in compared)

    @model_validator(mode="after")
    def _has_its_arms(self) -> Self:
        for name in ("naive", "fixed"):
            if name not in self.arms:
                raise ValueError(
                    f"there is no [arms.{name}]; an experiment compares naive and fixed"
                )
        return self

    @model_validator(mode="after")
    def _looks_at_what_will_be_measured(self) -> Self:
        known = {arm: frozenset(names(self.burst.work)) for arm in self.arms}
        self.check_measures(known, frozenset(self.judged_arms))
        if once := [name for name in self.judged_arms if self.arms[name].once]:
            raise ValueError(f"arms.{once[0]}.once: an arm that is judged runs in every block")
        return self

    @property
    def expectations(self) -> tuple[Expectation, ...]:
        """What is expected of the arms."""
        return self.expect
