"""What is done to a stack while its load runs: tables of an experiment file, and their targets."""

from collections.abc import Mapping
from itertools import chain
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, model_validator

from offloop.stack.failpoints import FAILPOINTS
from offloop.stack.pools import Pool
from offloop.tables import Table

BROKER, API, HOUSEKEEPING = "broker", "api", "housekeeping"

#: What else than a pool or a slot something can be done to.
PARTS = (BROKER, API, HOUSEKEEPING)

#: The keys that each thing to do needs, and those that it may have.
_NEEDS: Mapping[str, frozenset[str]] = {
    "pause": frozenset({"for_s"}),
    "kill": frozenset({"signal"}),
    "restart": frozenset({"signal"}),
    "scale": frozenset({"slots"}),
}
_ALLOWS: Mapping[str, frozenset[str]] = {"kill": frozenset({"for_s"})}
_KEYS = ("for_s", "signal", "slots")


def _known_step(name: str) -> str:
    if name not in FAILPOINTS:
        raise ValueError(f"{name!r} is not a step of the work; there is {', '.join(FAILPOINTS)}")
    return name


FailpointName = Annotated[
    str, AfterValidator(_known_step), Field(json_schema_extra={"enum": list(FAILPOINTS)})
]


class Event(Table):
    """One thing that happens once while an arm runs, in every arm that has what it is done to."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """Its name: measures such as `kill.lost` begin with it."""
    do: Literal["pause", "kill", "restart", "scale"]
    """`pause` freezes a process for `for_s`. `kill` ends it and starts it again `for_s` later, or
    after the load. `restart` ends it and starts it at once. `scale` changes the number of slots."""
    what: str
    """`broker`, `api`, `housekeeping`, a pool (all its slots), or a slot: `worker-long-1`."""
    at_s: float | None = Field(default=None, ge=0)
    """Second of the load."""
    at: FailpointName | None = None
    """As soon as a process reaches this failpoint (`reports/failpoints.py`), after `at_s` if both
    are given. Of a pool, only the slot that reaches it."""
    for_s: PositiveFloat | None = None
    """Seconds of a pause, or that a killed process is away."""
    signal: Literal["TERM", "KILL"] | None = None
    """How a process is ended."""
    slots: PositiveInt | None = None
    """Slots of the pool from then on."""

    @property
    def ends_the_api(self) -> bool:
        """Whether the API is away for a while, so that connections are refused."""
        return self.what == API and self.do in {"kill", "restart"}

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.at_s is None and self.at is None:
            raise ValueError("an event happens `at_s` seconds, `at` a step, or both: say when")
        given = {key for key in _KEYS if getattr(self, key) is not None}
        needed = _NEEDS[self.do]
        if missing := needed - given:
            raise ValueError(f"to {self.do} it takes {' and '.join(sorted(missing))}")
        if idle := given - needed - _ALLOWS.get(self.do, frozenset()):
            raise ValueError(f"{' and '.join(sorted(idle))} means nothing to a {self.do}")
        if self.do == "scale" and self.at is not None:
            raise ValueError("slots are scaled `at_s` a moment, not `at` a step")
        return self

    def targets(self, pools: Mapping[str, Pool], *, has_tier: bool) -> tuple[str, ...]:
        """Return what of an arm this is done to: parts, or slots by name; none if it has none.

        Args:
            pools: Those of the arm.
            has_tier: Whether the arm has them, and a broker and housekeeping.
        """
        if self.what == API:
            return (API,)
        if not has_tier:
            return ()
        if self.what in PARTS:
            return (self.what,)
        slots = {name: slot_names(name, pool) for name, pool in pools.items()}
        if self.what in slots:
            return slots[self.what]
        return (self.what,) if self.what in chain.from_iterable(slots.values()) else ()


def slot_names(name: str, pool: Pool) -> tuple[str, ...]:
    """Return the names of a pool's slots, which are those of their processes."""
    return tuple(f"worker-{name}-{number + 1}" for number in range(pool.slots))
