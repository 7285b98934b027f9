"""What queueing arithmetic says a run should measure."""

from collections.abc import Callable, Mapping


def blocked_loop_p99_ms(report_s: float, utilisation: float) -> float:
    """Predict the bystander's p99 beside reports that block the event loop.

    Reports of length S follow each other evenly, so that the loop is blocked for a share rho of
    the time. A bystander that comes at a random moment meets a blocked loop with probability
    rho, and then waits for what is left of the report, uniform on [0, S]:

        P(wait > t) = rho (1 - t / S)

    which is 0.01 at t = S (1 - 0.01 / rho).

    Args:
        report_s: S, seconds.
        utilisation: rho; at 0.01 or below fewer than one bystander in a hundred waits at all.

    Returns:
        Milliseconds.
    """
    return max(0.0, 1000 * report_s * (1 - 0.01 / utilisation))


#: Formulas that an experiment may name, by what they take: S in seconds, and rho.
FORMULAS: Mapping[str, Callable[[float, float], float]] = {
    "blocked_loop_p99_ms": blocked_loop_p99_ms,
}
