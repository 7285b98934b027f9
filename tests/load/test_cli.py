import csv
import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from offloop.commands.load import Shape, load
from offloop.load.arrivals import due_times

app = typer.Typer()
app.command()(load)


def run(*arguments: object) -> tuple[int, str]:
    # A wide terminal: what is tested are words, not how they wrap.
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, [str(each) for each in arguments])
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["http://h", "--request", "/ping"], "it must be a method and a path, like 'GET /ping'"),
        (["http://h", "--request", "GET ping"], "it must be a method and a path"),
        (["ftp://h"], "'ftp://h' is not the address of a web server"),
        (["localhost:8000"], "write it like http://127.0.0.1:8000"),
        (["http://h", "--body", "{a}"], "--body is not JSON"),
        (["http://h", "--header", "Accept"], "it must be like 'Accept: text/csv'"),
        (["http://h", "--header", "A b: c"], "headers"),
        (["http://h", "--rate", "0"], "--rate"),
        (["http://h", "--arrivals", "poison"], "--arrivals"),
    ],
)
def test_a_mistake_is_named_and_exits_with_2(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    code, output = run(*arguments, "--out", tmp_path / "out")

    assert code == 2
    assert said in output
    assert not (tmp_path / "out").exists()


@pytest.mark.medium
def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    code, output = run("http://127.0.0.1:9", "--out", tmp_path / "file" / "out")

    assert code == 2
    assert "cannot be written (Not a directory); choose another --out" in output


@pytest.mark.parametrize("shape", Shape)
def test_every_shape_fills_the_duration_up_to_its_rate(shape: Shape) -> None:
    due_s = due_times(shape.arrivals(100, 10), 10, seed=7)

    assert 0 < len(due_s) <= 1200
    assert due_s[0] < 5 < due_s[-1]


@pytest.mark.medium
def test_a_run_shows_its_figures_and_leaves_its_log(odd_server: str, tmp_path: Path) -> None:
    code, output = run(
        odd_server,
        *("--request", "GET /ok", "--rate", 50, "--duration", 1, "--out", tmp_path),
        *("--arrivals", "constant"),
    )

    assert code == 0
    assert "GET /ok: 50 offered, 50 sent, 50 answered, 0 failed" in output
    for line in ("response time (from due)", "service time (from sent)", "dispatch lag"):
        assert line in output
    assert json.loads((tmp_path / "summary.json").read_text())["GET /ok"]["offered"] == 50
    with (tmp_path / "requests.csv").open() as file:
        assert {row["name"] for row in csv.DictReader(file)} == {"GET /ok"}


@pytest.mark.medium
def test_failures_are_counted_by_kind_and_do_not_change_the_exit_code(
    odd_server: str, tmp_path: Path
) -> None:
    code, output = run(
        odd_server,
        *("--request", "GET /status/503", "--rate", 20, "--duration", 1, "--out", tmp_path),
        *("--arrivals", "constant", "--drain", 1),
    )

    assert code == 0
    assert "20 x status 503" in output
    assert "The answer of a failed request never came" in output
    (row,) = [line for line in output.splitlines() if "response time (from due)" in line]
    assert row.count("never") == 5
    assert "response time, succeeded" in output
