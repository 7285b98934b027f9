"""How orders were refused, and whether their clients did as they were told: pure functions."""

from offloop.load.log import RequestLog
from offloop.measuring.values import Recorded, sample

_MS = 1000

#: Seconds; the log keeps moments to a millionth of one, and three of them are compared.
_ROUNDED_S = 2e-6


def refusal_samples(stream: str, log: RequestLog) -> Recorded:
    """Measure the refusals of a stream whose clients come back when they are told to.

    `refused` counts answers that were refusals, several of one order included, and
    `early_retries` those of them after which it was sent again sooner than the client was told.
    """
    refusals = [row for row in log.refusals if row.name == stream]
    early = [
        row
        for row in refusals
        if row.again_s is not None and row.again_s < row.done_s + row.retry_after_s - _ROUNDED_S
    ]
    return Recorded(
        {f"{stream}.refused": len(refusals), f"{stream}.early_retries": len(early)},
        {f"{stream}.refused_ms": sample(_MS * (row.done_s - row.sent_s) for row in refusals)},
    )
