import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from filelock import FileLock
from sqlalchemy import Engine, create_engine, func, select

from reports.dataset import DatasetError, ensure_dataset
from reports.lines import lines
from reports.settings import ReportSettings

# 6,005 line items: built in a moment.
TINY = 0.001
TINY_LINES = 6_005


def settings_in(folder: Path, scale_factor: float = TINY) -> ReportSettings:
    return ReportSettings(data_dir=folder, scale_factor=scale_factor, database_url=None)


def file_of(settings: ReportSettings) -> Path:
    return settings.data_dir / f"lineitem-sf{settings.scale_label}.sqlite"


def count(path: Path) -> int:
    engine = create_engine(f"sqlite:///{path}")
    try:
        with engine.connect() as connection:
            return connection.execute(select(func.count()).select_from(lines)).scalar_one()
    finally:
        engine.dispose()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = settings_in(tmp_path_factory.mktemp("tiny"))
    ensure_dataset(settings)
    return file_of(settings)


@pytest.fixture
def copied(tiny: Path, tmp_path: Path) -> ReportSettings:
    """A complete data set that a test may break."""
    settings = settings_in(tmp_path)
    shutil.copy(tiny, file_of(settings))
    return settings


@pytest.mark.parametrize(("scale_factor", "expected"), [(0.01, 60_175), (0.1, 600_572)])
def test_every_scale_has_the_published_number_of_line_items(
    engine_at: Callable[[float], Engine], scale_factor: float, expected: int
) -> None:
    with engine_at(scale_factor).connect() as connection:
        assert connection.execute(select(func.count()).select_from(lines)).scalar_one() == expected


def test_a_complete_data_set_is_used_as_it_is(copied: ReportSettings) -> None:
    before = file_of(copied).stat()
    told: list[str] = []

    url = ensure_dataset(copied, told.append)

    assert url.database == str(file_of(copied))
    assert (file_of(copied).stat().st_ino, file_of(copied).stat().st_mtime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
    )
    assert told == []


def test_building_leaves_the_data_set_and_its_lock_only(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "new" / "folder")
    told: list[str] = []

    ensure_dataset(settings, told.append)

    assert {path.suffix for path in settings.data_dir.iterdir()} <= {".sqlite", ".lock"}
    assert count(file_of(settings)) == TINY_LINES
    assert told[0].startswith("generating")
    assert told[-1] == "loading line items: 6,005 of 6,005 (100%)"


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def garbage(path: Path) -> None:
    path.write_bytes(b"this is no database" * 1000)


