"""What the program that does bursts says on its standard output: one JSON object."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Executor = Literal["threads", "processes"]

#: Kinds of work: `loadtests.bursts.kinds` has what each of them does.
Kind = Literal["aggregate", "gzip", "parquet", "inference"]


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Interpreter(_Said):
    """The Python that did the work, asked after it was done.

    Attributes:
        version: Of Python, such as ``3.13.1``.
        free_threaded: Whether it was built so that it can do without the GIL.
        gil: Whether it has one now: also such a build gets it back from a module that needs it.
    """

    version: str
    free_threaded: bool
    gil: bool


class Times(_Said):
    """One kind of work, timed over and over.

    Attributes:
        alone_s: Seconds of one piece alone, in the main thread of the program.
        burst_s: Seconds from handing over the first piece until all are done.
        burst_cpu_s: CPU seconds that the pieces of each burst took together.
        digests: SHA-256 of the results of all pieces, each different one once.
    """

    alone_s: tuple[float, ...] = Field(min_length=1)
    burst_s: tuple[float, ...] = Field(min_length=1)
    burst_cpu_s: tuple[float, ...] = Field(min_length=1)
    digests: tuple[str, ...] = Field(min_length=1)


class Done(_Said):
    """Everything about one run of the program.

    Attributes:
        executor: What did the bursts.
        workers: How many threads or processes it had.
        pieces: How many pieces of work were handed over at once.
        cpus: How many processors the program was allowed to use.
        start_s: Seconds until every worker was there and had what the work needs.
        work: The times of each kind.
    """

    executor: Executor
    workers: int
    pieces: int
    cpus: int
    start_s: float
    interpreter: Interpreter
    work: dict[Kind, Times]
