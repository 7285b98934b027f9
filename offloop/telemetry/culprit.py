"""Which code a thread is in, and for which request."""

import os
import re
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from types import CodeType, FrameType
from typing import Any, NamedTuple

from offloop.telemetry.routes import route_template

# Everything under these folders belongs to Python or to an installed package.
_LIBRARIES = tuple(
    {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)

# A comprehension or generator is a part of the function that it is written in, and a function of
# its own or not, depending on the version of Python.
_PART = re.compile(r"\.<locals>\.<(?:(?:list|set|dict)comp|genexpr)>")

#: What every ASGI app calls its first parameter: the request, as a dictionary.
_SCOPE = "scope"


class Site(NamedTuple):
    """A line of code that was being executed.

    Attributes:
        file: Path of the source file, as the interpreter knows it.
        function: Qualified name of the function.
        line: Line number.
        endpoint: Method and path template of the request that it was executed for, such as
            `POST /reports/{report_id}`; the function that answers it where there is no template;
            None if it was for none, or the framework does not say.
    """

    file: str
    function: str
    line: int
    endpoint: str | None = None


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
    frames = list(_outwards(innermost))
    frame = next(filter(_is_application, frames), innermost)
    code, line = frame.f_code, frame.f_lineno
    function = _PART.sub("", code.co_qualname)
    return Site(code.co_filename, function, line, _endpoint(frames))


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


def short_path(file: str) -> str:
    """A source file as it is imported: relative to the folder on `sys.path` that it was found in.

    Args:
        file: As the interpreter knows it.

    Returns:
        Its name alone if it was found in none of them.
    """
    if file.startswith("<"):
        return file
    folders = (os.path.join(os.path.abspath(folder), "") for folder in sys.path)  # noqa: PTH100, PTH118 - strings that are compared; nothing is looked up
    holding = max((folder for folder in folders if file.startswith(folder)), key=len, default=None)
    return os.path.basename(file) if holding is None else file[len(holding) :]  # noqa: PTH119 - as above


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _is_application(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    return not file.startswith((*_LIBRARIES, "<frozen"))


def _endpoint(frames: Iterable[FrameType]) -> str | None:
    """The request that is being answered by the innermost of these frames that answers one."""
    for frame in frames:
        if not _has_scope(frame.f_code):
            continue
        try:
            named = _name(frame.f_locals.get(_SCOPE))
        except Exception:  # noqa: BLE001, S112 - other people's objects; a name is not worth a crash
            continue
        if named is not None:
            return named
    return None


def _has_scope(code: CodeType) -> bool:
    # Asked first, because to read the variables of a frame keeps them alive until it is left.
    return _SCOPE in code.co_varnames or _SCOPE in code.co_freevars


def _name(scope: object) -> str | None:
    if not isinstance(scope, Mapping) or scope.get("type") not in {"http", "websocket"}:
        return None
    # A path itself would be another name for every id in it. Older versions of Starlette note the
    # endpoint only, not its route.
    name = route_template(scope)
    endpoint: Any = scope.get("endpoint")
    if not name and endpoint is not None:
        name = getattr(endpoint, "__qualname__", type(endpoint).__qualname__)
    return f"{scope.get('method', scope['type'])} {name}" if name else None
