"""What the lab and the generator's process say to each other: one JSON object a line.

The lab writes a `Job` a line to the generator's standard input and reads events from its
standard output. End of file on standard input ends the generator.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Job(_Message):
    """Run the plan in the file `plan` and write the logs into the directory `out`."""

    plan: Path
    out: Path


class Ready(_Message):
    """The generator's process has started and waits for jobs."""

    event: Literal["ready"] = "ready"


class Progress(_Message):
    """How far the current plan is; the first one is sent when the plan starts.

    Attributes:
        start_monotonic_s: Second 0 of the plan, on CLOCK_MONOTONIC.
        elapsed_s: Seconds since then.
        sent: Requests sent so far.
        answered: Answers that came, whatever their status.
        total: Requests in the plan.
    """

    event: Literal["progress"] = "progress"
    start_monotonic_s: float
    elapsed_s: float
    sent: int
    answered: int
    total: int


class Done(_Message):
    """The plan is over and its logs are complete.

    Attributes:
        start_monotonic_s: Second 0 of the plan, on CLOCK_MONOTONIC.
        cpu_s: Processor seconds the generator used between start and deadline.
    """

    event: Literal["done"] = "done"
    start_monotonic_s: float
    cpu_s: float


class Failed(_Message):
    """The plan could not be run; `reason` says why."""

    event: Literal["failed"] = "failed"
    reason: str


Event = Annotated[Ready | Progress | Done | Failed, Field(discriminator="event")]
EVENT: TypeAdapter[Ready | Progress | Done | Failed] = TypeAdapter(Event)
