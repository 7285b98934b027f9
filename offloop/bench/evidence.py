"""Reading profiles: which function holds a process. Pure functions."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel

#: A function is named in place of its caller if it carries this share of the caller's samples:
#: what a profile should name is the function whose work it is, not the line that happened to
#: run most often inside it.
_CARRIES = 2 / 3

_FRAME = re.compile(r"(?P<function>.+) \((?P<file>[^:()]+):(?P<line>\d+)\)$")


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


def parse_stacks(raw: str) -> list[SeenStack]:
    """Read py-spy's raw format: ``[process;]thread;frame;…;frame count``, a stack a line."""
    stacks = []
    for line in raw.splitlines():
        path, _, count = line.rpartition(" ")
        parts = path.split(";")
        matches = [_FRAME.match(part) for part in parts]
        frames = tuple(
            Frame(match["function"], match["file"], int(match["line"]))
            for match in matches
            if match
        )
        thread = ";".join(part for part, match in zip(parts, matches, strict=True) if not match)
        stacks.append(SeenStack(thread, frames, int(count)))
    return stacks


def guilty_frame(stacks: Iterable[SeenStack], root: Path) -> tuple[Frame, float] | None:
    """Find the function of ours that a thread spends most of its time in.

    That is the innermost of those that carry at least two thirds as many samples as the one
    that carries most.

    Args:
        stacks: What was seen.
        root: The checkout. What lies in it is ours, except for the environment's packages and
            the lab itself, which only watches.

    Returns:
        The frame, at the line seen most often, and its share of all samples of its thread; None
        if no function of ours was ever seen.
    """
    in_thread: Counter[str] = Counter()
    samples: Counter[tuple[str, str, str]] = Counter()
    depths: dict[tuple[str, str, str], int] = {}
    lines: Counter[tuple[str, Frame]] = Counter()
    for thread, frames, count in stacks:
        in_thread[thread] += count
        our_frames = [frame for frame in frames if _is_ours(frame, root)]
        for depth, frame in enumerate(our_frames):
            key = (thread, frame.file, frame.function)
            depths[key] = max(depth, depths.get(key, 0))
        samples.update(
            dict.fromkeys({(thread, frame.file, frame.function) for frame in our_frames}, count)
        )
        lines.update(dict.fromkeys({(thread, frame) for frame in our_frames}, count))
    if not samples:
        return None
    most = max(samples.values())
    thread, file, function = max(
        (key for key, count in samples.items() if count >= _CARRIES * most),
        key=lambda key: (depths[key], samples[key]),
    )
    _, line = max(
        (count, frame.line)
        for (in_, frame), count in lines.items()
        if (in_, frame.file, frame.function) == (thread, file, function)
    )
    return Frame(function, file, line), samples[thread, file, function] / in_thread[thread]


def _is_ours(frame: Frame, root: Path) -> bool:
    inside = frame.file.startswith(f"{root}/") and "/site-packages/" not in frame.file
    return inside and not frame.file.startswith(f"{root}/offloop/")


def py_spy_command(pid: int, seconds: float, output: Path) -> tuple[str, ...]:
    """Return the command that samples a process, and what it has forked, 100 times a second."""
    return (
        *("py-spy", "record", "--pid", str(pid), "--duration", str(max(1, round(seconds)))),
        *("--rate", "100", "--format", "raw", "--output", str(output)),
        # Without --idle a stall in a system call would not be seen at all; without
        # --full-filenames nobody could tell whose file it is.
        *("--threads", "--idle", "--full-filenames", "--subprocesses", "--nonblocking"),
    )
