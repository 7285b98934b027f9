"""Usage errors and help: each says what to type instead."""

import re
import socket

import pytest

import offloop
from tests.cli.checkout import ROOT, Checkout

REAL = Checkout(ROOT)


def words(text: str) -> str:
    """The text without the boxes and line breaks of a terminal."""
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", text).split())


def test_an_unknown_experiment_is_reported_with_the_known_ones() -> None:
    done = REAL.run("bench", "lop_blocking")

    assert done.returncode == 2
    assert "Error: There is no experiment 'lop_blocking'. There is: " in done.stderr
    assert "loop_blocking" in done.stderr.partition("There is: ")[2]
    assert "Traceback" not in done.stderr
    assert not REAL.running()


@pytest.mark.medium
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bench", "--blokcs", "3"], "No such option: --blokcs"),
        (["bench", "--blocks", "0"], "'--blocks': Input should be greater than or equal to 2"),
        (["bench", "--blocks", "many"], "'--blocks': Input should be a valid integer"),
        (["bench", "--if-busy", "wait"], "'wait' is not one of 'go-on', 'stop'"),
        (["bench", "--all", "loop_blocking"], "--all: name experiments, or say --all, not both"),
        (["bnech"], "No such command 'bnech'"),
    ],
)
def test_a_wrong_argument_is_named_with_what_is_allowed(arguments: list[str], said: str) -> None:
    done = REAL.run(*arguments)

    assert done.returncode == 2
    assert said in words(done.stderr)
    assert "Traceback" not in done.stderr
    assert not REAL.running()


@pytest.mark.medium
@pytest.mark.parametrize("command", [["bench"], ["bench", "--all"], ["list"]])
def test_a_broken_experiment_is_named_before_anything_starts(
    checkout: Checkout, command: list[str]
) -> None:
    checkout.change_experiment(("^drain_s", "drian_s"))

    done = checkout.run(*command)

    assert done.returncode == 2
    assert "loop_blocking.toml is not an experiment:" in done.stderr
    assert "load: there is no key 'drian_s'; there is duration_s, drain_s" in done.stderr
    assert "Traceback" not in done.stderr
    assert not checkout.running()
    assert not checkout.runs.exists()


@pytest.mark.medium
def test_a_file_in_the_place_of_the_run_folders_is_explained(checkout: Checkout) -> None:
    checkout.runs.touch()

    done = checkout.run("bench")

    assert done.returncode == 2
    assert f"Error: The results cannot be written to {checkout.runs}" in done.stderr
    assert "Make room, or make it a folder that you can write to." in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.medium
def test_the_list_says_what_each_experiment_shows_and_how_to_run_it() -> None:
    done = REAL.run("list")

    assert done.returncode == 0
    assert "loop_blocking" in done.stdout
    assert "One report in the request path stalls every other request" in done.stdout
    assert "offloop bench" in done.stdout


@pytest.mark.medium
def test_preflight_looks_at_all_that_matters_and_says_what_comes_next() -> None:
    done = REAL.run("preflight")

    assert done.returncode == 0
    for what in ("system", "cores", "memory", "disk", "checkout", "broker", "evidence", "niceness"):
        assert what in done.stdout
    assert str(ROOT) in done.stdout
    assert "Next: `offloop bench`" in done.stdout


@pytest.mark.medium
def test_the_version_is_that_of_the_package() -> None:
    done = REAL.run("--version")

    assert (done.returncode, done.stdout) == (0, f"{offloop.__version__}\n")


@pytest.mark.medium
@pytest.mark.parametrize(
    ("command", "said"),
    [
        ([], ["stalls", "Start with: offloop bench", "bench", "list", "preflight", "load"]),
        (["bench"], ["0 pass, 1 fail, 2 usage or tool error, 3 no verdict", "130 interrupted",
                     "--quick", "--blocks", "--seed", "--json", "--all", "--if-busy", "runs/latest",
                     "Without any: the headline ones"]),
        (["list"], ["List the experiments", "Example: `offloop list`"]),
        (["preflight"], ["and what is missing", "Example: "]),
        (["runs"], ["newest first", "Examples: "]),
        (["show"], ["--open", "Examples: "]),
        (["compare"], ["beside each other", "Examples: "]),
        (["live"], ["--open", "--port", "Examples: "]),
        (["up"], ["naive|fixed|both", "--slots POOL=N", ".offloop/up.json",
                  "OFFLOOP_CALLBACK_HOSTS", "OFFLOOP_WEBHOOK_SECRET"]),
        (["load"], ["--rate", "--out", "http://127.0.0.1:8000", "Examples: "]),
    ],
)  # fmt: skip
def test_help_says_what_a_newcomer_needs(command: list[str], said: list[str]) -> None:
    done = REAL.run(*command, "--help")

    assert done.returncode == 0
    for expected in said:
        assert expected in words(done.stdout)


@pytest.mark.medium
def test_without_a_command_there_is_help() -> None:
    done = REAL.run()

    assert "Start with: offloop bench" in words(done.stdout + done.stderr)


@pytest.mark.medium
def test_a_port_of_the_live_page_that_is_taken_is_an_error_before_anything_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = REAL.run("live", "--port", str(port))

    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Starting" not in done.stdout
