"""Experiment files: one question, one TOML file in ``loadtests/experiments``."""

import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Self, TypeAlias

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from offloop.bench.burst.experiment import BURST, BurstExperiment
from offloop.bench.events import PARTS, Event
from offloop.bench.prediction import AnyPrediction
from offloop.bench.question import ExperimentError, Known, Name, Question, check_terms
from offloop.bench.scraping import Scraping
from offloop.bench.story import terms_in
from offloop.bench.streams import (
    ORDER,
    REQUEST,
    OrderStream,
    RequestStream,
    Stream,
    StreamName,
    again,
)
from offloop.bench.table import ArmTable
from offloop.bench.theory import FORMULAS, Need
from offloop.load.arrivals import Constant, Poisson, Ramp, Spike, Step
from offloop.measuring import catalogue
from offloop.measuring.expressions import PSEUDO_ARMS, Expression, Term
from offloop.measuring.instruments import effects, requests
from offloop.measuring.measure import Kind, Measure
from offloop.measuring.verdicts import Expectation
from offloop.stack.catalog import TIERS, WAYS, WAYS_WITH_LIMIT
from offloop.stack.pools import Pool
from offloop.stack.servers import AnyServer
from offloop.tables import Table

#: The keys of each kind of arrivals: those tables' own errors do not say which there are.
_KEYS_OF_ARRIVALS = {
    table.model_fields["kind"].default: tuple(table.model_fields)
    for table in (Constant, Poisson, Ramp, Step, Spike)
}


#: What one block decides.
_EXTREMES = {Kind.MAXIMUM, Kind.MINIMUM}

#: Where streams are in a file.
_STREAMS = ("load", "streams")


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


Way = Annotated[str, AfterValidator(_known_way), Field(json_schema_extra={"enum": list(WAYS)})]
Tier = Annotated[str, AfterValidator(_known_tier), Field(json_schema_extra={"enum": list(TIERS)})]


class Load(Table):
    """What is sent to every arm, on one schedule a block."""

    duration_s: PositiveFloat
    """Seconds of load that each arm gets in each block."""
    drain_s: PositiveFloat
    """Seconds to wait for late answers after the last request was due."""
    quick_duration_s: PositiveFloat | None = None
    """Replaces `duration_s` in a quick run: its two blocks need 2,000 requests for a p99."""
    overload: bool = False
    """Allow more work than the naive arm can do, where overload is the question."""
    streams: dict[StreamName, Stream] = Field(min_length=1)
    """What is sent: requests (`request`) or orders for reports (`order`)."""

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

    @property
    def later(self) -> dict[str, float]:
        """The second from which on a stream of orders comes, where it is not the first."""
        return {name: stream.from_s for name, stream in self.orders.items() if stream.from_s}

    @property
    def calibrated(self) -> dict[str, OrderStream]:
        """The streams of orders whose rate follows from what a report costs."""
        return {name: stream for name, stream in self.orders.items() if stream.count is None}

    @model_validator(mode="after")
    def _has_time_in_a_quick_run(self) -> Self:
        if self.quick_duration_s is not None and self.quick_duration_s < self.duration_s:
            raise ValueError(
                f"quick_duration_s = {self.quick_duration_s:g} is below duration_s = "
                f"{self.duration_s:g}: a quick run has fewer blocks, not shorter ones"
            )
        return self

    @model_validator(mode="after")
    def _orders_while_it_lasts(self) -> Self:
        for name, stream in self.orders.items():
            if not stream.lasts_s(self.duration_s):
                raise ValueError(
                    f"streams.{name} begins at from_s = {stream.from_s:g}, but the load lasts only "
                    f"{self.duration_s:g} s"
                )
        return self


