"""The command line: `python -m loadtests.bursts`."""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from threading import BrokenBarrierError
from time import perf_counter
from typing import get_args

from sqlalchemy.exc import SQLAlchemyError

from loadtests.bursts.inputs import prepare
from loadtests.bursts.interpreter import interpreter
from loadtests.bursts.pool import hold, standing_pool
from loadtests.bursts.timing import time_work
from offloop.bench.burst.measures import of_work
from offloop.bench.burst.protocol import Done, Executor, Kind
from offloop.errors import ExitCode
from offloop.machine import affinity
from offloop.stack.signals import interruptible
from reports.cli import add_scale_factor, settings_from, tell
from reports.dataset import DatasetError, ensure_dataset
from reports.settings import ReportSettings

_EPILOG = """\
For each kind of work, one piece is done alone, in the main thread; then all pieces are handed over
at once, and it is timed how long it takes until the last one is done. The speed-up is

    pieces x (time of one alone) / (time of the burst)

1 means that the burst took as long as one piece after the other, 2 that two processors were busy
all the time. The medians of all repeats are compared. The cores used are the CPU seconds of all
pieces over the time of the burst: where threads share the GIL, one. Standard output is one JSON
object with all times; what it comes to is on standard error.

kinds of work:
  aggregate   prices line items in plain Python
  gzip        compresses the text of a report with zlib
  parquet     writes the columns of a report with Arrow
  inference   runs a small neural network with numpy, whose BLAS is held to one thread

examples:
  python -m loadtests.bursts --executor threads > /dev/null
  python -m loadtests.bursts --executor processes > /dev/null
  python -m loadtests.bursts --executor threads --workers 4 --work aggregate gzip

exit codes: 0 done, 1 the work could not be done, 2 wrong usage, 130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Do the bursts that the arguments ask for; return the exit code."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    settings = settings_from(parser, arguments)
    try:
        with interruptible():
            done = _run(arguments, settings)
    except KeyboardInterrupt:
        tell("Interrupted.")
        return ExitCode.INTERRUPTED
    except (DatasetError, SQLAlchemyError) as error:
        tell(f"error: no line items: {error}")
        return 1
    except (BrokenExecutor, BrokenBarrierError):
        tell(
            f"error: not all of the {arguments.workers} {arguments.executor} came to work; what "
            "went wrong stands above. If nothing does, the machine may be out of memory: try fewer "
            "--workers."
        )
        return 1
    sys.stdout.write(done.model_dump_json(indent=2) + "\n")
    return 0


def _run(arguments: argparse.Namespace, settings: ReportSettings) -> Done:
    executor, workers, pieces = arguments.executor, arguments.workers, arguments.pieces
    kinds = tuple(dict.fromkeys(arguments.work))
    ensure_dataset(settings, tell)
    ready = prepare(kinds, settings)
    hold(ready)
    work = {}
    began_s = perf_counter()
    with standing_pool(executor, workers, ready) as pool:
        start_s = perf_counter() - began_s
        tell(f"{workers} {executor} were ready after {start_s:.2f} s")
        for kind in kinds:
            work[kind] = time_work(kind, pool, pieces, arguments.repeats)
            alone_ms, burst_ms, speedup, cores = of_work(work[kind], pieces).values()
            tell(
                f"{kind}: one alone {alone_ms:.0f} ms, {pieces} on {workers} {executor} "
                f"{burst_ms:.0f} ms, speed-up {speedup:.2f}, {cores:.2f} cores used"
            )
    return Done(
        executor=executor,
        workers=workers,
        pieces=pieces,
        cpus=affinity(),
        start_s=start_s,
        interpreter=interpreter(),
        work=work,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.bursts",
        description="Do a few pieces of work at once, in threads or in processes, and time it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--executor",
        required=True,
        choices=get_args(Executor),
        help="what does the bursts: threads of one process, or processes",
    )
    parser.add_argument(
        "--workers", metavar="N", type=_positive, default=2, help="how many of them (default: 2)"
    )
    parser.add_argument(
        "--work",
        metavar="KIND",
        nargs="+",
        choices=get_args(Kind),
        default=get_args(Kind),
        help=f"kinds of work: {', '.join(get_args(Kind))} (default: all)",
    )
    parser.add_argument(
        "--pieces", metavar="N", type=_positive, default=4, help="pieces in a burst (default: 4)"
    )
    parser.add_argument(
        "--repeats", metavar="N", type=_positive, default=3, help="times a burst (default: 3)"
    )
    add_scale_factor(parser)
    return parser


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)
