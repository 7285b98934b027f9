"""How much of the machine was taken from a measurement, by its host or by other programs on it."""

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import psutil

from offloop.stack.sampling import ResourceSample, ResourceSampler

#: What programs use; interrupts are handled for the lab as well, and belong to nobody.
_USED = ("user", "nice", "system")


class Watch(ResourceSampler):
    """Samples what the lab uses, and works out what others had of the machine meanwhile.

    It belongs outside of all that is measured: as soon as it has been left, nobody takes samples
    any more of what the lab itself does next.

    Args:
        pids: Gives the process ids of everything that belongs to the lab, by name.

    Attributes:
        taken: The share of the machine that others had; None until it is over, or if no time
            passed.
    """

    def __init__(self, pids: Callable[[], Mapping[str, Sequence[int]]]) -> None:
        super().__init__(pids)
        self.taken: float | None = None
        self._before: Any = None

    def __enter__(self) -> Self:
        self._before = psutil.cpu_times()
        return super().__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        self.taken = taken_share(self._before, psutil.cpu_times(), self.samples)


def taken_share(before: Any, after: Any, samples: Sequence[ResourceSample]) -> float | None:  # noqa: ANN401 - differs by system
    """Return the share of the machine's CPU time that others had.

    What a host gives to its other guests ("steal") is known on Linux, and left out elsewhere.

    Args:
        before: What `psutil.cpu_times` said at the beginning,
        after: and at the end.
        samples: Of all processes of the lab in between.

    Returns:
        None where no time has passed.
    """
    # Guest time is counted in user time already.
    passed = {name: getattr(after, name) - getattr(before, name) for name in after._fields}
    total = sum(seconds for name, seconds in passed.items() if not name.startswith("guest"))
    if total <= 0:
        return None
    used = sum(passed[name] for name in _USED if name in passed)
    others = max(0.0, used - lab_cpu_s(samples))
    return float((passed.get("steal", 0.0) + others) / total)


def lab_cpu_s(samples: Sequence[ResourceSample]) -> float:
    """Return the processor seconds that the services used between their first and last samples.

    One that was started meanwhile has used all of its time meanwhile; of one that ended, the time
    since its last sample is not known.
    """
    begun: dict[tuple[str, int], float] = {}
    used: dict[tuple[str, int], float] = {}
    first_round = True
    for sample in samples:
        service = sample.name, sample.pid
        first_round = first_round and service not in used
        # Whoever is there when somebody first looks has used what it has used before.
        begun.setdefault(service, sample.cpu_s if first_round else 0.0)
        used[service] = sample.cpu_s - begun[service]
    return sum(used.values())
