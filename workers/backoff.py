"""Pauses between tries."""

import random

# Spreads tries; no secret depends on it.
_random = random.SystemRandom()


def backoff_s(tries: int, first_s: float, longest_s: float) -> float:
    """Return the seconds between a failed try and the next: doubling, with jitter.

    Half of the pause is random ("equal jitter"), so that what failed together does not come
    back together.

    Args:
        tries: Number of the try that failed, from 1.
        first_s: The pause after the first one, less its jitter.
        longest_s: No pause is longer.
    """
    # Beyond 2^60 pauses of any first length are longer than any longest one.
    return min(first_s * 2.0 ** min(tries - 1, 60), longest_s) * _random.uniform(0.5, 1)
