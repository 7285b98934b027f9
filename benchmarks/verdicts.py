"""Are verdicts right? Repeated runs on a quiet machine, beside a compiler, and with planted faults.

`make verdicts` does what is missing of the campaign and appends each run to `verdicts.jsonl` in its
folder; interrupted, it goes on where it was. Nothing else may run meanwhile.
Each run is one of:

- `quiet`: the headline experiments. All must pass.
- `all`: every experiment. All must pass.
- `quick`: every experiment, quickly. It is timed.
- `noisy`: the headline experiments beside bursts of a compiler, 10 s in each 60. None may fail.
- `power-*`: `loop_blocking` with a fault planted in the fixed side. Each must fail.
"""

import argparse
import compileall
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from offloop.measuring.run_folder import RUN_FILE
from offloop.project import project_root

#: Kept with the project: a figure without its raw data is a claim.
RESULTS = Path(__file__).parent / "results"
RESULTS_FILE = "verdicts.jsonl"

#: Seconds of compiling in each period.
BURST_S, PERIOD_S = 10.0, 60.0


class Plant(NamedTuple):
    """A fault, as replacements in the files of a copy of the checkout."""

    edits: Sequence[tuple[str, str, str]]


_ACCEPTED = "    background.add_task(audit, job.job_id, order.spec)\n"
_ROUTER = "router = APIRouter(responses=problems(503))\n"
_PING = '    return {"ping": "pong"}\n'

PLANTS = {
    # 40 ms of CPU on the loop for each report.
    "power-cpu": Plant(
        [
            (
                "fixed_app/reports.py",
                _ACCEPTED,
                "    import time\n    end = time.perf_counter() + 0.04\n"
                "    while time.perf_counter() < end:\n        pass\n" + _ACCEPTED,
            )
        ]
    ),
    # One of the 60 pings that follow a report fails.
    "power-fail": Plant(
        [
            (
                "fixed_app/reports.py",
                _ACCEPTED,
                "    import web.app\n    web.app.left = 60\n" + _ACCEPTED,
            ),
            (
                "web/app.py",
                _PING,
                "    global left\n    left -= 1\n    if left == 0:\n"
                '        raise ValueError("planted")\n' + _PING,
            ),
            ("web/app.py", "_common = APIRouter()\n", "_common = APIRouter()\nleft = 0\n"),
        ]
    ),
    # The loop stands still for 300 ms at every second report.
    "power-stall": Plant(
        [
            (
                "fixed_app/reports.py",
                _ACCEPTED,
                "    import time\n    _seen.append(1)\n"
                "    if len(_seen) % 2 == 0:\n        time.sleep(0.3)\n" + _ACCEPTED,
            ),
            ("fixed_app/reports.py", _ROUTER, _ROUTER + "_seen: list[int] = []\n"),
        ]
    ),
}

#: The campaign: kind of run -> how many, and the arguments of `offloop bench`.
CAMPAIGN: dict[str, tuple[int, tuple[str, ...]]] = {
    "quiet": (6, ()),
    **dict.fromkeys(PLANTS, (3, ("loop_blocking",))),
    "noisy": (6, ()),
    "all": (2, ("--all",)),
    "quick": (1, ("--all", "--quick")),
}


