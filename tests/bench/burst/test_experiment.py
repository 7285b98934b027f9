from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from offloop.bench.burst.experiment import BurstExperiment
from offloop.bench.experiment import load_experiment
from tests.bench.support import EXPERIMENTS, refusal_of

SHIPPED = EXPERIMENTS / "threads_share_the_gil.toml"

Refusal = Callable[[str, str], str]


@pytest.fixture
def refusal(tmp_path: Path) -> Refusal:
    """What is said of the file once something in it has been replaced."""
    return partial(refusal_of, EXPERIMENTS / "threads_share_the_gil.toml", tmp_path)


def test_a_file_with_bursts_is_an_experiment_without_services() -> None:
    experiment = load_experiment(SHIPPED)

    assert isinstance(experiment, BurstExperiment)
    assert experiment.burst.pieces == 4
    assert experiment.arms["naive"].executor == "threads"
    assert experiment.arms["fixed"].executor == "processes"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'executor = "processes"',
            'executor = "process"',
            ["arms.fixed.executor", "'threads' or 'processes'"],
        ),
        (
            "workers = 2",
            "worker = 2",
            ["arms.naive: there is no key 'worker'", "there is executor, workers, once"],
        ),
        ("workers = 2", "workers = 0", ["arms.naive.workers", "greater than 0"]),
        ("[arms.naive]", '[arms."../naive"]', ["arms.../naive", "should match pattern"]),
        (
            "[arms.naive]",
            "[arms.navie]",
            ["there is no [arms.naive]", "compares naive and fixed"],
        ),
        (
            "pieces = 4",
            "pieces = 4\ntasks = 4",
            ["burst: there is no key 'tasks'", "there is work, pieces, repeats"],
        ),
        ("pieces = 4", "pieces = 1", ["burst.pieces", "greater than or equal to 2"]),
        ("repeats = 5", "repeats = 0", ["burst.repeats", "greater than 0"]),
        (
            '"gzip", "parquet"',
            '"zip", "parquet"',
            ["burst.work.1", "'aggregate', 'gzip', 'parquet' or 'inference'"],
        ),
        ('"gzip", "parquet"', '"gzip", "gzip"', ["burst: ", "named twice in aggregate, gzip"]),
        (
            "[burst]",
            "[load]\nduration_s = 5\n[burst]",
            ["there is no key 'load'", "there is title, rule, question"],
        ),
        (
            'measure = "fixed.aggregate.speedup"',
            'measure = "fixed.aggregat.speedup"',
            ["'cure' looks at fixed.aggregat.speedup", "the nearest is aggregate.speedup"],
        ),
        (
            'measure = "fixed.aggregate.speedup"',
            'measure = "fix.aggregate.speedup"',
            ["no arm 'fix'; there is naive, fixed, more_threads"],
        ),
        (
            'measure = "fixed.aggregate.speedup"',
            'measure = "more_threads.aggregate.speedup"',
            ["arms.more_threads.once", "an arm that is judged runs in every block"],
        ),
        ('id = "disease"', 'id = "cure"', ["several expectations cure"]),
        ("limit = 1.2\n", "", ["expect.0.limit: Field required"]),
        ("{naive.aggregate.burst_ms", "{naive.aggregate.burst_ms:.0f", ["story.gain"]),
    ],
)
def test_a_mistake_is_named_with_what_is_allowed(
    refusal: Refusal, old: str, new: str, said: list[str]
) -> None:
    message = refusal(old, new)

    assert all(words in message for words in said), message
