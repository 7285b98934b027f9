"""Documents that can rot fail a test."""

import json
import re
import subprocess
import tempfile
import tomllib
from pathlib import Path

import jsonschema_rs
import pytest

from offloop.bench.experiment import experiment_files, load_experiment
from offloop.pages.markdown import experiments, renew_experiments, renew_measures
from offloop.pages.reference import GENERATED
from offloop.project import project_root

ROOT = project_root()

EXPERIMENTS = ROOT / "loadtests" / "experiments"


def test_the_readme_lists_the_experiments_as_their_files_say() -> None:
    readme = (ROOT / "README.md").read_text()

    assert renew_experiments(readme, EXPERIMENTS) == readme, "run `make readme`"
    assert experiments(EXPERIMENTS) in readme


def test_the_reference_of_measures_is_what_the_catalogue_says() -> None:
    reference = (ROOT / "docs" / "measures.md").read_text()

    assert renew_measures(reference) == reference, "run `make readme`"
    assert "| `p99_ms` |" in reference


@pytest.mark.parametrize("path", GENERATED, ids=str)
def test_a_generated_file_is_what_the_models_say(path: Path) -> None:
    assert (ROOT / path).read_text() == GENERATED[path](), "run `make readme`"


@pytest.mark.parametrize("file", sorted(EXPERIMENTS.glob("*.toml")), ids=lambda file: file.stem)
def test_an_experiment_file_names_the_schema_that_it_keeps(file: Path) -> None:
    first, _, _ = file.read_text().partition("\n")
    path = first.removeprefix("#:schema ")
    schema = json.loads((file.parent / path).read_text())
    # Dates are texts in JSON.
    tables = json.loads(json.dumps(tomllib.loads(file.read_text()), default=str))

    jsonschema_rs.validate(schema, tables)


def test_the_example_for_contributors_is_an_experiment(tmp_path: Path) -> None:
    (example,) = _TOML.findall((ROOT / "CONTRIBUTING.md").read_text())
    file = tmp_path / "example.toml"
    file.write_text(example)

    assert set(load_experiment(file).arms) == {"naive", "fixed", "baseline"}


def test_every_experiment_has_its_page_and_its_lesson_test() -> None:
    for slug in experiment_files(EXPERIMENTS):
        assert (ROOT / "docs" / "experiments" / f"{slug}.md").exists()
        assert (ROOT / "tests" / "lessons" / f"test_{slug}.py").exists()


_TOML = re.compile(r"```toml\n(.*?)```", re.DOTALL)

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
    # Where the dev container has the checkout, wherever that is outside.
    common |= {"/workspaces", "/workspaces/offloop"}
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
