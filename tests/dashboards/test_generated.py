"""What is committed is what the program writes."""

import shutil
from pathlib import Path

import pytest

from dashboards.__main__ import FOLDER, generated, main, outdated
from dashboards.queries import UnknownSeriesError, rate, select, total


def test_the_committed_dashboards_are_those_that_the_program_writes() -> None:
    assert outdated(FOLDER) == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(FOLDER, tmp_path / "grafana")
    return tmp_path / "grafana"


def test_a_check_says_which_files_differ_are_missing_or_too_many_and_changes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "load.json").write_text("{}\n")
    (folder / "sides.json").unlink()
    (folder / "old.json").write_text("{}\n")

    assert main(["--check"], folder) == 1

    said = capsys.readouterr().err
    assert all(name in said for name in ("load.json", "sides.json", "old.json"))
    assert "job-tier.json" not in said
    assert (folder / "load.json").read_text() == "{}\n"
    assert not (folder / "sides.json").exists()


def test_writing_repairs_what_a_check_complains_about(folder: Path) -> None:
    (folder / "load.json").write_text("{}\n")
    (folder / "old.json").write_text("{}\n")

    assert main([], folder) == 0

    assert main(["--check"], folder) == 0
    assert {path.name for path in folder.glob("*.json")} == generated().keys()
    assert (folder / "provisioning").is_dir()


def test_a_query_for_a_metric_that_is_not_listed_cannot_be_built() -> None:
    with pytest.raises(UnknownSeriesError, match=r"'offloop_loop_lagg' is no series.*metrics\.py"):
        select("offloop_loop_lagg")


def test_a_query_for_a_label_that_the_metric_does_not_have_cannot_be_built() -> None:
    with pytest.raises(UnknownSeriesError, match="offloop_loop_stalls_total has no label queue"):
        total("offloop_loop_stalls_total", queue="short")
    with pytest.raises(UnknownSeriesError, match="offloop_jobs_accepted_total has no label pool"):
        rate("offloop_jobs_accepted_total", ("pool",))


def test_the_parts_of_a_histogram_are_series_and_its_name_is_none() -> None:
    select("offloop_job_run_seconds_bucket", le="+Inf")
    with pytest.raises(UnknownSeriesError):
        select("offloop_job_run_seconds")
