"""The locustfile as a person runs it."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

LOCUSTFILE = Path(__file__).parents[2] / "loadtests" / "locustfile.py"


@pytest.mark.medium
def test_locust_sends_the_whole_plan_once_and_then_ends(odd_server: str, tmp_path: Path) -> None:
    subprocess.run(
        [
            *(sys.executable, "-m", "locust", "-f", LOCUSTFILE, "--host", odd_server),
            *("--headless", "--csv", "stats", "--ping-rate", "50", "--report-rate", "2"),
            *("--duration", "2", "--drain", "5"),
        ],
        check=True,
        capture_output=True,
        cwd=tmp_path,
        timeout=100,
    )

    with (tmp_path / "stats_stats.csv").open() as file:
        rows = {(row["Type"], row["Name"]): row for row in csv.DictReader(file)}
    assert {row["Failure Count"] for row in rows.values()} == {"0"}
    assert int(rows["POST", "/reports"]["Request Count"]) == 4
    assert int(rows["READY", "/reports"]["Request Count"]) == 4
    assert int(rows["GET", "/ping"]["Request Count"]) > 50
