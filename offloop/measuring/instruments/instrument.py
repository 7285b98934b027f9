"""What every instrument can do, and sending an arm its load while instruments watch."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from offloop.load.generator import Generator
from offloop.load.log import RequestLog
from offloop.load.plan import Plan
from offloop.load.protocol import Progress
from offloop.measuring.rows import Rows
from offloop.measuring.values import Recorded


class RawRow(Protocol):
    """A row of a raw table: a named tuple."""

    def _asdict(self) -> dict[str, Any]: ...


class Instrument:
    """Watches one arm in one block, and says what it measured.

    An instrument is a context manager around the load. Its methods are called in the order in
    which they are written here; each does nothing unless the instrument needs it.
    """

    def __enter__(self) -> Self:
        return self

    def began(self, start_monotonic_s: float) -> None:
        """The load has begun.

        Args:
            start_monotonic_s: Its second 0, on CLOCK_MONOTONIC.
        """

    def look(self) -> None:
        """About a second of the load has passed."""

    def before_end(self, services: Sequence[str]) -> None:
        """A fault is about to end these services, from a thread of its own."""

    def over(self, start_monotonic_s: float) -> None:
        """The load is over, and whatever watches it still does."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def measured(self, rows: Rows) -> Recorded:  # noqa: ARG002 - for those that need it
        """Return what it measured, once all services are there again and all reports are settled.

        Args:
            rows: What is known of the requests.
        """
        return Recorded()

    def tables(self) -> Mapping[str, Sequence[RawRow]]:
        """Return the raw rows to keep: name of a table -> its rows."""
        return {}


def run_load(
    generator: Generator,
    plan: Plan,
    out: Path,
    instruments: Sequence[Instrument],
    on_progress: Callable[[Progress], None],
) -> RequestLog:
    """Send an arm its load while instruments watch.

    Args:
        generator: Sends it.
        plan: The load.
        out: Folder for the generator's raw log.
        instruments: Entered in this order, left in the reverse order.
        on_progress: Told about once a second how far the load is.

    Raises:
        GeneratorError: the generator could not do its work.
    """
    begun: list[float] = []

    def watch(progress: Progress) -> None:
        if not begun:
            begun.append(progress.start_monotonic_s)
            for instrument in instruments:
                instrument.began(progress.start_monotonic_s)
        for instrument in instruments:
            instrument.look()
        on_progress(progress)

    with ExitStack() as watching:
        for instrument in instruments:
            watching.enter_context(instrument)
        log = generator.run(plan, out, watch)
        for instrument in instruments:
            instrument.over(log.start_monotonic_s)
    return log
