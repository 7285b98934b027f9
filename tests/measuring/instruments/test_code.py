"""The lines of an attempt that count as changed."""

from pathlib import Path

import pytest

from offloop.measuring.instruments.code import changed_lines, lines_changed_by
from offloop.project import project_root

ROOT = project_root()

INLINE = (ROOT / "naive_app" / "reports.py").read_text()

BEFORE = '''
"""What it is."""

import json

router = APIRouter()


@router.get("/reports")
async def read() -> str:
    return "all of them"


@router.post("/reports")
async def create() -> str:
    """Say so."""
    return json.dumps("created")
'''

ATTEMPTS = sorted((ROOT / "naive_app" / "attempts").glob("[a-z]*.py"))


def test_nothing_has_changed_in_the_same_module() -> None:
    assert changed_lines(INLINE, INLINE) == 0


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("What it is", "Something else", 0),
        ("import json", "import json as js", 0),
        ("Say so", "Say something else", 0),
        ("    return json", "    # why\n    return json", 0),
        ("all of them", "none", 0),
        ("async def create", "def create", 1),
        ('"created"', '"made"', 1),
        ("    return json", "    work()\n    return json", 1),
        ('    return json.dumps("created")', "    work()\n    return done()", 2),
        ('    return json.dumps("created")\n', "    pass\n\n\ndef work() -> None:\n    pass\n", 3),
    ],
)
def test_lines_of_code_that_are_new_or_different_are_counted(
    old: str, new: str, lines: int
) -> None:
    after = BEFORE.replace(old, new)

    assert after != BEFORE
    assert changed_lines(BEFORE, after) == lines


def test_a_module_without_the_routes_that_stay_has_changed_no_line() -> None:
    begin, end = BEFORE.index("@router.get"), BEFORE.index("@router.post")

    assert changed_lines(BEFORE, BEFORE[:begin] + BEFORE[end:]) == 0


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda path: path.stem)
def test_every_attempt_changes_something_and_can_still_be_read_as_a_diff(attempt: Path) -> None:
    assert 1 <= changed_lines(INLINE, attempt.read_text()) <= 60


def test_a_thread_is_the_smallest_of_all_changes() -> None:
    changes = {path.stem: changed_lines(INLINE, path.read_text()) for path in ATTEMPTS}

    assert min(changes, key=changes.__getitem__) == "to_thread"
    assert changes["to_thread"] == 1


def test_a_way_is_compared_with_another_by_the_names_of_their_modules() -> None:
    in_a_thread = "naive_app.attempts.to_thread"

    assert lines_changed_by(in_a_thread, "naive_app.reports", ROOT) == 1
    assert lines_changed_by("naive_app.reports", "naive_app.reports", ROOT) == 0
