"""What a bench does where other programs have the machine, and what it says of a quick run."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from offloop.bench.experiment import Experiment
from offloop.bench.options import Options, Reporter
from offloop.commands import bench as cli
from offloop.measuring.blocks import MachineBusyError
from offloop.measuring.noise import Busy
from offloop.measuring.results import ExperimentResult
from offloop.measuring.run_folder import RunFolder
from offloop.measuring.verdicts import Verdict
from tests.bench.support import block, result
from tests.cli.checkout import make_checkout

BUSY = Busy(taken=0.4, by=("cc1plus", "make"))

app = typer.Typer()
app.command()(cli.bench)


class MeasuredBefore:
    """Stands for an experiment's run on a busy machine: all that it measures is there at once."""

    def __init__(
        self, slug: str, experiment: Experiment, root: Path, folder: RunFolder, reporter: Reporter
    ) -> None:
        del slug, experiment, root, folder, reporter
        self.result: ExperimentResult = result([block(), block()])

    def run(self, options: Options) -> None:
        if options.stop_if_busy:
            self.result.verdict = Verdict.NO_VERDICT
            raise MachineBusyError(BUSY)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    checkout = make_checkout(tmp_path / "checkout")
    monkeypatch.chdir(checkout.folder)
    monkeypatch.setattr(cli, "ExperimentRun", MeasuredBefore)
    return checkout.runs


def bench(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "300"}).invoke(app, ["loop_blocking", *arguments])


def test_on_a_busy_machine_a_bench_goes_on_or_stops_without_a_verdict_as_asked(
    runs: Path,
) -> None:
    gone_on, stopped = bench("--if-busy", "go-on"), bench("--if-busy", "stop")

    assert (bench().exit_code, gone_on.exit_code, stopped.exit_code) == (0, 0, 3)
    assert f"No verdict: {BUSY}. End these" in stopped.output
    assert "runs/" in stopped.output
    run = json.loads((runs / "latest" / "run.json").read_text())
    assert run["verdict"] == "pass"


@pytest.mark.parametrize("arguments", [[], ["--quick"]])
def test_a_quick_run_is_marked_in_the_terminal_and_in_run_json(
    runs: Path, arguments: list[str]
) -> None:
    done = bench(*arguments)

    run = json.loads((runs / "latest" / "run.json").read_text())
    assert run["quick"] is bool(arguments)
    assert ("PASS (quick)" in done.output) is bool(arguments)
