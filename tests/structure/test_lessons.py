"""The lesson is the diff: it must stay short enough to be read."""

import difflib
from pathlib import Path

import pytest

from offloop.bench.experiment import AnyExperiment, experiment_files, load_experiment
from offloop.project import project_root

ROOT = project_root()

#: Lines of `diff -u` that can be read at one sitting.
READABLE_LINES = 150

#: The modules that are read side by side.
LESSON = ("main.py", "reports.py")


def unified_diff(one: Path, other: Path) -> list[str]:
    before, after = (path.read_text().splitlines() for path in (one, other))
    return list(difflib.unified_diff(before, after, str(one), str(other), lineterm=""))


def lines_of_difference(pairs: list[tuple[Path, Path]]) -> int:
    return sum(len(unified_diff(*pair)) for pair in pairs)


def test_the_difference_between_the_apps_can_be_read_at_one_sitting() -> None:
    pairs = [(ROOT / "naive_app" / name, ROOT / "fixed_app" / name) for name in LESSON]

    assert 0 < lines_of_difference(pairs) < READABLE_LINES


def test_the_difference_between_the_tiers_can_be_read_at_one_sitting() -> None:
    pair = (ROOT / "workers" / "naive.py", ROOT / "workers" / "fixed.py")

    assert 0 < lines_of_difference([pair]) < READABLE_LINES


def experiments() -> dict[str, AnyExperiment]:
    files = experiment_files(ROOT / "loadtests" / "experiments")
    return {slug: load_experiment(path) for slug, path in files.items()}


def test_there_are_experiments() -> None:
    assert experiments()


@pytest.mark.parametrize("experiment", experiments().values(), ids=experiments().keys())
def test_one_thing_changes_between_naive_and_fixed(experiment: AnyExperiment) -> None:
    naive, fixed = experiment.arms["naive"], experiment.arms["fixed"]

    parts = type(naive).model_fields
    changed = [part for part in parts if getattr(naive, part) != getattr(fixed, part)]

    assert len(changed) == 1, changed
