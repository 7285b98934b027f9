import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from reports.__main__ import main
from reports.lines import count_lines
from reports.spec import FIRST_SHIPDATE, ReportFormat, ReportSpec

ROOT = Path(__file__).resolve().parents[2]
EVERYTHING = ("--shipped-from", "1992-01-02", "--shipped-to", "1998-12-01")
A_DAY = ("--shipped-from", "1995-03-01", "--shipped-to", "1995-03-01")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "reports", *arguments]


def usage_error(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    output = capsys.readouterr()
    assert output.out == ""
    return output.err.splitlines()[-1]


def test_usage_errors_name_the_argument_the_rule_and_the_next_step(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = ("--out", str(tmp_path / "r"))
    window = ("--shipped-from", "1995-03-01", "--shipped-to")

    assert "--shipped-to '1995-02-30': must be a calendar date written YYYY-MM-DD" in usage_error(
        capsys, *window, "1995-02-30", *out
    )
    assert "(1995-03-01) is after shipped_to (1995-02-01); swap them" in usage_error(
        capsys, *window, "1995-02-01", *out
    )
    assert "choose days from 1992-01-02 to 1998-12-01" in usage_error(
        capsys, "--shipped-from", "2001-01-01", "--shipped-to", "2001-01-02", *out
    )
    assert "--scale-factor '0': Input should be greater than 0" in usage_error(
        capsys, *window, "1995-03-01", *out, "--scale-factor", "0"
    )
    assert "invalid ReportFormat value: 'xlsx'" in usage_error(
        capsys, *window, "1995-03-01", *out, "--format", "xlsx"
    )
    assert "does not exist; create it first" in usage_error(
        capsys, *A_DAY, "--out", str(tmp_path / "no" / "r")
    )
    assert "is a folder; give the name of a file" in usage_error(
        capsys, *A_DAY, "--out", str(tmp_path)
    )
    assert "required: --shipped-from, --shipped-to, --out" in usage_error(capsys)


def test_a_wrong_setting_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OFFLOOP_SCALE_FACTOR", "big")

    assert "OFFLOOP_SCALE_FACTOR 'big':" in usage_error(
        capsys, *A_DAY, "--out", str(tmp_path / "r")
    )


def test_a_data_set_that_cannot_be_made_is_one_sentence_and_exit_code_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("OFFLOOP_DATA_DIR", str(tmp_path / "file" / "data"))

    assert main([*A_DAY, "--out", str(tmp_path / "r")]) == 1

    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.splitlines()[-1].startswith("error: cannot build the data set in ")
    assert not (tmp_path / "r").exists()


@pytest.mark.medium
def test_the_result_is_all_of_standard_output_and_the_same_every_time(
    engine: Engine, tmp_path: Path
) -> None:
    outputs: list[tuple[dict[str, Any], bytes]] = []
    for kind in (*ReportFormat, *ReportFormat):
        target = tmp_path / f"{kind}-{len(outputs)}"
        arguments = (*A_DAY, "--scale-factor", "0.01", "--format", kind, "--out", str(target))
        done = subprocess.run(
            command(*arguments), cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
        )
        outputs.append((json.loads(done.stdout), target.read_bytes()))

    assert outputs[:2] == outputs[2:]
    assert outputs[0][0]["summary"] == outputs[1][0]["summary"]
    assert list(outputs[0][0]) == ["rows", "bytes", "sha256", "summary"]
    assert list(outputs[0][0]["summary"][0]) == [
        "returnflag",
        "linestatus",
        "sum_qty",
        "sum_base_price",
        "sum_disc_price",
        "sum_charge",
        "count_order",
    ]


def test_a_day_without_lines_gives_a_valid_file(
    engine: Engine, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    days = (FIRST_SHIPDATE + timedelta(days=n) for n in range(60))
    empty = next(
        day
        for day in days
        if count_lines(engine, ReportSpec(shipped_from=day, shipped_to=day)) == 0
    )
    window = ("--shipped-from", str(empty), "--shipped-to", str(empty))

    assert main([*window, "--scale-factor", "0.01", "--out", str(tmp_path / "r")]) == 0

    result = json.loads(capsys.readouterr().out)
    assert (result["rows"], result["summary"]) == (0, [])
    assert result["bytes"] == (tmp_path / "r").stat().st_size


@pytest.mark.medium
def test_a_report_killed_in_mid_write_is_not_there(
    engine_at: Callable[[float], Engine], tmp_path: Path
) -> None:
    engine_at(0.1)
    target = tmp_path / "report.csv.gz"
    process = subprocess.Popen(
        command("--scale-factor", "0.1", *EVERYTHING, "--out", str(target)),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        guard = time.monotonic() + 120
        while not any(part.stat().st_size > 100_000 for part in tmp_path.iterdir()):
            assert process.poll() is None
            assert time.monotonic() < guard
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()

    assert process.returncode == -signal.SIGKILL
    assert not target.exists()


#: Runs one report and says how much memory it took, in bytes. Not by getrusage on Linux: its peak
#: begins with that of the process that started this one.
MEASURED = """
import re, resource, sys
from pathlib import Path
from reports.__main__ import main

code = main(sys.argv[1:])
status = Path("/proc/self/status")
if status.exists():
    print(1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1]), file=sys.stderr)
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""


def peak_memory(scale_factor: float, kind: ReportFormat, target: Path) -> int:
    """Peak resident memory, in bytes, of one whole report."""
    arguments = ("--scale-factor", f"{scale_factor:g}", "--format", kind, "--out", str(target))
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *arguments, *EVERYTHING],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stderr.splitlines()[-1])


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", list(ReportFormat))
def test_memory_does_not_grow_with_the_report(
    engine_at: Callable[[float], Engine], tmp_path: Path, kind: ReportFormat
) -> None:
    engine_at(0.1)
    engine_at(1)

    tenth = peak_memory(0.1, kind, tmp_path / "tenth")
    whole = peak_memory(1, kind, tmp_path / "whole")

    assert whole <= 1.2 * tenth
    assert whole <= 300e6


# TPC-H specification 2.4.1, the answer to query 1 at scale factor 1 with DELTA = 90.
PUBLISHED = [
    ("A", "F", "37734107.00", "56586554400.73", "53758257134.87", "55909065222.83", 1478493),
    ("N", "F", "991417.00", "1487504710.38", "1413082168.05", "1469649223.19", 38854),
    ("N", "O", "74476040.00", "111701729697.74", "106118230307.61", "110367043872.50", 2920374),
    ("R", "F", "37719753.00", "56568041380.90", "53741292684.60", "55889619119.83", 1478870),
]


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_scale_1_gives_the_published_answer_to_query_1(tmp_path: Path) -> None:
    arguments = ("--shipped-from", "1992-01-02", "--shipped-to", "1998-09-02")
    done = subprocess.run(
        command("--scale-factor", "1", *arguments, "--out", str(tmp_path / "q1")),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )

    result = json.loads(done.stdout)
    cent = Decimal("0.01")
    answer = [
        (
            row["returnflag"],
            row["linestatus"],
            *(
                str(Decimal(row[name]).quantize(cent))
                for name in ("sum_qty", "sum_base_price", "sum_disc_price", "sum_charge")
            ),
            row["count_order"],
        )
        for row in result["summary"]
    ]
    assert answer == PUBLISHED
    assert result["rows"] == sum(row[-1] for row in PUBLISHED)
