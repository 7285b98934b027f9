import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import pyarrow.parquet as pq
import pytest

from offloop.load.records import RefusalRow
from offloop.measuring.instruments.instrument import RawRow
from offloop.measuring.instruments.queue import DepthSample
from offloop.measuring.results import Checkout, Machine, Run
from offloop.measuring.run_folder import RUN_FILE, ResultsError, RunFolder
from offloop.measuring.verdicts import Verdict
from offloop.pages.reference import run_schema
from offloop.stack.sampling import ResourceSample
from tests.bench.support import ROOT, block, report, request, request_log, result

#: Writing to it fails as on a full disk.
FULL = Path("/dev/full")

STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

#: Makes run folders of one moment as soon as it is told to, and prints their names.
MAKER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from offloop.measuring.results import Run
from offloop.measuring.run_folder import RunFolder
MACHINE = {"processor": "abacus", "cores": 2, "python": "3.11"}
REST = {"machine": MACHINE, "versions": {}, "git": {}, "seed": 1}
sys.stdin.readline()
for _ in range(10):
    run = Run.model_validate({"started_at": datetime(2026, 1, 2, tzinfo=UTC), **REST})
    print(RunFolder(Path(sys.argv[1]), run).path.name)
"""


def new_run() -> Run:
    return Run(
        started_at=STARTED,
        machine=Machine(processor="abacus", cores=2, python="3.11"),
        versions={"offloop": "0.1.0"},
        git=Checkout(commit="abc", dirty=False),
        seed=1,
    )


def read(folder: Path) -> Run:
    return Run.model_validate_json((folder / RUN_FILE).read_text())


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def test_a_run_folder_is_named_by_the_moment_the_run_started(runs: Path) -> None:
    assert RunFolder(runs, new_run()).path == runs / "2026-01-02T03-04-05"


def test_runs_of_one_second_get_folders_of_their_own(runs: Path) -> None:
    names = [RunFolder(runs, new_run()).path.name for _ in range(3)]

    assert names == [f"2026-01-02T03-04-05{suffix}" for suffix in ("", "-2", "-3")]


def test_runs_that_start_together_in_several_processes_get_folders_of_their_own(
    runs: Path,
) -> None:
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", MAKER, str(runs)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for _ in range(3)
    ]
    for maker in makers:
        assert maker.stdin is not None
        maker.stdin.write("go\n")
        maker.stdin.flush()
    names = [name for maker in makers for name in maker.communicate(timeout=60)[0].split()]

    assert len(set(names)) == 30
    assert all(read(runs / name).schema_ == "offloop.run/2" for name in names)
    assert (runs / "latest").resolve().name in names


def test_latest_points_at_the_newest_run_from_its_start(runs: Path) -> None:
    for _ in range(2):
        newest = RunFolder(runs, new_run())

        assert (runs / "latest").resolve() == newest.path
        assert not (runs / "latest").readlink().is_absolute()


def test_a_run_keeps_its_published_schema(runs: Path) -> None:
    run = new_run()
    run.experiments["loop_blocking"] = result([block()])
    folder = RunFolder(runs, run)
    folder.finish()

    found = json.loads((folder.path / RUN_FILE).read_text())

    jsonschema_rs.validate(json.loads(run_schema()), found)
    assert (found["schema"], found["kind"]) == ("offloop.run/2", "bench")


def test_a_run_is_marked_as_interrupted_until_it_is_finished(runs: Path) -> None:
    run = new_run()
    folder = RunFolder(runs, run)
    assert read(folder.path).interrupted

    run.experiments["loop_blocking"] = result([block()])
    folder.checkpoint()
    assert read(folder.path).interrupted
    assert len(read(folder.path).experiments["loop_blocking"].blocks) == 1

    folder.finish()
    assert not read(folder.path).interrupted


def test_a_run_that_was_interrupted_stays_marked(runs: Path) -> None:
    run = new_run()
    folder = RunFolder(runs, run)

    run.interrupted = True
    folder.finish()

    assert read(folder.path).interrupted


def test_a_run_reads_back_as_it_was_written(runs: Path) -> None:
    run = new_run()
    run.experiments["loop_blocking"] = result([block(), block()])
    run.verdict = Verdict.PASS
    folder = RunFolder(runs, run)

    folder.finish()

    assert read(folder.path) == run


def test_run_json_has_the_keys_that_its_readers_rely_on(runs: Path) -> None:
    run = new_run()
    run.experiments["loop_blocking"] = result([block(), block()])
    folder = RunFolder(runs, run)
    folder.finish()

    written = json.loads((folder.path / RUN_FILE).read_text())

    assert written["schema"] == "offloop.run/2"
    assert written.keys() == {
        *("schema", "kind", "started_at", "machine", "versions", "git", "seed", "quick", "wall_s"),
        *("interrupted", "verdict", "experiments"),
    }
    experiment = written["experiments"]["loop_blocking"]
    assert experiment.keys() >= {
        *("verdict", "title", "load", "arms", "details", "blocks", "judged_blocks"),
        *("expectations", "validity", "before_load", "discarded", "noise", "evidence"),
    }
    for judged in experiment["expectations"] + experiment["validity"]:
        assert judged.keys() >= {
            *("id", "measure", "op", "limit", "observed", "ok", "says", "why"),
            *("status", "low", "high", "n", "promise"),
        }
    assert experiment["evidence"][0].keys() >= {"arm", "file", "function", "line", "share"}
    for values in (experiment["arms"], *experiment["blocks"]):
        assert values["naive"]["bystander.p99_ms"] == 580
    assert experiment["details"]["naive"]["bystander.p99_ms"] == {
        "status": "measured", "n": 2400, "low": 580, "high": 580
    }  # fmt: skip
    assert datetime.fromisoformat(written["started_at"]) == STARTED


def test_the_wall_time_of_a_run_ends_when_it_is_finished(runs: Path) -> None:
    run = new_run()
    folder = RunFolder(runs, run)
    at_start = read(folder.path).wall_s

    folder.finish()

    assert 0 < at_start < read(folder.path).wall_s


def test_raw_rows_are_kept_with_their_block_and_arm(runs: Path) -> None:
    folder = RunFolder(runs, new_run())
    samples = [ResourceSample(1.0, "fixed", 80, 0.1, 1)]
    for number in range(2):
        where = {"experiment": "loop_blocking", "block": number, "arm": "fixed"}
        log = request_log([request(), request(took_s=None)], [report()])
        log.refusals.append(RefusalRow("report", 1.0, 1.0, 1.5, 1, None))
        tables: dict[str, Sequence[RawRow]] = {
            "requests": log.requests,
            "reports": log.reports,
            "refusals": log.refusals,
            "samples": samples,
            "depths": [DepthSample(2.0, 7)],
        }
        folder.add(where, tables)
    folder.add({"experiment": "bursts", "block": 0, "arm": "naive"}, {"samples": samples})

    folder.finish()

    def kept(table: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = pq.read_table(folder.path / f"{table}.parquet").to_pylist()
        return rows

    requests = kept("requests")
    assert [row["block"] for row in requests] == [0, 0, 1, 1]
    assert requests[1]["done_s"] is None
    reports = kept("reports")
    assert [(row["block"], row["sha256"]) for row in reports] == [(0, "abc"), (1, "abc")]
    refused = kept("refusals")
    assert [(row["retry_after_s"], row["again_s"]) for row in refused] == [(1, None)] * 2
    deep = kept("depths")
    assert [(row["block"], row["jobs"]) for row in deep] == [(0, 7), (1, 7)]
    used = kept("samples")
    assert [row["experiment"] for row in used] == ["loop_blocking", "loop_blocking", "bursts"]
    assert used[0] == {
        "experiment": "loop_blocking", "block": 0, "arm": "fixed", **samples[0]._asdict()
    }  # fmt: skip


def test_a_file_in_the_place_of_the_folder_is_explained(runs: Path) -> None:
    runs.touch()

    with pytest.raises(ResultsError, match=r"cannot be written to .*runs: .*Make room, or"):
        RunFolder(runs, new_run())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_explained(runs: Path) -> None:
    runs.mkdir(mode=0o500)

    with pytest.raises(ResultsError, match="Permission denied"):
        RunFolder(runs, new_run())


@pytest.mark.skipif(not FULL.exists(), reason="only Linux has a device that is always full")
def test_a_full_disk_is_explained_and_leaves_what_was_written_before(runs: Path) -> None:
    folder = RunFolder(runs, new_run())
    (folder.path / f".{RUN_FILE}").symlink_to(FULL)

    with pytest.raises(ResultsError, match="No space left on device"):
        folder.finish()

    assert read(folder.path).interrupted


def test_a_folder_that_was_removed_meanwhile_is_explained(runs: Path) -> None:
    folder = RunFolder(runs, new_run())
    (folder.path / RUN_FILE).unlink()
    folder.path.rmdir()

    with pytest.raises(ResultsError, match=folder.path.name):
        folder.finish()
