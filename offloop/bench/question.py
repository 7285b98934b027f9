"""What every experiment asks, and how its answer is judged and told, whatever it runs."""

from collections.abc import Collection
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from offloop.bench.expressions import PREDICTED, Expression
from offloop.bench.story import arms_in, tell
from offloop.tables import Table

#: Passes over all arms: a verdict is a median, which one odd block of three cannot move, nor two
#: of five.
BLOCKS = 5
FEWEST_BLOCKS = 3

#: Names of arms and pools name folders and processes, too.
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class ExperimentError(Exception):
    """An experiment that does not exist or cannot be understood."""


def _parses(text: str) -> str:
    Expression.parse(text)
    return text


def _can_be_told(text: str) -> str:
    tell(text, [])
    return text


class Expectation(Table):
    """One limit on one measure."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    measure: Annotated[str, AfterValidator(_parses)]
    op: Literal["<=", ">="]
    limit: float
    #: Whether each block has to keep it, so that the worst is judged and not the median: for what
    #: must never happen.
    every_block: bool = False
    #: Whether the ratio is taken within each whole second of the load before the first event, and
    #: the median is that of all seconds of all blocks: for p99s of plain requests that are about
    #: the same. A moment in which the host takes the processor is in one second, and would be the
    #: p99 of the block.
    each_second: bool = False
    #: The expectation in words, for people.
    says: str
    #: Why the limit is where it is.
    why: str


class Story(Table):
    """What to say afterwards; ``{EXPRESSION:FORMAT}`` stands for a measured value."""

    gain: Annotated[str, AfterValidator(_can_be_told)]
    price: Annotated[str, AfterValidator(_can_be_told)]
    #: Told after the price, of arms that are only shown: the others tell nothing of those.
    shown: Annotated[str, AfterValidator(_can_be_told)] | None = None

    def check(self, arms: Collection[str], judged: Collection[str]) -> None:
        """Check that it tells only of what will have been measured.

        Args:
            arms: Those of the experiment.
            judged: Those of them that are in every run.

        Raises:
            ValueError: it tells of an arm that there is not, or not in every run.
        """
        texts = {"gain": self.gain, "price": self.price, "shown": self.shown or ""}
        for key, text in texts.items():
            if unknown := sorted(arms_in(text) - {*arms, PREDICTED}):
                raise ValueError(f"story.{key} tells of {unknown[0]!r}; there is {', '.join(arms)}")
            if key != "shown" and (shown := sorted(arms_in(text) - {*judged, PREDICTED})):
                raise ValueError(
                    f"story.{key} tells of {shown[0]!r}, which is only shown, and left out of some "
                    "runs: that belongs to story.shown"
                )


class Question(Table):
    """The part of an experiment file that does not depend on what is run to answer it."""

    title: str
    rule: str
    question: str
    prediction: str
    #: Whether it runs where no experiment is named.
    headline: bool = False
    #: Passes over all arms where the command does not say: fewer for what is gross.
    blocks: int = Field(default=BLOCKS, ge=FEWEST_BLOCKS)
    expect: tuple[Expectation, ...] = Field(min_length=1)
    story: Story

    @property
    def expected_of(self) -> frozenset[str]:
        """The arms that expectations look at, and `PREDICTED` if they do."""
        return frozenset(
            term.arm
            for expectation in self.expect
            for term in Expression.parse(expectation.measure).terms
        )

    @model_validator(mode="after")
    def _expects_each_once(self) -> Self:
        ids = [expectation.id for expectation in self.expect]
        if twice := {id_ for id_ in ids if ids.count(id_) > 1}:
            raise ValueError(f"there are several expectations {', '.join(sorted(twice))}")
        return self