def statement(sql: str) -> Callable[[Path], None]:
    def run(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(sql)
            connection.commit()

    return run


@pytest.mark.medium
@pytest.mark.parametrize(
    "break_it",
    [
        pytest.param(truncate, id="truncated"),
        pytest.param(empty, id="empty"),
        pytest.param(garbage, id="not a database"),
        pytest.param(statement("DELETE FROM lines WHERE orderkey % 7 = 0"), id="rows missing"),
        pytest.param(statement("DELETE FROM dataset"), id="never finished"),
        pytest.param(statement("DROP TABLE dataset"), id="no record"),
        pytest.param(statement("DROP TABLE lines"), id="no table"),
        pytest.param(statement("UPDATE dataset SET schema_version = 0"), id="older schema"),
        pytest.param(statement("UPDATE dataset SET scale_factor = 0.5"), id="other scale"),
    ],
)
def test_an_incomplete_data_set_is_rebuilt(
    copied: ReportSettings, tiny: Path, break_it: Callable[[Path], None]
) -> None:
    break_it(file_of(copied))

    ensure_dataset(copied)

    assert file_of(copied).read_bytes() == tiny.read_bytes()


@pytest.mark.medium
def test_the_remains_of_a_killed_build_are_replaced(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    (tmp_path / f".building-sf{TINY:g}").mkdir()
    (tmp_path / f".building-sf{TINY:g}" / "lineitem.parquet").write_bytes(b"half")
    (tmp_path / f".lineitem-sf{TINY:g}.sqlite.part").write_bytes(b"half")

    ensure_dataset(settings)

    assert count(file_of(settings)) == TINY_LINES
    assert {path.suffix for path in tmp_path.iterdir()} <= {".sqlite", ".lock"}


@pytest.mark.medium
def test_the_data_set_can_be_in_another_database(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.sqlite"
    settings = ReportSettings(
        data_dir=tmp_path / "data", scale_factor=TINY, database_url=f"sqlite:///{elsewhere}"
    )

    url = ensure_dataset(settings)

    assert url.database == str(elsewhere)
    assert count(elsewhere) == TINY_LINES


@pytest.fixture
def build() -> Iterator[Callable[[Path], subprocess.Popen[str]]]:
    """Start building in another process."""
    started: list[subprocess.Popen[str]] = []

    def start(folder: Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "reports.dataset", "--scale-factor", f"{TINY:g}"],
            cwd=Path(__file__).resolve().parents[2],
            env=os.environ | {"OFFLOOP_DATA_DIR": str(folder)},
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.medium
def test_one_of_two_concurrent_processes_builds_and_both_get_it(
    tmp_path: Path, build: Callable[[Path], subprocess.Popen[str]]
) -> None:
    both = [build(tmp_path), build(tmp_path)]

    told = [process.communicate(timeout=120)[1] for process in both]

    assert [process.returncode for process in both] == [0, 0], told
    assert sum("loading line items" in text for text in told) == 1
    assert count(file_of(settings_in(tmp_path))) == TINY_LINES


@pytest.mark.medium
def test_a_process_waits_while_another_one_builds(
    tmp_path: Path, build: Callable[[Path], subprocess.Popen[str]]
) -> None:
    lock = FileLock(tmp_path / f"lineitem-sf{TINY:g}.lock")
    with lock:
        process = build(tmp_path)
        assert process.stderr is not None
        assert "another process is building" in process.stderr.readline()
        assert not file_of(settings_in(tmp_path)).exists()

    _, told = process.communicate(timeout=120)

    assert process.returncode == 0, told


@pytest.fixture
def no_generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole PATH, with this Python and without the generator."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_a_missing_generator_is_named_with_the_next_step(
    no_generator: Path, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match=r"tpchgen-cli is neither .*; run `make setup`"):
        ensure_dataset(settings_in(tmp_path / "data"))


@pytest.mark.parametrize(
    ("complaint", "expected"),
    [
        ("No space left on device (os error 28)", r"no space left.*; free some space, or set"),
        ("something else", r"failed with exit code 3: .*something else.*; run it yourself"),
    ],
)
def test_a_failing_generator_is_explained_and_leaves_nothing(
    no_generator: Path, tmp_path: Path, complaint: str, expected: str
) -> None:
    program = no_generator / "tpchgen-cli"
    program.write_text(f"#!/bin/sh\necho '{complaint}' >&2\nexit 3\n")
    program.chmod(0o755)

    with pytest.raises(DatasetError, match=expected):
        ensure_dataset(settings_in(tmp_path / "data"))

    assert [path.suffix for path in (tmp_path / "data").iterdir()] in ([], [".lock"])


def test_a_disk_that_is_too_small_is_reported_before_the_work(tmp_path: Path) -> None:
    # 70,000 TB: no disk has that.
    with pytest.raises(DatasetError, match=r"needs [\d,]+ MB .* free; choose a smaller scale"):
        ensure_dataset(settings_in(tmp_path, scale_factor=1e8))


def test_a_folder_that_cannot_be_made_is_named_with_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(DatasetError, match=r"file/data: .*; make it writable, or set OFFLOOP_DATA"):
        ensure_dataset(settings_in(tmp_path / "file" / "data"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    with pytest.raises(DatasetError, match=r"permission denied; make it writable"):
        ensure_dataset(settings_in(tmp_path / "data"))


@pytest.mark.parametrize("url", ["nonsense", "nosuch://host/db", "sqlite+nosuch:///file"])
def test_a_wrong_database_url_is_named(tmp_path: Path, url: str) -> None:
    settings = ReportSettings(data_dir=tmp_path, scale_factor=TINY, database_url=url)

    with pytest.raises(DatasetError, match=r"OFFLOOP_DATABASE_URL: .*; check that the URL"):
        ensure_dataset(settings)
