import os
import time
from pathlib import Path

from reports.publish import PART_SUFFIX
from workers.expiry import ABANDONED_S, expire_files

DAY_S = 86_400


def write(folder: Path, name: str, *, age_s: float, size: int = 10) -> Path:
    path = folder / name
    path.write_bytes(b"x" * size)
    moment = time.time() - age_s
    os.utime(path, (moment, moment))
    return path


def expire(folder: Path, *, max_age_s: float = DAY_S, max_bytes: int = 1_000) -> list[Path]:
    return expire_files(folder, max_age_s=max_age_s, max_bytes=max_bytes)


def test_a_file_beyond_its_age_is_deleted_and_a_younger_one_is_kept(tmp_path: Path) -> None:
    old = write(tmp_path, "old.csv.gz", age_s=DAY_S + 60)
    young = write(tmp_path, "young.csv.gz", age_s=DAY_S - 60)

    assert expire(tmp_path) == [old]
    assert list(tmp_path.iterdir()) == [young]


def test_the_oldest_files_go_until_the_rest_fits(tmp_path: Path) -> None:
    files = [write(tmp_path, f"{age}.csv.gz", age_s=age * 60, size=400) for age in (1, 2, 3, 4)]

    expire(tmp_path, max_bytes=1_000)

    assert sorted(tmp_path.iterdir()) == files[:2]


def test_a_file_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    part = write(tmp_path, f".a.csv.gz{PART_SUFFIX}", age_s=ABANDONED_S - 60, size=5_000)

    assert expire(tmp_path, max_bytes=1_000) == []
    assert part.exists()


def test_what_a_killed_process_left_half_written_is_deleted(tmp_path: Path) -> None:
    part = write(tmp_path, f".a.csv.gz{PART_SUFFIX}", age_s=ABANDONED_S + 60)

    assert expire(tmp_path) == [part]


def test_an_empty_folder_is_fine(tmp_path: Path) -> None:
    assert expire(tmp_path) == []
