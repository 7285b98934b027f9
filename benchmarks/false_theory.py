"""How often would theory be called wrong on a machine on which it is right?

Each block of the runs that are given is a measurement of its own, with what was predicted just
before it. New runs are drawn from all of them with replacement, and judged as `offloop bench`
judges: more blocks while it is undecided, up to twice as many as planned.

`python -m benchmarks.false_theory [RUN_FOLDER ...]`, by default all of `runs/`.
"""

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from offloop.measuring.expressions import Expression
from offloop.measuring.judging import Measured, another_block
from offloop.measuring.results import Run
from offloop.measuring.run_folder import RUN_FILE
from offloop.measuring.values import Block
from offloop.measuring.verdicts import Expectation, judge
from tests.bench.recorded import measured_again, recording
from tests.bench.support import shipped

#: At most this share of runs may call it wrong.
LIMIT = 0.01

SLUGS = ("loop_blocking", "queue_growth")


def main() -> int:
    """Print a line for each limit, and return 1 if one is broken too often."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN_FOLDER")
    parser.add_argument("--draws", type=int, default=1_000)
    chosen = parser.parse_args()
    folders = chosen.runs or sorted(Path("runs").glob("2*"))
    worst = 0.0
    for slug in SLUGS:
        blocks = [block for folder in folders for block in _blocks(folder, slug)]
        experiment = shipped(slug)
        for expectation in experiment.expectations:
            if blocks and _predicted(expectation):
                found = _judged(expectation, blocks, experiment.blocks, chosen.draws)
                worst = max(worst, found["fail"] / chosen.draws)
                said = ", ".join(f"{found[each]} {each}" for each in ("pass", "undecided", "fail"))
                print(f"{slug} {expectation.id}: {len(blocks)} blocks; {said}", flush=True)
    return int(worst > LIMIT)


def _predicted(expectation: Expectation) -> bool:
    terms = Expression.parse(expectation.measure).terms
    by_interval = not (expectation.promise or expectation.every_block)
    return by_interval and any(term.arm == "predicted" for term in terms)


def _blocks(folder: Path, slug: str) -> Sequence[Block]:
    """Return the blocks of a run that were judged; none of another kind of run."""
    run = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    known = run.get("schema") == Run.model_fields["schema_"].default
    if not known or run["quick"] or slug not in run["experiments"]:
        return []
    kept, blocks = measured_again(recording(slug, folder), shipped(slug)).judged()
    return [blocks[number] for number in kept]


def _judged(
    expectation: Expectation, blocks: Sequence[Block], planned: int, draws: int
) -> Counter[str]:
    chance = random.Random(1)  # noqa: S311 - the same draws each time
    words = {True: "pass", False: "fail", None: "undecided"}
    found: Counter[str] = Counter()
    for _ in range(draws):
        drawn = Measured(frozenset())
        while another_block(drawn, [expectation], planned, 2 * planned) is not None:
            drawn.blocks.append(chance.choice(blocks))
        found[words[judge(expectation, drawn.blocks, drawn.blocks).ok]] += 1
    return found


if __name__ == "__main__":
    sys.exit(main())
