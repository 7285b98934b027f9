"""Synthetic bursts: what the pure parts are fed in tests."""

from offloop.bench.burst.protocol import Done, Interpreter, Kind, Times

WORK: tuple[Kind, ...] = ("aggregate", "gzip")


def times(
    alone_s: float = 0.1, burst_s: float = 0.2, burst_cpu_s: float = 0.4, digest: str = "abc"
) -> Times:
    return Times(
        alone_s=(alone_s,), burst_s=(burst_s,), burst_cpu_s=(burst_cpu_s,), digests=(digest,)
    )


def done(**work: Times) -> Done:
    """What the program says of four pieces on two threads, of two kinds or of those given."""
    return Done(
        executor="threads",
        workers=2,
        pieces=4,
        cpus=2,
        start_s=0.5,
        interpreter=Interpreter(version="3.11.7", free_threaded=False, gil=True),
        work={kind: work.get(kind, times()) for kind in WORK},
    )
