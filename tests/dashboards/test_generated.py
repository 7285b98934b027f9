"""The committed dashboards are what the program writes, and it refuses unknown metrics."""

import shutil
from pathlib import Path

import pytest

from dashboards.__main__ import FOLDER, generated, main, outdated
from dashboards.queries import UnknownSeriesError, select


def test_the_committed_dashboards_are_what_the_program_writes() -> None:
    assert outdated(FOLDER) == []


def test_a_check_names_files_that_differ_and_writing_repairs_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "grafana")
    (folder / "load.json").write_text("{}\n")
    (folder / "sides.json").unlink()
    (folder / "old.json").write_text("{}\n")

    assert main(["--check"], folder) == 1
    said = capsys.readouterr().err
    assert all(name in said for name in ("load.json", "sides.json", "old.json"))
    assert "job-tier.json" not in said
    assert (folder / "load.json").read_text() == "{}\n"

    assert main([], folder) == 0
    assert {path.name: path.read_text() for path in folder.glob("*.json")} == generated()
    assert (folder / "provisioning").is_dir()


def test_a_query_for_an_unknown_series_or_label_is_refused() -> None:
    with pytest.raises(UnknownSeriesError, match=r"'up_' is no series.*dashboards/metrics\.py"):
        select("up_")
    with pytest.raises(UnknownSeriesError, match="up has no label queue"):
        select("up", queue="short")
