import os
import time
from pathlib import Path

import pytest
from redis import Redis

from reports.publish import PART_SUFFIX
from workers.housekeeping.expiry import Expiry
from workers.records import record_key
from workers.settings import TierSettings

pytestmark = pytest.mark.medium

DAY_S = 86_400
JOB_ID = "a" * 32
PART = f".{JOB_ID}.csv.gz.0123{PART_SUFFIX}"


@pytest.fixture
def expiry(tier: TierSettings, tmp_path: Path) -> Expiry:
    """Keeps a day, and a thousand bytes."""
    return Expiry(tier.model_copy(update={"file_ttl_s": DAY_S, "files_max_bytes": 1_000}), tmp_path)


def write(folder: Path, name: str, *, age_s: float = 0, size: int = 10) -> Path:
    path = folder / name
    path.write_bytes(b"x" * size)
    moment = time.time() - age_s
    os.utime(path, (moment, moment))
    return path


def test_a_file_beyond_its_age_is_deleted_and_a_younger_one_is_kept(
    expiry: Expiry, tmp_path: Path
) -> None:
    old = write(tmp_path, "old.csv.gz", age_s=DAY_S + 60)
    young = write(tmp_path, "young.csv.gz", age_s=DAY_S - 60)

    assert expiry.run() == [old]
    assert list(tmp_path.iterdir()) == [young]


def test_the_oldest_files_go_until_the_rest_fits(expiry: Expiry, tmp_path: Path) -> None:
    files = [write(tmp_path, f"{age}.csv.gz", age_s=age * 60, size=400) for age in (1, 2, 3, 4)]

    expiry.run()

    assert sorted(tmp_path.iterdir()) == files[:2]


def test_a_file_that_is_being_written_is_left_alone_however_large(
    expiry: Expiry, tmp_path: Path, records: Redis
) -> None:
    records.hset(record_key(JOB_ID), "status", "running")
    part = write(tmp_path, PART, size=5_000)

    assert expiry.run() == []
    assert part.exists()


@pytest.mark.parametrize("status", ["queued", "done", "failed", "cancelled"])
def test_what_a_killed_process_left_half_written_is_deleted(
    expiry: Expiry, tmp_path: Path, records: Redis, status: str
) -> None:
    records.hset(record_key(JOB_ID), "status", status)
    part = write(tmp_path, PART)

    assert expiry.run() == [part]
    assert not part.exists()


def test_what_is_left_of_a_job_that_is_forgotten_is_deleted(expiry: Expiry, tmp_path: Path) -> None:
    part = write(tmp_path, PART)

    assert expiry.run() == [part]


def test_an_empty_folder_is_fine(expiry: Expiry) -> None:
    assert expiry.run() == []
