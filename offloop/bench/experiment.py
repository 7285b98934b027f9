"""Experiment files: one question, one TOML file in ``loadtests/experiments``."""

import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    PositiveFloat,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from offloop.bench.expressions import PREDICTED, Expression
from offloop.bench.story import tell
from offloop.bench.theory import FORMULAS
from offloop.load.arrivals import Arrivals, Constant, Poisson, Ramp, Spike, Step
from offloop.stack.catalog import TIERS, WAYS
from offloop.stack.pools import Pool
from offloop.tables import Table

Stream = Literal["bystander", "report"]

#: Names of arms and pools name folders and processes, too.
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]

#: The keys of each kind of arrivals: those tables' own errors do not say which there are.
_KEYS_OF_ARRIVALS = {
    table.model_fields["kind"].default: tuple(table.model_fields)
    for table in (Constant, Poisson, Ramp, Step, Spike)
}


class ExperimentError(Exception):
    """An experiment that does not exist or cannot be understood."""


def _parses(text: str) -> str:
    Expression.parse(text)
    return text


def _known_way(name: str) -> str:
    if name not in WAYS:
        raise ValueError(
            f"{name!r} is not a way to answer POST /reports; there is {', '.join(WAYS)}"
        )
    return name


def _known_tier(name: str) -> str:
    if name not in TIERS:
        raise ValueError(f"{name!r} is not a job tier; there is {', '.join(TIERS)}")
    return name


def _can_be_told(text: str) -> str:
    tell(text, [])
    return text


def _known_formula(name: str) -> str:
    if name not in FORMULAS:
        raise ValueError(
            f"{name!r} is not a formula of offloop.bench.theory; there is {', '.join(FORMULAS)}"
        )
    return name


class ReportOrder(Table):
    """The body of every ``POST /reports`` of the experiment."""

    shipped_from: date
    shipped_to: date
    format: Literal["csv", "parquet"]


class Load(Table):
    """What is sent to every arm, on one schedule a block."""

    #: Seconds of load an arm gets in each block.
    duration_s: PositiveFloat
    #: Seconds after the last due request during which answers still count.
    drain_s: PositiveFloat
    #: ``GET /ping``, which has nothing to do with reports.
    bystander: Arrivals
    #: The share of time in which one report is being built: the rate follows from the time a
    #: report takes on the machine at hand.
    report_utilisation: float = Field(gt=0, lt=1)
    report: ReportOrder


class Arm(Table):
    """One side of the experiment. ``naive`` and ``fixed`` differ in exactly one field."""

    #: The module that answers ``POST /reports``.
    way: Annotated[str, AfterValidator(_known_way)]
    server: Literal["uvicorn"]
    #: The module that declares the actors, where the way has a job tier.
    tier: Annotated[str, AfterValidator(_known_tier)]
    #: The slots of that tier.
    pools: dict[Name, Pool] = Field(min_length=1)
    streams: tuple[Stream, ...] = ("bystander", "report")


class Expectation(Table):
    """One limit on one measure."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    measure: Annotated[str, AfterValidator(_parses)]
    op: Literal["<=", ">="]
    limit: float
    #: The expectation in words, for people.
    says: str
    #: Why the limit is where it is.
    why: str


class Evidence(Table):
    """A process to profile while one arm runs: where does its time go?"""

    arm: str
    process: str


class Story(Table):
    """What to say afterwards; ``{EXPRESSION:FORMAT}`` stands for a measured value."""

    gain: Annotated[str, AfterValidator(_can_be_told)]
    price: Annotated[str, AfterValidator(_can_be_told)]


class Experiment(Table):
    """One question, and how it is put to the apps."""

    title: str
    rule: str
    question: str
    prediction: str
    load: Load
    arms: dict[Name, Arm]
    #: Measures that theory predicts for the naive arm, by the name of a formula.
    predict: dict[str, Annotated[str, AfterValidator(_known_formula)]] = Field(default_factory=dict)
    expect: tuple[Expectation, ...] = Field(min_length=1)
    evidence: tuple[Evidence, ...] = ()
    story: Story

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        for needed in ("baseline", "naive", "fixed"):
            if needed not in self.arms:
                raise ValueError(
                    f"there is no [arms.{needed}]; an experiment compares baseline, naive and fixed"
                )
        for expectation in self.expect:
            for term in Expression.parse(expectation.measure).terms:
                known = self.predict if term.arm == PREDICTED else self.arms
                name = term.measure if term.arm == PREDICTED else term.arm
                if name not in known:
                    raise ValueError(
                        f"expectation {expectation.id!r} looks at {term.arm}.{term.measure}, "
                        f"but there is only {', '.join(known) or 'nothing'}"
                    )
        ids = [expectation.id for expectation in self.expect]
        if twice := {id_ for id_ in ids if ids.count(id_) > 1}:
            raise ValueError(f"there are several expectations {', '.join(sorted(twice))}")
        for evidence in self.evidence:
            if evidence.arm not in self.arms:
                raise ValueError(
                    f"evidence is asked of the arm {evidence.arm!r}; "
                    f"there is {', '.join(self.arms)}"
                )
        return self


def load_experiment(path: Path) -> Experiment:
    """Read one experiment file.

    Raises:
        ExperimentError: it is not TOML, or breaks the schema; says which key and what is allowed.
    """
    try:
        return Experiment.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ExperimentError(f"{path.name} is not TOML: {error}") from error
    except ValidationError as error:
        lines = "\n".join(f"  {_describe(entry)}" for entry in error.errors())
        raise ExperimentError(
            f"{path.name} is not an experiment:\n{lines}\nCONTRIBUTING.md explains every key."
        ) from error


def _describe(entry: ErrorDetails) -> str:
    where = ".".join(map(str, entry["loc"])) or "the file"
    if entry["type"] == "extra_forbidden":
        kind = entry["loc"][-2]
        return f"{where}: there is no such key; there is {', '.join(_KEYS_OF_ARRIVALS[kind])}"
    return f"{where}: {entry['msg'].removeprefix('Value error, ')}"


def experiment_files(folder: Path) -> dict[str, Path]:
    """Return all experiments: slug -> file, in alphabetical order."""
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def find_experiments(folder: Path, slugs: tuple[str, ...]) -> dict[str, Experiment]:
    """Read the experiments named ``slugs``, in that order.

    Raises:
        ExperimentError: there is no such experiment, or its file is wrong.
    """
    files = experiment_files(folder)
    unknown = [slug for slug in slugs if slug not in files]
    if unknown:
        raise ExperimentError(
            f"There is no experiment {', '.join(map(repr, unknown))}. There is: {', '.join(files)}."
        )
    return {slug: load_experiment(files[slug]) for slug in slugs}