class StackDefaults(Table):
    """The services that the arms have in common. Each arm then has only the keys that differ."""

    way: Way | None = None
    """As in `[arms.NAME]`."""
    server: AnyServer | None = None
    """As in `[arms.NAME]`."""
    tier: Tier | None = None
    """As in `[arms.NAME]`."""
    pools: dict[Name, Pool] | None = Field(default=None, min_length=1)
    """As in `[arms.NAME]`."""
    queue_limit: PositiveInt | None = None
    """As in `[arms.NAME]`."""


class Arm(Table):
    """One side of the experiment. A key that it does not have is that of `[stack]`."""

    # An editor sees the file before `[stack]` is filled in.
    model_config = ConfigDict(json_schema_extra=lambda schema: schema.pop("required"))

    way: Way
    """The module that answers `POST /reports`."""
    server: AnyServer
    """The server, `"uvicorn"` or a table."""
    tier: Tier
    """The module with the actors, for a way that has a job tier."""
    pools: dict[Name, Pool] = Field(min_length=1)
    """The slots of the job tier."""
    queue_limit: PositiveInt | None = None
    """Jobs that a queue may hold, running ones included, before orders are refused. By default the
    far higher limit of the tier."""
    streams: tuple[str, ...] | None = None
    """The streams that the arm gets. By default all."""
    once: bool = False
    """Run it in the first block only: it is shown, not judged."""

    @property
    def has_tier(self) -> bool:
        """Whether workers build the reports, and not the API."""
        return WAYS[self.way].has_tier

    @property
    def api_processes(self) -> int:
        """How many processes serve requests."""
        slots = sum(pool.slots for pool in self.pools.values()) if self.has_tier else 0
        return self.server.serving(slots)

    @model_validator(mode="after")
    def _has_processes_for_requests(self) -> Self:
        _ = self.api_processes  # raises where there are none
        return self


def _promise(id_: str, measure: str, says: str, why: str) -> Expectation:
    return Expectation(id=id_, measure=measure, op="<=", limit=0, promise=True, says=says, why=why)


class Evidence(Table):
    """A process to profile while one arm runs: where does its time go?"""

    arm: str
    """The arm."""
    process: str
    """Its process, such as `naive`, `fixed` or `worker-long-1`."""


