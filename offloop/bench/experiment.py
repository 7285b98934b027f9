"""Experiment files: one question, one TOML file in ``loadtests/experiments``."""

import tomllib
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

from offloop.bench.events import PARTS, Event
from offloop.bench.expressions import PREDICTED, Expression
from offloop.bench.story import tell
from offloop.bench.streams import ORDER, REQUEST, OrderStream, RequestStream, Stream, StreamName
from offloop.bench.theory import FORMULAS
from offloop.load.arrivals import Constant, Poisson, Ramp, Spike, Step
from offloop.stack.catalog import TIERS, WAYS
from offloop.stack.pools import Pool
from offloop.tables import Table

#: Names of arms and pools name folders and processes, too.
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]

#: The keys of each kind of arrivals: those tables' own errors do not say which there are.
_KEYS_OF_ARRIVALS = {
    table.model_fields["kind"].default: tuple(table.model_fields)
    for table in (Constant, Poisson, Ramp, Step, Spike)
}


#: Where streams are in a file.
_STREAMS = ("load", "streams")


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


class Load(Table):
    """What is sent to every arm, on one schedule a block."""

    #: Seconds of load an arm gets in each block.
    duration_s: PositiveFloat
    #: Seconds after the last due request during which answers still count.
    drain_s: PositiveFloat
    #: Whether the naive arm may get more work than it can do: because that is the question.
    overload: bool = False
    streams: dict[StreamName, Stream] = Field(min_length=1)

    @property
    def requests(self) -> dict[str, RequestStream]:
        """The streams of plain requests."""
        return {
            name: stream
            for name, stream in self.streams.items()
            if isinstance(stream, RequestStream)
        }

    @property
    def orders(self) -> dict[str, OrderStream]:
        """The streams of orders for reports."""
        return {
            name: stream for name, stream in self.streams.items() if isinstance(stream, OrderStream)
        }


class Arm(Table):
    """One side of the experiment. ``naive`` and ``fixed`` differ in exactly one field."""

    #: The module that answers ``POST /reports``.
    way: Annotated[str, AfterValidator(_known_way)]
    server: Literal["uvicorn"]
    #: The module that declares the actors, where the way has a job tier.
    tier: Annotated[str, AfterValidator(_known_tier)]
    #: The slots of that tier.
    pools: dict[Name, Pool] = Field(min_length=1)
    #: What it gets; every stream where nothing is said.
    streams: tuple[str, ...] | None = None

    @property
    def has_tier(self) -> bool:
        """Whether workers build the reports, and not the API."""
        return WAYS[self.way].has_tier


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
    #: Whether it runs where no experiment is named.
    headline: bool = False
    load: Load
    arms: dict[Name, Arm]
    #: Measures that theory predicts for the naive arm, by the name of a formula.
    predict: dict[str, Annotated[str, AfterValidator(_known_formula)]] = Field(default_factory=dict)
    events: tuple[Event, ...] = ()
    expect: tuple[Expectation, ...] = Field(min_length=1)
    evidence: tuple[Evidence, ...] = ()
    story: Story

    def streams_of(self, arm: str) -> tuple[str, ...]:
        """Return the names of the streams that an arm gets."""
        named = self.arms[arm].streams
        return tuple(self.load.streams) if named is None else named

    def orders_of(self, arm: str) -> tuple[str, ...]:
        """Return the names of those among them that order reports."""
        return tuple(name for name in self.streams_of(arm) if name in self.load.orders)

    @model_validator(mode="after")
    def _has_its_arms(self) -> Self:
        # Bystanders are judged beside those of a stack that has nothing else to do.
        needed = (*(["baseline"] if self.load.requests else []), "naive", "fixed")
        for name in needed:
            if name not in self.arms:
                raise ValueError(
                    f"there is no [arms.{name}]; an experiment with these streams compares "
                    f"{' and '.join(needed)}"
                )
        return self

    @model_validator(mode="after")
    def _sends_what_there_is(self) -> Self:
        for name, arm in self.arms.items():
            if unknown := [
                stream for stream in arm.streams or () if stream not in self.load.streams
            ]:
                raise ValueError(
                    f"arms.{name}.streams names {', '.join(map(repr, sorted(unknown)))}; "
                    f"there is {', '.join(self.load.streams)}"
                )
            if not self.streams_of(name):
                raise ValueError(f"arms.{name}.streams is empty: an arm without load shows nothing")
        return self

    @model_validator(mode="after")
    def _looks_at_what_there_is(self) -> Self:
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

    @model_validator(mode="after")
    def _happens_somewhere(self) -> Self:
        ids = [*self.load.streams, *(event.id for event in self.events)]
        if twice := {id_ for id_ in ids if ids.count(id_) > 1}:
            raise ValueError(f"several streams or events are called {', '.join(sorted(twice))}")
        for event in self.events:
            if not any(self.happens_in(name, event) for name in ("naive", "fixed")):
                pools = {name: ", ".join(self.arms[name].pools) for name in ("naive", "fixed")}
                raise ValueError(
                    f"event {event.id!r} is about {event.what!r}, which neither naive nor fixed "
                    f"has; there is {', '.join(PARTS)}, the pools {pools['naive']} (naive) and "
                    f"{pools['fixed']} (fixed), and their slots, such as worker-long-1"
                )
            if event.do == "scale" and event.what not in self.arms["fixed"].pools:
                raise ValueError(f"event {event.id!r} scales {event.what!r}: only a pool has slots")
            if event.at_s is not None and event.at_s >= self.load.duration_s:
                raise ValueError(
                    f"event {event.id!r} is at {event.at_s:g} s, but the load lasts only "
                    f"{self.load.duration_s:g} s"
                )
        return self

    def happens_in(self, arm: str, event: Event) -> bool:
        """Whether an arm has what an event is done to."""
        setup = self.arms[arm]
        return bool(event.targets(setup.pools, has_tier=setup.has_tier))

    @model_validator(mode="after")
    def _can_be_predicted(self) -> Self:
        if self.predict and (self.arms["naive"].has_tier or len(self.orders_of("naive")) != 1):
            raise ValueError(
                "[predict] is about one stream of orders that naive works off in the request; "
                f"naive answers by {self.arms['naive'].way} and gets "
                f"{', '.join(self.orders_of('naive')) or 'no orders'}"
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
    where = ".".join(_in_the_file(entry["loc"])) or "the file"
    if entry["type"] == "extra_forbidden":
        kind = entry["loc"][-2]
        return f"{where}: there is no such key; there is {', '.join(_KEYS_OF_ARRIVALS[kind])}"
    return f"{where}: {entry['msg'].removeprefix('Value error, ')}"


def _in_the_file(place: tuple[int | str, ...]) -> list[str]:
    """Leave out which kind of stream it was found to be: that is no key."""
    kind = len(_STREAMS) + 1
    keys = list(map(str, place))
    if place[: len(_STREAMS)] == _STREAMS and keys[kind : kind + 1] in ([REQUEST], [ORDER]):
        del keys[kind]
    return keys


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
