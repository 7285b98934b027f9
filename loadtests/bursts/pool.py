"""Pools of threads or of processes, all of whose workers are there and have what they need."""

import hashlib
import signal
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context
from time import thread_time
from typing import NamedTuple

from loadtests.bursts.kinds import Piece
from offloop.bench.burst import protocol
from offloop.bench.burst.protocol import Kind

#: Guards against a worker that never comes; one that is a process takes about a second.
_MEETING_DEADLINE_S = 60.0

#: The pieces of work that are in this process, and where its workers meet, whether they are its
#: threads or it is one of them.
_pieces: dict[Kind, Piece] = {}
_meeting = threading.Barrier(1)


class Result(NamedTuple):
    """What came of a piece of work.

    Attributes:
        digest: The SHA-256 of its result.
        cpu_s: CPU seconds of the thread that did it.
    """

    digest: str
    cpu_s: float


def hold(pieces: Mapping[Kind, Piece]) -> None:
    """Keep pieces of work in this process, and do each once: that loads and allocates."""
    _pieces.update(pieces)
    for kind in pieces:
        do(kind)


def do(kind: Kind) -> Result:
    """Do the piece of work of a kind that is in this process."""
    began_s = thread_time()
    digest = hashlib.sha256(_pieces[kind].do()).hexdigest()
    return Result(digest, thread_time() - began_s)


@contextmanager
def standing_pool(
    executor: protocol.Executor, workers: int, pieces: Mapping[Kind, Piece]
) -> Iterator[Executor]:
    """Start a pool whose workers can `do` all pieces, and wait until each of them is there.

    Args:
        executor: Whether its workers are threads of this process, or processes.
        workers: How many.
        pieces: Held by this process already; processes get them now, once and for all.

    Raises:
        BrokenExecutor: A process ended; its traceback is on standard error.
        BrokenBarrierError: Some worker did not come.
    """
    with _pool(executor, workers, pieces) as pool:
        try:
            # A worker that waits for all other workers takes no second task: each gets one.
            for arrival in [pool.submit(_arrive) for _ in range(workers)]:
                arrival.result()
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            # A pool that breaks while it still starts processes waits for the last of them for
            # ever, in Python 3.11.
            for process in active_children():
                process.terminate()
            raise


def _pool(executor: protocol.Executor, workers: int, pieces: Mapping[Kind, Piece]) -> Executor:
    if executor == "threads":
        _meet_at(threading.Barrier(workers))
        return ThreadPoolExecutor(workers)
    # Not forked: the copy of a process that has threads, as a server has, may hang.
    context = get_context("spawn")
    return ProcessPoolExecutor(
        workers,
        mp_context=context,
        initializer=_begin,
        initargs=(pieces, context.Barrier(workers)),
    )


def _begin(pieces: Mapping[Kind, Piece], meeting: threading.Barrier) -> None:
    # Ctrl-C in a terminal reaches all processes. The parent handles it, and ends the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    hold(pieces)
    _meet_at(meeting)


def _meet_at(meeting: threading.Barrier) -> None:
    global _meeting  # noqa: PLW0603 - a task cannot bring it: barriers are not sent, but inherited
    _meeting = meeting


def _arrive() -> None:
    _meeting.wait(_MEETING_DEADLINE_S)
