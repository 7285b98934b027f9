"""Pools: how many worker slots there are, and on which queues."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import AfterValidator, Field, PositiveInt, model_validator

from offloop.stack.priorities import NICE_WORKER
from offloop.stack.queues import QUEUES
from offloop.stack.service import NICEST
from offloop.tables import Table


def _known_queue(name: str) -> str:
    if name not in QUEUES:
        raise ValueError(f"{name!r} is not a queue of the job tier; there is {', '.join(QUEUES)}")
    return name


Queue = Annotated[
    str, AfterValidator(_known_queue), Field(json_schema_extra={"enum": list(QUEUES)})
]


class Pool(Table):
    """Slots on the same queues; each is one supervised process with one thread for jobs.

    The pool's name is that of its slots: ``worker-<pool>-<number>``.
    """

    queues: tuple[Queue, ...] = Field(min_length=1)
    """The queues that each slot serves."""
    slots: PositiveInt
    """How many slots: each is one process that does one job at a time."""
    nice: int = Field(default=NICE_WORKER, ge=0, le=NICEST)
    """Niceness of each slot."""
    prefetch: PositiveInt = 1
    """Messages that a slot takes from each of its queues, the current one included. An idle slot
    cannot take a message that another slot holds."""

    @model_validator(mode="after")
    def _names_each_queue_once(self) -> Self:
        if len(set(self.queues)) < len(self.queues):
            raise ValueError(f"a queue is named twice in {', '.join(self.queues)}")
        return self


#: The pools of the tier where nothing else is said: a short job never waits behind a long one.
STANDARD_POOLS: Mapping[str, Pool] = {
    "short": Pool(queues=("short",), slots=1),
    "long": Pool(queues=("long",), slots=1),
}