def main() -> int:
    """Run what is missing, print what there is, and return 1 if a verdict was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="DIR")
    parser.add_argument("--only", nargs="*", choices=CAMPAIGN, default=list(CAMPAIGN))
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    results = chosen.out / RESULTS_FILE
    for kind in chosen.only:
        number, arguments = CAMPAIGN[kind]
        for repeat in range(_done(results)[kind], number):
            print(f"== {kind} {repeat + 1} of {number}", flush=True)
            row = {"kind": kind, "number": repeat} | _run(kind, arguments, chosen.out)
            with results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            print(f"   {row['wall_s']:.0f} s, {row['verdicts']}", flush=True)
    return _summary(_rows(results))


def _rows(results: Path) -> list[dict[str, Any]]:
    if not results.exists():
        return []
    return [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]


def _done(results: Path) -> Counter[str]:
    return Counter(row["kind"] for row in _rows(results))


def _run(kind: str, arguments: Sequence[str], out: Path) -> dict[str, Any]:
    root = project_root()
    copied = _copy(root, PLANTS[kind]) if kind in PLANTS else nullcontext(root)
    beside = _compiler() if kind == "noisy" else nullcontext()
    with copied as folder, beside:
        began_s = time.monotonic()
        with (out / f"{kind}.log").open("ab") as log:
            status = subprocess.run(
                [str(Path(sys.executable).with_name("offloop")), "bench", *arguments],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(folder)},
                stdout=log,
                stderr=log,
                check=False,
            ).returncode
        wall_s = time.monotonic() - began_s
        run = json.loads((folder / "runs" / "latest" / RUN_FILE).read_text(encoding="utf-8"))
    return {
        "exit": status,
        "wall_s": wall_s,
        "commit": run["git"],
        "verdicts": {slug: each["verdict"] for slug, each in run["experiments"].items()},
        "blocks": {
            slug: [len(each["judged_blocks"]), len(each["blocks"]), len(each["discarded"])]
            for slug, each in run["experiments"].items()
        },
        "expectations": {
            slug: {
                judged["id"]: [judged["observed"], judged["low"], judged["high"], judged["ok"]]
                for judged in each["expectations"]
            }
            for slug, each in run["experiments"].items()
        },
        "invalid": {
            slug: [judged["id"] for judged in each["validity"] if judged["ok"] is not True]
            for slug, each in run["experiments"].items()
        },
        "noise": {
            slug: [[each["step"], round(each["taken_share"], 3)] for each in one["noise"]]
            for slug, one in run["experiments"].items()
        },
    }


@contextmanager
def _copy(root: Path, plant: Plant) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "checkout"
        left_out = shutil.ignore_patterns(
            ".git", ".venv", ".offloop", "runs", "__pycache__", "tests"
        )
        shutil.copytree(root, folder, ignore=left_out)
        (folder / ".offloop").symlink_to(root / ".offloop")
        for path, old, new in plant.edits:
            text = (folder / path).read_text(encoding="utf-8")
            if text.count(old) != 1:
                raise ValueError(f"{path} does not have {old!r} once: renew the plant")
            (folder / path).write_text(text.replace(old, new), encoding="utf-8")
        yield folder


@contextmanager
def _compiler() -> Iterator[None]:
    """Compile Python's own library over and over, with two processes, 10 s in each 60."""
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            command = [sys.executable, "-c", _COMPILE, str(Path(compileall.__file__).parent)]
            with subprocess.Popen(command, process_group=0) as compiler:
                over.wait(BURST_S)
                os.killpg(compiler.pid, signal.SIGKILL)
            over.wait(PERIOD_S - BURST_S)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


_COMPILE = """
import pathlib, sys
from concurrent.futures import ProcessPoolExecutor
def compiled(path):
    compile(pathlib.Path(path).read_bytes(), path, "exec")
if __name__ == "__main__":
    paths = [str(path) for path in pathlib.Path(sys.argv[1]).rglob("*.py")]
    paths = [path for path in paths if "test" not in path]
    with ProcessPoolExecutor(2) as pool:
        while True:
            list(pool.map(compiled, paths, chunksize=20))
"""


def _summary(rows: Sequence[dict[str, Any]]) -> int:
    wrong = 0
    for kind, (number, _) in CAMPAIGN.items():
        of_kind = [row for row in rows if row["kind"] == kind]
        found = Counter(verdict for row in of_kind for verdict in row["verdicts"].values())
        wanted = "fail" if kind in PLANTS else "pass"
        if kind == "noisy":
            wrong += found["fail"]
        else:
            wrong += sum(count for verdict, count in found.items() if verdict != wanted)
        walls = ", ".join(f"{row['wall_s']:.0f}" for row in of_kind)
        print(f"{kind}: {len(of_kind)} of {number} runs; {dict(found)}; {walls} s")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
