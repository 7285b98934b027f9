"""Which code a thread is in."""

import sys
import sysconfig
from collections import Counter
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import NamedTuple

# Everything under these folders belongs to Python or to an installed package.
_LIBRARIES = tuple(
    {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)


class Site(NamedTuple):
    """A line of code that was being executed.

    Attributes:
        file: Path of the source file, as the interpreter knows it.
        function: Qualified name of the function.
        line: Line number.
    """

    file: str
    function: str
    line: int


def current_site(thread_id: int) -> Site | None:
    """Where a thread is now: the innermost frame of application code.

    Without a frame outside the standard library and installed packages, the innermost frame of all.

    Args:
        thread_id: As `threading.get_ident` gives it.

    Returns:
        None if there is no such thread.
    """
    # The documented way to read another thread's stack, whatever its name says.
    innermost = sys._current_frames().get(thread_id)  # noqa: SLF001 - said above
    if innermost is None:
        return None
    frame = next(filter(_is_application, _outwards(innermost)), innermost)
    return Site(frame.f_code.co_filename, frame.f_code.co_qualname, frame.f_lineno)


def most_common(sites: Iterable[Site]) -> Site | None:
    """The function that was seen most often, at the line that was seen most often in it.

    Returns:
        None if there are no sites.
    """
    counts = Counter(sites)
    if not counts:
        return None
    functions: Counter[tuple[str, str]] = Counter()
    for site, count in counts.items():
        functions[site[:2]] += count
    winner, _ = functions.most_common(1)[0]
    return max((site for site in counts if site[:2] == winner), key=counts.__getitem__)


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _is_application(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    return not file.startswith((*_LIBRARIES, "<frozen"))
