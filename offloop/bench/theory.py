"""What queueing arithmetic says a run should measure."""

from collections.abc import Callable, Mapping

#: The share of requests beyond a p99.
_TAIL = 0.01


def blocked_loop_p99_ms(blocked_s: float, rate: float) -> float:
    """Predict the bystander's p99 beside reports that block the event loop.

    Reports that block the loop for S seconds follow each other evenly, without meeting, so that
    it is blocked for a share rho = rate x S of the time. A bystander that comes at a random
    moment meets a blocked loop with probability rho, and then waits for what is left of the
    report, uniform on [0, S]:

        P(wait > t) = rho (1 - t / S)

    which is 0.01 at t = S (1 - 0.01 / rho).

    Args:
        blocked_s: S, seconds.
        rate: Reports per second.

    Returns:
        Milliseconds; 0 where fewer than one bystander in a hundred waits at all.
    """
    utilisation = rate * blocked_s
    return 1000 * blocked_s * (1 - _TAIL / utilisation) if utilisation > _TAIL else 0.0


#: Formulas that an experiment may name; each takes S in seconds and the reports per second.
FORMULAS: Mapping[str, Callable[[float, float], float]] = {
    "blocked_loop_p99_ms": blocked_loop_p99_ms,
}
