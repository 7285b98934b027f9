"""Reading profiles: which function holds a process. Pure functions."""

import re
from collections import Counter
from collections.abc import Iterable
from itertools import groupby
from math import ceil
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel

#: A callee is named in place of its caller if it takes more than this share of the caller's time:
#: what a profile should name is the function whose work it is, not the line of it that happened
#: to run most often.
_MOST = 0.75

#: Folders of the checkout that are never named: the lab only watches, and what both apps share
#: is passed by every request.
_NOT_GUILTY = ("offloop", "web")

#: Share of a thread's time below which nothing of ours is said to hold it: an API that hands its
#: reports over spends less than that in its routes.
HELD = 0.15

_FRAME = re.compile(r"(?P<function>.+?) \((?P<file>.+):(?P<line>\d+)\)$")

#: A comprehension or generator is a part of the function that it is written in, which has another
#: name in each version of Python.
_PART = re.compile(r"\.<locals>\.<(?:(?:list|set|dict)comp|genexpr)>$")


class Guilty(BaseModel):
    """The function of ours that a process spends most of its time in."""

    arm: str
    process: str
    file: str
    function: str
    line: int
    #: Share of the samples of its thread, idle ones included.
    share: float


class Frame(NamedTuple):
    """One entry of a stack."""

    function: str
    file: str
    line: int


class SeenStack(NamedTuple):
    """A distinct stack of one thread, outermost frame first, and how often it was seen."""

    thread: str
    frames: tuple[Frame, ...]
    samples: int


#: Frames of ours, outermost first and at least one, and how often they were seen.
_Path = tuple[tuple[Frame, ...], int]


def parse_stacks(raw: str) -> list[SeenStack]:
    """Read py-spy's raw format: ``[process;]thread;frame;…;frame count``, a stack a line."""
    stacks = []
    for line in raw.splitlines():
        path, _, count = line.rpartition(" ")
        parts = path.split(";")
        matches = [_FRAME.match(part) for part in parts]
        frames = tuple(
            Frame(_PART.sub("", match["function"]), match["file"], int(match["line"]))
            for match in matches
            if match
        )
        thread = ";".join(part for part, match in zip(parts, matches, strict=True) if not match)
        stacks.append(SeenStack(thread, frames, int(count)))
    return stacks


def guilty_frame(stacks: Iterable[SeenStack], root: Path) -> tuple[Frame, float] | None:
    """Find the function of ours that a thread spends most of its time in.

    Beginning with the outermost that took most time in any thread, follow the callee that takes
    most of its caller's time, for as long as there is one.

    Args:
        stacks: What was seen.
        root: The checkout. What lies in it is ours, except for the environment's packages and
            `_NOT_GUILTY`.

    Returns:
        The frame, at the line seen most often, and its share of all samples of its thread; None
        if no function of ours, with all that it calls, took `HELD` of the time of a thread.
    """
    in_thread: Counter[str] = Counter()
    threads: dict[str, list[_Path]] = {}
    for thread, frames, count in stacks:
        in_thread[thread] += count
        if path := _our_path(frames, root):
            threads.setdefault(thread, []).append((path, count))
    if not threads:
        return None
    groups = {thread: _largest_group(paths) for thread, paths in threads.items()}
    thread = max(groups, key=lambda name: _samples(groups[name]))
    found = groups[thread]
    if _samples(found) < HELD * in_thread[thread]:
        return None
    while callee := _largest_group([(path[1:], count) for path, count in found if path[1:]]):
        if _samples(callee) <= _MOST * _samples(found):
            break
        found = callee
    lines: Counter[Frame] = Counter()
    for path, count in found:
        lines[path[0]] += count
    (frame, _), *_ = lines.most_common(1)
    return frame, _samples(found) / in_thread[thread]


def _our_path(frames: Iterable[Frame], root: Path) -> tuple[Frame, ...]:
    """Keep the frames of ours; of a function that calls itself, the first."""
    ours = (frame for frame in frames if _is_ours(frame, root))
    return tuple(next(same) for _, same in groupby(ours, key=_function))


def _largest_group(paths: Iterable[_Path]) -> list[_Path]:
    """Give the paths that begin with the function in which most samples begin."""
    groups: dict[tuple[str, str], list[_Path]] = {}
    for path, count in paths:
        groups.setdefault(_function(path[0]), []).append((path, count))
    return max(groups.values(), key=_samples, default=[])


def _samples(paths: Iterable[_Path]) -> int:
    return sum(count for _, count in paths)


def _function(frame: Frame) -> tuple[str, str]:
    return frame.file, frame.function


def _is_ours(frame: Frame, root: Path) -> bool:
    inside = frame.file.startswith(f"{root}/") and "/site-packages/" not in frame.file
    return inside and not frame.file.startswith(tuple(f"{root}/{name}/" for name in _NOT_GUILTY))


def py_spy_command(pid: int, seconds: float, output: Path) -> tuple[str, ...]:
    """Return the command that samples a process, and what it has forked, 100 times a second."""
    return (
        *("py-spy", "record", "--pid", str(pid), "--duration", str(ceil(seconds))),
        *("--rate", "100", "--format", "raw", "--output", str(output)),
        # Without --idle a stall in a system call would not be seen at all; without
        # --full-filenames nobody could tell whose file it is.
        *("--threads", "--idle", "--full-filenames", "--subprocesses"),
    )
