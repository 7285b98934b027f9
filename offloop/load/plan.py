"""What the generator is asked to send: streams of due requests, and how long to wait for them."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

#: Keys of `summary.json` that are not request names.
RESERVED_NAMES = frozenset({"schema", "start_monotonic_s", "deadline_s", "generator_cpu_s"})

#: RFC 9110, section 5.6.2: methods and header names are tokens.
Token = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
#: RFC 9110, section 5.5, without the bytes above ASCII.
HeaderValue = Annotated[str, Field(pattern=r"^[\t\x20-\x7e]*$")]


class Stream(BaseModel):
    """Identical requests that are due at given moments.

    Attributes:
        name: How the log and the summary call these requests.
        method: HTTP method.
        path: Path and query, beginning with a slash; appended to `base_url`.
        base_url: `http://host:port`, or `https`, with or without a path.
        headers: Sent as they are, beside `Host`, `Content-Length` and `X-Request-Id`.
        body: Sent as JSON; None sends no body.
        due_s: Seconds since the start of the plan, ascending.
        expect: Statuses that count as success; None means any 2xx.
        clients: How many clients send them, in turn, each on a connection of its own that it keeps;
            None if any request takes whichever connection was free last.
        follow: Follow a `202` to the report it promises, and log when that was seen.
        retry_refused: Send what is answered with `503` and a `Retry-After` in seconds again when
            they are over, until it is answered otherwise.
        keys: Send an `Idempotency-Key` with each request. The n-th requests of all streams that
            name the same keys have the same one, which is another each time the plan is run.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    method: Token = "GET"
    path: str = Field(pattern=r"^/[\x21-\x7e]*$")
    base_url: str
    headers: dict[Token, HeaderValue] = Field(default_factory=dict)
    body: JsonValue = None
    due_s: list[Annotated[float, Field(ge=0)]]
    expect: frozenset[int] | None = None
    clients: int | None = Field(default=None, gt=0)
    follow: bool = False
    retry_refused: bool = False
    keys: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._-]+$")

    @field_validator("name")
    @classmethod
    def _is_not_reserved(cls, name: str) -> str:
        if name in RESERVED_NAMES:
            raise ValueError(f"{name!r} is a key of summary.json; choose another name")
        return name

    @field_validator("base_url")
    @classmethod
    def _is_http(cls, base_url: str) -> str:
        parts = urlsplit(base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(
                f"{base_url!r} is not the address of a web server; "
                "write it like http://127.0.0.1:8000"
            )
        if parts.query or parts.fragment:
            raise ValueError(f"{base_url!r} has a query or a fragment; put the query in the path")
        return base_url

    @field_validator("due_s")
    @classmethod
    def _is_ascending(cls, due_s: list[float]) -> list[float]:
        if any(later < earlier for earlier, later in pairwise(due_s)):
            raise ValueError("due times must ascend; sort them")
        return due_s


class Plan(BaseModel):
    """One run of the generator.

    Attributes:
        streams: What to send; names are unique.
        duration_s: Due times lie before this.
        drain_s: How long after `duration_s` answers still count.
        seed: What the schedules were made from; also the first part of every `X-Request-Id`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal["offloop.plan/1"] = Field(default="offloop.plan/1", alias="schema")
    streams: list[Stream] = Field(min_length=1)
    duration_s: float = Field(gt=0)
    drain_s: float = Field(ge=0)
    seed: int

    @property
    def deadline_s(self) -> float:
        """Seconds since the start at which the generator stops waiting."""
        return self.duration_s + self.drain_s

    @property
    def names(self) -> tuple[str, ...]:
        """The streams' names, in order."""
        return tuple(stream.name for stream in self.streams)

    def merged(self) -> Iterator[tuple[float, Stream]]:
        """Yield every due request of all streams as `(due_s, stream)`, by due time.

        The position in this order is the request's row in `requests.csv` and the second part of
        its `X-Request-Id`.
        """
        pairs = [(due_s, stream) for stream in self.streams for due_s in stream.due_s]
        yield from sorted(pairs, key=lambda pair: pair[0])

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"stream names must be unique, not {', '.join(self.names)}")
        for stream in self.streams:
            if stream.due_s and stream.due_s[-1] >= self.duration_s:
                raise ValueError(
                    f"{stream.name!r} has a request due at {stream.due_s[-1]:g} s, "
                    f"but the plan lasts {self.duration_s:g} s; make the plan longer"
                )
        return self
