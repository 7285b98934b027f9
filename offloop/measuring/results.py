"""What a run found: the models of ``run.json``."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from offloop.measuring.verdicts import Judged, Status, Verdict


class EventResult(BaseModel):
    """Something that was done to the services of an arm while its load ran."""

    block: int
    arm: str
    #: How often the arm had run before in this block, and was disturbed.
    attempt: int
    id: str
    #: The services it was done to.
    what: tuple[str, ...]
    #: Seconds after the load began.
    at_s: float
    #: Seconds until they went on, or were ready again.
    lasted_s: float | None


class LoadResult(BaseModel):
    """When the load of an arm began, on both clocks: raw rows have times of either."""

    block: int
    arm: str
    attempt: int
    #: Second 0, on CLOCK_MONOTONIC.
    start_monotonic_s: float
    started_at: datetime


class Detail(BaseModel):
    """What there is to know of a value, beside the value."""

    status: Status
    #: How many values it rests on: requests or reports of a sample, else blocks.
    n: int
    #: The 95% interval; null where there is no estimate, or its end never came.
    low: float | None = None
    high: float | None = None


class Discarded(BaseModel):
    """A run of an arm that was disturbed, and that another one has replaced."""

    block: int
    arm: str
    taken_share: float
    #: What took the machine, most first.
    taken_by: tuple[str, ...]
    measures: dict[str, float | None]


class Noise(BaseModel):
    """A moment at which the machine was not quiet, and what took it."""

    #: What was about to be done, or was measured meanwhile.
    step: str
    taken_share: float
    taken_by: tuple[str, ...]


class Guilty(BaseModel):
    """A process that builds reports, the function that does it, and the hottest line."""

    arm: str
    process: str
    #: The function that is named, the same for all processes that call it, and its line that was
    #: seen most often.
    file: str
    function: str
    line: int
    #: Share of the building samples that pass through the function.
    share: float
    #: Share of the time in which it was building reports, with what it has forked: more than 1
    #: where several build side by side.
    building_share: float
    #: The innermost line in `reports/` that was seen most often, in any function.
    hottest_file: str
    hottest_function: str
    hottest_line: int
    #: Share of the building samples.
    hottest_share: float


class FilledTable(BaseModel):
    """What is shown: headings, and a row of as many cells for each arm, the first its name."""

    headings: list[str]
    rows: list[list[str]]


#: Arm -> measure -> value; null for what never came.
Values = dict[str, dict[str, float | None]]


class Calibrated(BaseModel):
    """What a report of one stream was found to cost before a block, and its rate in the block."""

    #: Seconds that each of a few was worked on, and their median: S.
    runs_s: tuple[float, ...]
    run_s: float
    #: Seconds of these in which the event loop did not run; null where workers build it.
    blocked_s: float | None = None
    #: The queue that it waits in; null where there is none.
    queue: str | None = None
    #: Of its file, when nothing disturbs the work.
    sha256: str | None = None
    #: Reports a second that slots drain, by how many slots there are; where that is needed.
    drain_per_s: dict[int, float] = Field(default_factory=dict)
    #: Orders a second.
    per_second: float


class ScrapeTimes(BaseModel):
    """How often metrics were scraped, and how long an answer was waited for; seconds."""

    interval_s: float
    timeout_s: float


class ExperimentResult(BaseModel):
    """One experiment of a run."""

    verdict: Verdict
    title: str
    rule: str = ""
    question: str = ""
    #: What readers were asked to predict.
    prediction: str = ""
    #: What was sent: the table `[load]` or `[burst]` of the experiment file.
    load: dict[str, Any]
    #: Each arm as it was set up: `[stack]` and the arm's own keys.
    settings: dict[str, dict[str, Any]] = Field(default_factory=dict)
    #: The keys in which naive and fixed differ.
    differences: list[str] = Field(default_factory=list)
    #: The times of the scraper, where metrics are scraped.
    scrape: ScrapeTimes | None = None
    #: The Python that did the work, where the lab runs it itself.
    interpreter: dict[str, Any] | None = None
    #: Every measure over the judged blocks, combined as the catalogue says.
    arms: Values = Field(default_factory=dict)
    #: The same keys: how many values, interval, and what became of those that are null.
    details: dict[str, dict[str, Detail]] = Field(default_factory=dict)
    #: Every measure of every block.
    blocks: list[Values] = Field(default_factory=list)
    #: Numbers of the blocks that are judged; a block that is missing here was disturbed.
    judged_blocks: list[int] = Field(default_factory=list)
    #: Arms that are shown, and ran only in a disturbed block.
    disturbed_arms: list[str] = Field(default_factory=list)
    #: Runs of an arm that were disturbed and repeated. Only promises look at them.
    discarded: list[Discarded] = Field(default_factory=list)
    noise: list[Noise] = Field(default_factory=list)
    expectations: list[Judged] = Field(default_factory=list)
    validity: list[Judged] = Field(default_factory=list)
    #: What each stream of reports was found to cost before each block, and its rate in it.
    calibrations: list[dict[str, Calibrated]] = Field(default_factory=list)
    #: What was predicted, calibrated or configured, over the judged blocks: source -> measure.
    before_load: Values = Field(default_factory=dict)
    #: The same of each block, on record before its load began.
    before_load_blocks: list[Values] = Field(default_factory=list)
    events: list[EventResult] = Field(default_factory=list)
    #: When each load began.
    loads: list[LoadResult] = Field(default_factory=list)
    #: The experiment's own table, where it has one.
    table: FilledTable | None = None
    evidence: list[Guilty] = Field(default_factory=list)
    #: Why there is no evidence, where there is none.
    evidence_missing: str | None = None
    #: What happened, and what the fix cost, in words.
    gain: str = ""
    price: str = ""
    #: Why the experiment was not finished.
    error: str | None = None


class Machine(BaseModel):
    """The machine, as far as results depend on it."""

    processor: str
    cores: int | None
    memory_bytes: int | None = None
    system: str = ""
    python: str
    #: Whether Linux schedules sessions against each other; null where that is not known.
    sched_autogroup: bool | None = None


class Checkout(BaseModel):
    """The commit that was checked out; nulls outside a repository."""

    commit: str | None = None
    #: Whether files differed from it.
    dirty: bool | None = None


class Run(BaseModel):
    """Everything in ``run.json``."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True)

    schema_: Literal["offloop.run/2"] = Field(default="offloop.run/2", alias="schema")
    kind: Literal["bench"] = "bench"
    started_at: datetime
    machine: Machine
    versions: dict[str, str]
    git: Checkout
    seed: int
    #: Whether it was a quick look: fewer blocks.
    quick: bool = False
    wall_s: float = 0.0
    interrupted: bool = False
    verdict: Verdict = Verdict.NO_VERDICT
    experiments: dict[str, ExperimentResult] = Field(default_factory=dict)
