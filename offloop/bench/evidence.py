"""Reading profiles: how busy a process was building reports, and where. Pure functions."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from math import ceil
from pathlib import Path
from typing import NamedTuple

from offloop.measuring.results import Guilty

#: A callee is named in place of its caller if it takes more than this share of the caller's time.
_MOST = 0.75

#: A process that builds reports for less than this share of the time is not named: an API that
#: hands its reports over spends less than that in `reports/`.
HELD = 0.15

#: Waiting for rows is not building: an API awaits them, a worker's thread waits for them here.
_FETCHING = "reports/lines.py"

_FRAME = re.compile(r"(?P<function>.+?) \((?P<file>.+):(?P<line>\d+)\)$")

#: A comprehension or generator is a part of the function that it is written in, which has another
#: name in each version of Python.
_PART = re.compile(r"\.<locals>\.<(?:(?:list|set|dict)comp|genexpr)>$")


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


class Profile(NamedTuple):
    """What was seen of one process while an arm ran."""

    arm: str
    process: str
    stacks: Sequence[SeenStack]


#: A function, by its file and its name.
_Function = tuple[str, str]

#: Functions, outermost first and each once, and the weight of the samples that passed through them.
_Path = tuple[tuple[_Function, ...], float]


class _Building(NamedTuple):
    """The samples of a process in which it was building reports."""

    profile: Profile
    #: Stacks, of which only the frames in `reports/` are kept, and how often each was seen.
    stacks: list[tuple[tuple[Frame, ...], int]]
    #: Their share of all samples of one thread; more than 1 where processes build side by side.
    share: float

    @property
    def samples(self) -> int:
        return sum(count for _, count in self.stacks)

    def paths(self) -> list[_Path]:
        """Return the functions of each stack. The weights of a process add up to one."""
        total = self.samples
        return [
            (tuple(dict.fromkeys(map(_function, frames))), count / total)
            for frames, count in self.stacks
        ]

    def lines_of(self, function: _Function) -> Counter[Frame]:
        """Count the samples that pass through a function, by its line in its outermost call."""
        lines: Counter[Frame] = Counter()
        for frames, count in self.stacks:
            if calls := [frame for frame in frames if _function(frame) == function]:
                lines[calls[0]] += count
        return lines

    def innermost_lines(self) -> Counter[Frame]:
        lines: Counter[Frame] = Counter()
        for frames, count in self.stacks:
            lines[frames[-1]] += count
        return lines


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


def guilty(profiles: Sequence[Profile], root: Path) -> list[Guilty]:
    """Name the function in which processes build reports, at one level for all of them.

    Beginning with the outermost function that most samples pass through, follow the callee that
    takes most of its caller's time, for as long as there is one. All processes count the same in
    this, however busy they were.

    Args:
        profiles: All processes that were profiled in an experiment. What is compared has to be
            passed together: the level depends on all of them.
        root: The checkout. Building reports is what happens in and below its `reports/`.

    Returns:
        The processes that were building reports for at least `HELD` of the time. For processes that
        never call the function, another one is found in the same way.
    """
    found = [_building(profile, root) for profile in profiles]
    left = [each for each in found if each is not None and each.share >= HELD]
    named: list[Guilty] = []
    while left:
        function = _level([path for each in left for path in each.paths()])
        named += [_named(each, function, root) for each in left if each.lines_of(function)]
        left = [each for each in left if not each.lines_of(function)]
    return named


def said(found: Guilty) -> str:
    """Say in a sentence how busy a process was building reports, and where."""
    place = f"{found.function} ({found.file}:{found.line})"
    hottest = f"{found.hottest_function} ({found.hottest_file}:{found.hottest_line})"
    sentence = (
        f"{found.arm}: {found.process} built reports {found.building_share:.0%} of the time; "
        f"{found.share:.0%} of that in {place}"
    )
    if hottest == place:
        return sentence
    return f"{sentence}, most of all at {hottest}, {found.hottest_share:.0%}"


def _building(profile: Profile, root: Path) -> _Building | None:
    """Keep the thread of each process that builds most, and of its stacks those in `reports/`.

    A server's workers share the reports between them as chance has it: their times are added up.
    """
    in_thread: Counter[str] = Counter()
    stacks: defaultdict[str, list[tuple[tuple[Frame, ...], int]]] = defaultdict(list)
    for thread, frames, count in profile.stacks:
        in_thread[thread] += count
        inside = tuple(each for each in frames if each.file.startswith(f"{root}/reports/"))
        if inside and inside[-1].file != f"{root}/{_FETCHING}":
            stacks[thread].append((inside, count))
    busiest: dict[str, str] = {}
    for thread in sorted(stacks, key=lambda each: sum(count for _, count in stacks[each])):
        process, _, _ = thread.rpartition(";")
        busiest[process] = thread
    if not busiest:
        return None
    kept = [stack for thread in busiest.values() for stack in stacks[thread]]
    samples = sum(count for _, count in kept)
    return _Building(profile, kept, samples / max(map(in_thread.__getitem__, busiest.values())))


def _level(paths: Sequence[_Path]) -> _Function:
    """Walk down to the last function that takes most of its caller's time."""
    through: defaultdict[_Function, float] = defaultdict(float)
    for functions, weight in paths:
        for function in functions:
            through[function] += weight
    # Of functions that all the same samples pass through, this is the outermost. Processes that
    # enter `reports/` by different functions still meet in the one that does the work.
    start = max(through, key=through.__getitem__)
    found = [
        (functions[functions.index(start) :], weight)
        for functions, weight in paths
        if start in functions
    ]
    while callee := _largest_group([(path[1:], weight) for path, weight in found if path[1:]]):
        if _weight(callee) <= _MOST * _weight(found):
            break
        found = callee
    return found[0][0][0]


def _largest_group(paths: Iterable[_Path]) -> list[_Path]:
    """Give the paths that begin with the function in which most samples begin."""
    groups: dict[_Function, list[_Path]] = {}
    for path, weight in paths:
        groups.setdefault(path[0], []).append((path, weight))
    return max(groups.values(), key=_weight, default=[])


def _weight(paths: Iterable[_Path]) -> float:
    return sum(weight for _, weight in paths)


def _named(building: _Building, function: _Function, root: Path) -> Guilty:
    lines = building.lines_of(function)
    ((frame, _),) = lines.most_common(1)
    ((hottest, seen),) = building.innermost_lines().most_common(1)
    return Guilty(
        arm=building.profile.arm,
        process=building.profile.process,
        file=frame.file.removeprefix(f"{root}/"),
        function=frame.function,
        line=frame.line,
        share=lines.total() / building.samples,
        building_share=building.share,
        hottest_file=hottest.file.removeprefix(f"{root}/"),
        hottest_function=hottest.function,
        hottest_line=hottest.line,
        hottest_share=seen / building.samples,
    )


def _function(frame: Frame) -> _Function:
    return frame.file, frame.function


def py_spy_command(pid: int, seconds: float, output: Path) -> tuple[str, ...]:
    """Return the command that samples a process, and what it has forked, 100 times a second."""
    return (
        *("py-spy", "record", "--pid", str(pid), "--duration", str(ceil(seconds))),
        *("--rate", "100", "--format", "raw", "--output", str(output)),
        # Without --idle a stall in a system call would not be seen at all; without
        # --full-filenames files of the same name could not be told apart.
        *("--threads", "--idle", "--full-filenames", "--subprocesses"),
    )
