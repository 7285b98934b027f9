"""What `make` would do, without doing it."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def dry_run(*arguments: str, **env: str) -> str:
    # What the `make` that runs this test was told is not for this one.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", *arguments],  # noqa: S607 - whichever make there is
        cwd=ROOT,
        env={**inherited, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "target", ["bench", "check", "test-fast", "test", "test-slow", "test-nightly", "help"]
)
def test_make_can_read_every_target_that_docs_name(target: str) -> None:
    assert dry_run(target)


def test_the_data_set_is_as_large_as_the_bench_is_told() -> None:
    assert "--scale-factor 0.1\n" in dry_run("bench", OFFLOOP_SCALE_FACTOR="0.1")
    assert "--scale-factor 0.2\n" in dry_run("bench", OFFLOOP_SCALE_FACTOR="0.2")
    assert "--scale-factor 0.3\n" in dry_run("bench", "SCALE=0.3", OFFLOOP_SCALE_FACTOR="0.2")