class Experiment(Question):
    """One question, and how it is put to the apps."""

    load: Load
    """What is sent."""
    stack: StackDefaults = Field(default_factory=StackDefaults)
    """The services that the arms have in common."""
    arms: dict[Name, Arm]
    """The sides that are compared. `naive` and `fixed` are needed, and differ in exactly one key;
    with plain requests also `baseline`, the fixed side without reports. Other arms are shown."""
    predict: dict[str, AnyPrediction] = Field(default_factory=dict)
    """Measures that theory predicts before the load begins: measure = formula. Expectations and
    stories use them as `predicted.MEASURE`, `calibrated.MEASURE` or `configured.MEASURE`."""
    events: tuple[Event, ...] = ()
    """What is done to the services during the load, in every arm that has them."""
    evidence: tuple[Evidence, ...] = ()
    """Processes that py-spy profiles after the last block, in an extra run without events."""
    table: ArmTable | None = None
    """Arms as rows, for an experiment with too many arms for the standard table."""
    scrape: Scraping | None = None
    """How the metrics of the API are scraped, where the metrics are the question."""

    def streams_of(self, arm: str) -> tuple[str, ...]:
        """Return the names of the streams that an arm gets."""
        named = self.arms[arm].streams
        return tuple(self.load.streams) if named is None else named

    def orders_of(self, arm: str) -> tuple[str, ...]:
        """Return the names of those among them that order reports."""
        return tuple(name for name in self.streams_of(arm) if name in self.load.orders)

    @property
    def judged_arms(self) -> tuple[str, ...]:
        """The arms that are compared. All other arms are only shown."""
        compared = {"baseline", "naive", "fixed"} | self.expected_of
        return tuple(name for name in self.arms if name in compared)

    def looks_at(self, measures: Collection[Measure]) -> bool:
        """Say whether an expectation, the story or the table is about one of these measures."""
        return any(catalogue.measure_named(term.measure) in measures for term in self._terms())

    def _terms(self) -> Iterator[Term]:
        for expectation in self.expect:
            yield from Expression.parse(expectation.measure).terms
        for text in (self.story.gain, self.story.price, self.story.shown or ""):
            yield from terms_in(text)
        for column in self.table.columns if self.table else ():
            yield from terms_in(column.cell or "")

    @property
    def cures(self) -> tuple[str, ...]:
        """The arms that are shown as a cure: all of every block, but the disease and the idle."""
        return tuple(
            name
            for name, arm in self.arms.items()
            if not arm.once and name not in {"naive", "baseline"}
        )

    @property
    def expectations(self) -> tuple[Expectation, ...]:
        """What is expected: what the file says, and what every cure has to keep.

        No cure fails a request (where an event takes the API away, until then), nor loses a job
        that it has accepted.
        """
        needed = [
            *chain.from_iterable(map(self._answers, self.cures)),
            *(
                _promise(
                    f"{arm}_nothing_lost",
                    f"{arm}.jobs.lost",
                    f"{arm}: no accepted job was lost",
                    "A `202` is a promise.",
                )
                for arm in self.cures
                if self.arms[arm].has_tier and self.orders_of(arm)
            ),
        ]
        said = {expectation.measure for expectation in self.expect}
        return (*self.expect, *(each for each in needed if each.measure not in said))

    def _answers(self, arm: str) -> Iterator[Expectation]:
        """Yield that an arm fails no request of any of its streams."""
        phase = self.until_the_api_is_away(arm)
        repeated = (
            again(name)
            for name in self.orders_of(arm)
            # An order that an event met is repeated after it.
            if self.load.orders[name].repeat_after_s is not None and not phase
        )
        for stream in (*self.streams_of(arm), *repeated):
            yield _promise(
                f"{arm}_{stream.replace('.', '_')}_answered",
                f"{arm}.{phase}{stream}.failed",
                f"{arm}: no {stream} request failed",
                "A cure that fails requests is none, however fast it answers the rest.",
            )

    def until_the_api_is_away(self, arm: str) -> str:
        """Return the prefix of measures of the time before; nothing if it never is away."""
        ending = [
            event for event in self.events if event.ends_the_api and self.happens_in(arm, event)
        ]
        first = min(ending, key=lambda event: event.at_s or 0.0, default=None)
        return "" if first is None else f"before:{first.id}."

    @model_validator(mode="before")
    @classmethod
    def _arms_stand_on_the_stack(cls, tables: dict[str, Any]) -> dict[str, Any]:
        stack, arms = tables.get("stack"), tables.get("arms")
        if not isinstance(stack, dict) or not isinstance(arms, dict):
            return tables
        whole = {
            name: {**stack, **arm} if isinstance(arm, dict) else arm for name, arm in arms.items()
        }
        return {**tables, "arms": whole}

    @model_validator(mode="after")
    def _knows_what_whole_files_are(self) -> Self:
        few = [name for name, stream in self.load.orders.items() if stream.count is not None]
        if self.looks_at(effects.MEASURES) and few:
            raise ValueError(
                f"load.streams.{few[0]} says `count`, so its report is not built before the load "
                "begins, and nothing is known that its file could be compared with: say `rate`"
            )
        return self

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
    def _asks_evidence_of_what_there_is(self) -> Self:
        for evidence in self.evidence:
            if evidence.arm not in self.arms:
                raise ValueError(
                    f"evidence is asked of the arm {evidence.arm!r}; "
                    f"there is {', '.join(self.arms)}"
                )
        return self

    @model_validator(mode="after")
    def _judges_what_every_block_has(self) -> Self:
        if once := [name for name in self.judged_arms if self.arms[name].once]:
            raise ValueError(
                f"arms.{once[0]}.once: an arm that is judged, or that another arm is compared "
                "with, runs in every block"
            )
        for evidence in self.evidence:
            if self.arms[evidence.arm].once:
                raise ValueError(
                    f"evidence is asked of the arm {evidence.arm!r}, which is there in the first "
                    "block only: evidence is gathered after the last one"
                )
        return self

    @model_validator(mode="after")
    def _has_a_row_for_its_arms(self) -> Self:
        for name in self.table.rows if self.table else ():
            if name not in self.arms:
                raise ValueError(
                    f"table.rows.{name} is about no arm; there is {', '.join(self.arms)}"
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

    @model_validator(mode="after")
    def _looks_at_what_will_be_measured(self) -> Self:
        known = self.known_measures()
        self.check_measures(known, frozenset((*self.judged_arms, *PSEUDO_ARMS)))
        for column in self.table.columns if self.table else ():
            for arm in self.table.rows if self.table else ():
                terms = terms_in(column.cell_of(arm) or "")
                check_terms(f"table column {column.heading!r}", terms, known)
        return self

    @model_validator(mode="after")
    def _judges_the_worst_block_by_a_maximum(self) -> Self:
        for expectation in self.expect:
            terms = Expression.parse(expectation.measure).terms
            kinds = {catalogue.measure_named(term.measure).kind for term in terms}
            if not (expectation.promise or expectation.every_block) and kinds & _EXTREMES:
                raise ValueError(
                    f"expectation {expectation.id!r} is about {expectation.measure}: one block "
                    "decides it, so that it has no interval. Say `every_block = true`"
                )
        return self

    @model_validator(mode="after")
    def _promises_what_must_never_happen(self) -> Self:
        for expectation in self.expect:
            terms = Expression.parse(expectation.measure).terms
            if (
                not expectation.promise
                and all(term.arm in self.cures for term in terms)
                and any(catalogue.measure_named(term.measure).promise for term in terms)
            ):
                raise ValueError(
                    f"expectation {expectation.id!r} is about {expectation.measure}, of which a "
                    "cure must have none, on a busy machine either: say `promise = true`"
                )
        return self

    def known_measures(self) -> Known:
        """Return the names of all measures that each arm will have, pseudo-arms included."""
        known = {arm: frozenset(self._measures_of(arm)) for arm in self.arms}
        for measure, asked in self.predict.items():
            source = FORMULAS[asked.formula].source
            known[source] = known.get(source, frozenset()) | {measure}
        return known

    def _measures_of(self, arm: str) -> Iterator[str]:
        yield from (measure.name for measure in catalogue.NAMED)
        has_tier = self.arms[arm].has_tier
        events = [event.id for event in self.events if self.happens_in(arm, event)]
        for event in events:
            yield from catalogue.names(event, requests.EVENTS)
        for stream in self.streams_of(arm):
            yield from catalogue.names(stream, requests.REQUESTS)
            if stream not in self.load.orders:
                for moment in (*events, *self.load.later):
                    for phase in ("before", "after"):
                        yield from catalogue.names(f"{phase}:{moment}.{stream}", requests.REQUESTS)
                continue
            orders = self.load.orders[stream]
            of_orders = (catalogue.ORDERS, *([requests.QUEUED_ORDERS] if has_tier else []))
            yield from catalogue.names(stream, *of_orders)
            for event in events:
                before = f"before:{event}.{stream}"
                yield from catalogue.names(before, requests.REQUESTS, *of_orders)
            if orders.retry_refused:
                yield from catalogue.names(stream, requests.REFUSED_ORDERS)
            if orders.repeat_after_s is not None:
                yield from catalogue.names(again(stream), requests.REQUESTS)

    def happens_in(self, arm: str, event: Event) -> bool:
        """Whether an arm has what an event is done to, and work that reaches its step."""
        setup = self.arms[arm]
        if event.at is not None and not self.orders_of(arm):
            return False
        return bool(event.targets(setup.pools, has_tier=setup.has_tier))

    @model_validator(mode="after")
    def _can_be_predicted(self) -> Self:
        for measure, asked in self.predict.items():
            if asked.arm not in self.arms:
                raise ValueError(
                    f"predict.{measure} is about the arm {asked.arm!r}; "
                    f"there is {', '.join(self.arms)}"
                )
            needs = FORMULAS[asked.formula].needs
            if missing := [need for need in Need if need in needs - self._has(asked.arm)]:
                raise ValueError(
                    f"predict.{measure}: {asked.formula} is about an arm that {missing[0]}; "
                    f"{asked.arm} answers by {self.arms[asked.arm].way} and gets "
                    f"{', '.join(self.orders_of(asked.arm)) or 'no orders'}"
                )
        return self

    def _has(self, arm: str) -> frozenset[Need]:
        """Say what an arm has that theory may need."""
        setup, orders = self.arms[arm], self.orders_of(arm)
        alone = self.load.orders[orders[0]] if len(orders) == 1 else None
        has = {
            Need.LOOP: alone is not None and not setup.has_tier,
            Need.DRAIN: alone is not None and setup.has_tier and alone.drain is not None,
            Need.LIMIT: setup.queue_limit is not None,
            Need.SCALE: self.scaled_pools(arm) != setup.pools,
        }
        return frozenset(need for need, there in has.items() if there)

    def scaled_pools(self, arm: str) -> Mapping[str, Pool]:
        """Return the pools of an arm as they are when every event has scaled what it scales."""
        pools = dict(self.arms[arm].pools)
        for event in self.events:
            if event.do == "scale" and event.what in pools:
                pools[event.what] = pools[event.what].model_copy(update={"slots": event.slots})
        return pools

    @model_validator(mode="after")
    def _limits_what_has_a_limit(self) -> Self:
        for name, arm in self.arms.items():
            if arm.queue_limit is not None and arm.way not in WAYS_WITH_LIMIT:
                raise ValueError(
                    f"arms.{name}.queue_limit: {arm.way} accepts without looking at a limit; "
                    f"there is {', '.join(sorted(WAYS_WITH_LIMIT))}"
                )
        return self

    @model_validator(mode="after")
    def _has_stalls_to_see(self) -> Self:
        if self.scrape is None:
            return self
        if self.arms["naive"].has_tier or len(self.orders_of("naive")) != 1:
            raise ValueError(
                "[scrape] is timed by how long a report holds the event loop, so naive works off "
                "one stream of orders in the request; "
                f"it answers by {self.arms['naive'].way} and gets "
                f"{', '.join(self.orders_of('naive')) or 'no orders'}"
            )
        if not self.load.requests:
            raise ValueError(
                "[scrape] needs a stream of plain requests: they tell when the service really "
                "stalled"
            )
        return self


#: With services, or without.
AnyExperiment: TypeAlias = Experiment | BurstExperiment


def load_experiment(path: Path) -> AnyExperiment:
    """Read one experiment file; one with a table ``[burst]`` has no services.

    Raises:
        ExperimentError: it is not TOML, or breaks the schema; says which key and what is allowed.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        if BURST in tables:
            return BurstExperiment.model_validate(tables)
        return Experiment.model_validate(tables)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ExperimentError(f"{path.name} is not TOML: {error}") from error
    except ValidationError as error:
        lines = "\n".join(f"  {_describe(entry)}" for entry in _each_once(error.errors()))
        raise ExperimentError(
            f"{path.name} is not an experiment:\n{lines}\nCONTRIBUTING.md explains every key."
        ) from error


def _each_once(entries: Sequence[ErrorDetails]) -> Iterator[ErrorDetails]:
    """Leave out of arms what is wrong in `[stack]`, which all of them repeat."""
    places = [(entry, entry["loc"], entry["msg"]) for entry in entries]
    shared = {(place[1:], message) for _, place, message in places if place[:1] == ("stack",)}
    for entry, place, message in places:
        if place[:1] != ("arms",) or (place[2:], message) not in shared:
            yield entry


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


def find_experiments(folder: Path, slugs: tuple[str, ...]) -> dict[str, AnyExperiment]:
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
