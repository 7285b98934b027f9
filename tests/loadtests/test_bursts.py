"""`python -m loadtests.bursts`, as a person runs it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from offloop.bench.burst.protocol import Done
from offloop.errors import ExitCode
from offloop.project import project_root
from tests.waiting import wait_for

pytestmark = pytest.mark.medium

#: Guards against hanging: the program takes a few seconds.
HANG_S = 100.0


def start(*arguments: str, env: Mapping[str, str]) -> subprocess.Popen[str]:
    # A shell lets what it runs in the background ignore SIGINT, which would be inherited.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(
        [sys.executable, "-m", "loadtests.bursts", *arguments],
        cwd=project_root(),
        env={**os.environ, "COLUMNS": "300", **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*arguments: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    process = start(*arguments, env=env)
    try:
        out, err = process.communicate(timeout=HANG_S)
    finally:
        process.kill()
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def test_threads_and_processes_do_the_same_work(data_set: Mapping[str, str]) -> None:
    said = {}
    for executor in ("threads", "processes"):
        done = run("--executor", executor, "--repeats", "1", "--pieces", "3", env=data_set)
        assert done.returncode == 0, done.stderr
        said[executor] = Done.model_validate_json(done.stdout)

    assert said.keys() == {result.executor for result in said.values()}
    threads, processes = said["threads"], said["processes"]
    assert list(threads.work) == ["aggregate", "gzip", "parquet", "inference"]
    for kind, times in threads.work.items():
        assert len(times.alone_s) == len(times.burst_s) == 1
        assert len(times.digests) == 1
        assert times.digests == processes.work[kind].digests
    assert threads.interpreter == processes.interpreter
    assert (threads.pieces, threads.workers) == (3, 2)


def test_standard_error_says_what_it_comes_to(data_set: Mapping[str, str]) -> None:
    done = run(
        *("--executor", "threads", "--workers", "3", "--work", "gzip", "gzip"),
        *("--repeats", "2"),
        env=data_set,
    )

    ready, line = done.stderr.splitlines()
    assert ready.startswith("3 threads were ready after ")
    assert line.startswith("gzip: one alone ")
    assert ", 4 on 3 threads " in line
    assert len(Done.model_validate_json(done.stdout).work["gzip"].burst_s) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "the following arguments are required: --executor"),
        (["--executor", "thread"], "invalid choice: 'thread' (choose from"),
        (["--executor", "threads", "--work", "zip"], "invalid choice: 'zip' (choose from"),
        (["--executor", "threads", "--workers", "0"], "'0' is not a whole number from 1 on"),
        (["--executor", "threads", "--pieces", "x"], "'x' is not a whole number from 1 on"),
        (["--executor", "threads", "--scale-factor", "0"], "--scale-factor '0'"),
    ],
)
def test_wrong_usage_is_explained(arguments: list[str], said: str) -> None:
    done = run(*arguments, env={})

    assert done.returncode == ExitCode.ERROR
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_that_cannot_be_used_is_explained(tmp_path: Path) -> None:
    env = {"OFFLOOP_DATABASE_URL": f"sqlite:///{tmp_path / 'no folder' / 'lines.sqlite'}"}

    done = run("--executor", "threads", "--scale-factor", "0.01", env=env)

    assert done.returncode == 1
    assert "error: no line items: cannot build the data set in OFFLOOP_DATABASE_URL" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def endless(data_set: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Bursts in processes that would go on for hours; it is just starting."""
    arguments = ("--executor", "processes", "--repeats", "100000", "--work", "gzip")
    with start(*arguments, env=data_set) as process:
        try:
            yield process
        finally:
            for child in family(process):
                child.kill()
            process.kill()


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """What a program has started and is still there."""
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return [child for child in family(process) if "spawn_main" in " ".join(child.cmdline())]


def wait_until_ready(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    assert "2 processes were ready" in process.stderr.readline()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_what_is_interrupted_leaves_nothing(
    ending: signal.Signals, endless: subprocess.Popen[str]
) -> None:
    wait_until_ready(endless)
    started = family(endless)
    assert len(workers_of(endless)) == 2

    endless.send_signal(ending)
    _, errors = endless.communicate(timeout=HANG_S)

    assert endless.returncode == ExitCode.INTERRUPTED
    assert errors == "Interrupted.\n"
    wait_for(lambda: not any(map(psutil.Process.is_running, started)))


@pytest.mark.parametrize("at_once", [False, True], ids=["at work", "while it starts"])
def test_a_worker_that_is_killed_is_missed(at_once: bool, endless: subprocess.Popen[str]) -> None:
    if at_once:
        wait_for(lambda: len(workers_of(endless)) == 2)
    else:
        wait_until_ready(endless)

    workers_of(endless)[0].kill()
    _, errors = endless.communicate(timeout=HANG_S)

    assert endless.returncode == 1
    assert "error: not all of the 2 processes came to work" in errors
    assert "Traceback" not in errors
