"""When the methods of instruments are called. The generator is a fake, which sends nothing."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from offloop.load.generator import Generator
from offloop.load.log import RequestLog
from offloop.load.plan import Plan, Stream
from offloop.load.protocol import Progress
from offloop.measuring.instruments.instrument import Instrument, run_load
from tests.bench.support import request_log


class FakeGenerator:
    """Tells three times how far the load is, and fails then if it is to."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def run(self, plan: Plan, out: Path, on_progress: Callable[[Progress], None]) -> RequestLog:
        del plan, out
        for elapsed_s in range(3):
            progress = Progress(
                start_monotonic_s=7.0, elapsed_s=elapsed_s, sent=0, answered=0, total=0
            )
            on_progress(progress)
        if self._error is not None:
            raise self._error
        return request_log([])


class Noted(Instrument):
    """Notes what is called."""

    def __init__(self, name: str, notes: list[str]) -> None:
        self._name = name
        self._notes = notes

    def _note(self, text: str) -> None:
        self._notes.append(f"{self._name} {text}")

    def __enter__(self) -> Self:
        self._note("enters")
        return self

    def began(self, start_monotonic_s: float) -> None:
        self._note(f"began {start_monotonic_s:g}")

    def look(self) -> None:
        self._note("looks")

    def over(self, start_monotonic_s: float) -> None:
        self._note(f"over {start_monotonic_s:g}")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._note("leaves" if error is None else "leaves after an error")


PLAN = Plan(
    streams=[
        Stream(name="ping", method="GET", path="/ping", base_url="http://127.0.0.1:1", due_s=[])
    ],
    duration_s=1,
    drain_s=1,
    seed=1,
)


def run(names: Sequence[str], error: Exception | None = None) -> list[str]:
    notes: list[str] = []
    generator = cast(Generator, FakeGenerator(error))
    instruments = [Noted(name, notes) for name in names]
    try:
        run_load(generator, PLAN, Path(), instruments, lambda _: notes.append("told"))
    except LookupError:
        notes.append("raised")
    return notes


def test_instruments_are_entered_before_the_load_and_left_in_reverse() -> None:
    assert run("ab") == [
        *("a enters", "b enters"),
        *("a began 7", "b began 7"),
        *("a looks", "b looks", "told") * 3,
        *("a over 0", "b over 0"),
        *("b leaves", "a leaves"),
    ]


def test_after_an_error_instruments_are_left_too() -> None:
    assert run("ab", LookupError())[-3:] == [
        *("b leaves after an error", "a leaves after an error", "raised")
    ]
