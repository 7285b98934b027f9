"""Documents that can rot fail a test."""

import re
import subprocess
import tempfile
from pathlib import Path

import pytest

from offloop.bench.experiment import experiment_files
from offloop.project import project_root

ROOT = project_root()

SLUGS = sorted(experiment_files(ROOT / "loadtests" / "experiments"))

#: A row of README's table of experiments starts with the slug in backticks.
_ROW = re.compile(r"^\| *`([a-z][a-z0-9_]*)`", re.MULTILINE)


@pytest.mark.parametrize("slug", SLUGS)
def test_the_readme_names_every_experiment(slug: str) -> None:
    assert f"`{slug}`" in (ROOT / "README.md").read_text()


def test_the_readme_lists_no_experiment_that_does_not_exist() -> None:
    listed = _ROW.findall((ROOT / "README.md").read_text())

    assert set(listed) <= set(SLUGS)
    assert len(listed) == len(set(listed))


#: A test as documents name it.
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

NAMED_TESTS = [
    (path.relative_to(ROOT), *named)
    for path in DOCUMENTS
    for named in _TEST.findall(path.read_text())
]


def test_documents_name_tests() -> None:
    assert NAMED_TESTS


@pytest.mark.parametrize(("document", "file", "name"), NAMED_TESTS)
def test_a_test_that_a_document_names_exists(document: Path, file: str, name: str) -> None:
    assert f"def {name}(" in (ROOT / file).read_text()


def tracked_files() -> list[Path]:
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - whichever git made the checkout
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def test_no_file_names_a_place_on_the_machine_it_was_written_on() -> None:
    # Folders that any document may name are no trace of a machine.
    common = {"/", "/app", "/home", "/opt", "/src", "/srv", "/usr/src", tempfile.gettempdir()}
    places = {str(ROOT), str(ROOT.parent), str(Path.home())} - common
    trace = re.compile(
        "|".join(rf"(?<![\w.~-]){re.escape(place)}(?=[/\s'\"`]|$)" for place in places)
    )

    traces = {}
    for path in tracked_files():
        text = path.read_bytes().decode(errors="replace")
        if found := trace.search(text):
            traces[str(path.relative_to(ROOT))] = found.group()

    assert not traces
