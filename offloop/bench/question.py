"""What every experiment asks, and how its answer is judged and told, whatever it runs."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from offloop.bench.story import tell, terms_in
from offloop.errors import OffloopError
from offloop.measuring.catalogue import nearest
from offloop.measuring.expressions import Expression, Term
from offloop.measuring.verdicts import Expectation
from offloop.tables import Table

#: Passes over all arms where the experiment does not say.
BLOCKS = 5
FEWEST_BLOCKS = 3

#: Names of arms and pools name folders and processes, too.
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class ExperimentError(OffloopError):
    """An experiment that does not exist or cannot be understood."""


def _can_be_told(text: str) -> str:
    tell(text, [])
    return text


class Story(Table):
    """What to say afterwards; ``{EXPRESSION}`` stands for a measured value (`story.tell`)."""

    gain: Annotated[str, AfterValidator(_can_be_told)]
    """What the fix gains. `{ARM.MEASURE}` becomes the value with its unit, `{ARM.MEASURE /
    ARM.MEASURE}` the ratio with its interval, `{ARM.MEASURE vs ARM.MEASURE}` both values."""
    price: Annotated[str, AfterValidator(_can_be_told)]
    """What the fix costs, as clients see it."""
    shown: Annotated[str, AfterValidator(_can_be_told)] | None = None
    """What to say of arms that are not judged. A quick run of all experiments leaves it out."""


#: The names of all measures of each arm and pseudo-arm.
Known = Mapping[str, frozenset[str]]


def check_terms(where: str, terms: tuple[Term, ...], known: Known) -> None:
    """Check that an experiment will have measured something.

    Raises:
        ValueError: there is no such arm, or it has no such measure; with the nearest names.
    """
    for term in terms:
        if term.arm not in known:
            raise ValueError(
                f"{where} looks at {term}, but there is no arm {term.arm!r}; "
                f"there is {', '.join(known)}"
            )
        if term.measure not in known[term.arm]:
            raise ValueError(
                f"{where} looks at {term}, which the arm {term.arm} will not have: "
                f"{nearest(term.measure, known[term.arm])}"
            )


class Question(Table):
    """The part of an experiment file that does not depend on what is run to answer it."""

    title: str
    """What the experiment shows."""
    rule: str
    """The rule that it teaches."""
    question: str
    """What is asked before the run."""
    prediction: str
    """What readers are asked to predict."""
    headline: bool = False
    """Run it where the command names no experiment."""
    blocks: int = Field(default=BLOCKS, ge=FEWEST_BLOCKS)
    """Passes over all arms that have to be undisturbed."""
    expect: tuple[Expectation, ...] = Field(min_length=1)
    """The limits that decide the verdict."""
    story: Story
    """The result in words."""

    @property
    def expected_of(self) -> frozenset[str]:
        """The arms that expectations look at, pseudo-arms included."""
        return frozenset[str]().union(
            *(Expression.parse(each.measure).arms for each in self.expect)
        )

    def check_measures(self, known: Known, judged: frozenset[str]) -> None:
        """Check everything that is looked at or told.

        Args:
            known: What will have been measured.
            judged: The arms that are in every run, pseudo-arms included.

        Raises:
            ValueError: something will not have been measured, or the wrong text tells of it.
        """
        for expectation in self.expect:
            terms = Expression.parse(expectation.measure).terms
            check_terms(f"expectation {expectation.id!r}", terms, known)
        texts = {"gain": self.story.gain, "price": self.story.price, "shown": self.story.shown}
        for key, text in texts.items():
            terms = terms_in(text or "")
            check_terms(f"story.{key}", terms, known)
            shown = sorted({term.arm for term in terms} - judged)
            if key != "shown" and shown:
                raise ValueError(
                    f"story.{key} tells of {shown[0]!r}, which is only shown, and left out of some "
                    "runs: that belongs to story.shown"
                )

    @model_validator(mode="after")
    def _expects_each_once(self) -> Self:
        ids = [expectation.id for expectation in self.expect]
        if twice := {id_ for id_ in ids if ids.count(id_) > 1}:
            raise ValueError(f"there are several expectations {', '.join(sorted(twice))}")
        return self
