"""Timing one piece of work alone, and a burst of them."""

from concurrent.futures import Executor
from time import perf_counter

from loadtests.bursts.pool import do
from offloop.bench.burst.protocol import Kind, Times


def time_work(kind: Kind, pool: Executor, pieces: int, repeats: int) -> Times:
    """Time a kind of work, alone and in a burst by turns, so that both meet the same machine.

    Args:
        kind: Is ready in this process and in all workers.
        pool: Does the bursts; it has nothing else to do.
        pieces: How many are handed over at once.
        repeats: How often both are timed.
    """
    alone_s, burst_s, burst_cpu_s, digests = [], [], [], set[str]()
    for _ in range(repeats):
        began_s = perf_counter()
        digests.add(do(kind).digest)
        alone_s.append(perf_counter() - began_s)

        began_s = perf_counter()
        handed_over = [pool.submit(do, kind) for _ in range(pieces)]
        results = [piece.result() for piece in handed_over]
        burst_s.append(perf_counter() - began_s)
        burst_cpu_s.append(sum(result.cpu_s for result in results))
        digests.update(result.digest for result in results)
    return Times(alone_s=alone_s, burst_s=burst_s, burst_cpu_s=burst_cpu_s, digests=sorted(digests))
