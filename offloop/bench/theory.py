"""What queueing arithmetic says a run should measure: pure functions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from offloop.measuring.expressions import CALIBRATED, CONFIGURED, PREDICTED
from offloop.measuring.values import Sample, sample

_MS = 1000

#: Values of a sample that stands for a distribution: its p99 is off by 0.025% of the requests.
_VALUES = 2_000


@dataclass(frozen=True)
class Given:
    """What is known of an arm before its load begins: its settings, and what was calibrated.

    Attributes:
        per_second: Orders that come in a second (lambda).
        stalls_s: Seconds for which each of a few reports holds the event loop; none where workers
            build them.
        drain_per_s: Reports that all slots together build in a second while their queue is never
            empty (mu); None where it was not calibrated.
        scaled_drain_per_s: The same with the slots that there are after they were scaled; None
            where they are not.
        queue_limit: Jobs that its queue may hold; None where it has no limit.
    """

    per_second: float
    stalls_s: Sequence[float] = ()
    drain_per_s: float | None = None
    scaled_drain_per_s: float | None = None
    queue_limit: int | None = None


def blocked_loop_waits_ms(stalls_s: Sequence[float], rate: float) -> Sample:
    """Predict how long bystanders wait beside reports that block the event loop.

    Reports that block the loop for S seconds follow each other without meeting. A bystander that
    comes at a random moment meets a blocked loop with probability rate x S, and then waits for what
    is left of the report, uniform on [0, S]. Where reports take S_1 ... S_n seconds, equally often:

        P(wait > t) = rate x mean(max(S_i - t, 0))

    With one length S, and rho = rate x S, it is 0.01 at t = S (1 - 0.01 / rho).

    Args:
        stalls_s: S_i, seconds.
        rate: Reports per second.

    Returns:
        Milliseconds; `_VALUES` quantiles, evenly spaced, so that blocks with different reports can
        be pooled as measured times are.
    """
    tails = ((number + 0.5) / _VALUES for number in range(_VALUES))
    return sample(_MS * _wait_s(tail, stalls_s, rate) for tail in tails)


def _wait_s(tail: float, stalls_s: Sequence[float], rate: float) -> float:
    """Return the time that a share of all bystanders waits longer than."""
    # Between two lengths the share falls in a straight line, by one more report below each.
    lengths = sorted(stalls_s, reverse=True)
    for count, shorter in enumerate([*lengths[1:], 0.0], start=1):
        longer_s = sum(lengths[:count])
        if rate * (longer_s - count * shorter) / len(lengths) >= tail:
            return (longer_s - tail * len(lengths) / rate) / count
    return 0.0


def growth_per_s(per_second: float, drain_per_s: float) -> float:
    """Predict how fast a queue without a limit grows.

    The fluid approximation: jobs flow in at lambda and out at mu, so that dL/dt = lambda - mu as
    long as the queue is not empty (Kleinrock, Queueing Systems II, 1976, section 2.7).

    Args:
        per_second: lambda.
        drain_per_s: mu.

    Returns:
        Jobs per second; 0 where slots keep up.
    """
    return max(per_second - drain_per_s, 0.0)


def longest_wait_ms(queue_limit: int, drain_per_s: float) -> float:
    """Predict the longest time that an accepted job waits until it is started.

    It is accepted while the queue holds fewer jobs than its limit L, those being worked on
    included. At most L - 1 have to be finished first, at mu a second: (L - 1) / mu. On average it
    is Little's law, W = N / lambda, of a queue that is full: its N cannot be more than L, and what
    is accepted in the long run is what is finished, lambda = mu.

    Args:
        queue_limit: L, jobs.
        drain_per_s: mu.
    """
    return _MS * (queue_limit - 1) / drain_per_s


class Need(StrEnum):
    """What an arm must have for a formula to say something about it."""

    LOOP = "builds one stream of reports in the request"
    DRAIN = "queues one stream of reports, which comes at a rate told by `drain`"
    LIMIT = "has a `queue_limit`"
    SCALE = "gets more or fewer slots for it by an event that does `scale`"


class Formula(NamedTuple):
    """A formula that an experiment may name.

    Attributes:
        of: Gives the value, or a sample of times; None where what it takes was not measured.
        needs: What it can be applied to.
        source: The name that its values have instead of an arm's: whether theory predicts them,
            they were calibrated, or the experiment sets them.
    """

    of: Callable[[Given], float | Sample | None]
    needs: frozenset[Need]
    source: str = PREDICTED


def _blocked_loop(given: Given) -> Sample | None:
    return blocked_loop_waits_ms(given.stalls_s, given.per_second) if given.stalls_s else None


def _growth(given: Given) -> float | None:
    if given.drain_per_s is None:
        return None
    return growth_per_s(given.per_second, given.drain_per_s)


def _longest_wait(given: Given) -> float | None:
    if given.drain_per_s is None or given.queue_limit is None:
        return None
    return longest_wait_ms(given.queue_limit, given.drain_per_s)


#: Formulas by the name under which an experiment asks for them.
FORMULAS: Mapping[str, Formula] = {
    "blocked_loop_waits": Formula(_blocked_loop, frozenset({Need.LOOP})),
    "growth_per_s": Formula(_growth, frozenset({Need.DRAIN})),
    "queue_limit": Formula(
        lambda given: given.queue_limit, frozenset({Need.DRAIN, Need.LIMIT}), CONFIGURED
    ),
    "longest_wait_ms": Formula(_longest_wait, frozenset({Need.DRAIN, Need.LIMIT})),
    "scaled_drain_per_s": Formula(
        lambda given: given.scaled_drain_per_s, frozenset({Need.DRAIN, Need.SCALE}), CALIBRATED
    ),
}
