"""The lesson is the diff: it must stay short enough to be read."""

import difflib
from pathlib import Path

import pytest

from offloop.project import project_root

ROOT = project_root()


def unified_diff(one: Path, other: Path) -> list[str]:
    before, after = (path.read_text().splitlines() for path in (one, other))
    return list(difflib.unified_diff(before, after, str(one), str(other), lineterm=""))


@pytest.mark.parametrize(
    ("naive", "fixed", "readable_lines"),
    [
        ("naive_app/reports.py", "fixed_app/reports.py", 60),
        ("workers/naive.py", "workers/fixed.py", 110),
    ],
)
def test_the_difference_can_be_read_at_one_sitting(
    naive: str, fixed: str, readable_lines: int
) -> None:
    assert 0 < len(unified_diff(ROOT / naive, ROOT / fixed)) <= readable_lines
