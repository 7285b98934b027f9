"""The memory of a slot does not grow with the report that it builds."""

import re
import time
from pathlib import Path

import pytest

from reports.dataset import ensure_dataset
from reports.settings import ReportSettings
from tests.shop import EVERYTHING, FINAL, FIXED, client_of, open_shop

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(1800)]

#: Seconds. A guard against hanging: five times what the largest report takes on a busy machine.
HANG_S = 900.0


def peak_bytes(pid: int) -> int:
    """The most memory that a process has had at any moment."""
    status = Path(f"/proc/{pid}/status").read_text()
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert peak is not None
    return int(peak[1]) * 1024


def slot_peak_bytes(folder: Path, scale_factor: str, report_format: str) -> int:
    """The peak of the working process of a slot that has built the largest report there is."""
    with open_shop(folder, {"OFFLOOP_SCALE_FACTOR": scale_factor}) as shop:
        api, slot = shop.api(FIXED), shop.worker("long")
        shop.stack.start(api, slot)
        with client_of(api) as client:
            accepted = client.post("/reports", json={**EVERYTHING, "format": report_format})
            deadline = time.monotonic() + HANG_S
            job = accepted.json()
            while job["status"] not in FINAL:
                assert time.monotonic() < deadline, job
                job = client.get(accepted.headers["Location"], headers={"Prefer": "wait=10"}).json()
        assert job["status"] == "done", job
        return max(peak_bytes(pid) for pid in shop.stack.pids()[slot.name])


@pytest.mark.parametrize("report_format", ["csv", "parquet"])
def test_the_largest_report_of_ten_times_the_data_takes_no_more_memory(
    tmp_path: Path, report_format: str
) -> None:
    for scale_factor in (0.1, 1):
        ensure_dataset(ReportSettings(scale_factor=scale_factor, database_url=None))

    tenth = slot_peak_bytes(tmp_path / "tenth", "0.1", report_format)
    whole = slot_peak_bytes(tmp_path / "whole", "1", report_format)

    assert whole <= 1.2 * tenth, (tenth, whole)
    assert whole <= 300e6
