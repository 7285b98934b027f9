"""What the lab finds out about where it runs, and how its commands end."""

import os
import subprocess
from pathlib import Path

import pytest
import typer

from offloop import __version__, cli
from offloop.commands import preflight
from offloop.commands.ending import explained
from offloop.errors import ExitCode, OffloopError
from offloop.machine import git, machine, versions
from offloop.measuring.results import Checkout
from offloop.project import project_root
from tests.cli.checkout import ROOT


def commit(folder: Path) -> None:
    for command in (
        ("init", "--quiet"),
        ("add", "--all"),
        ("-c", "user.name=me", "-c", "user.email=me@localhost", "commit", "--quiet", "-m", "one"),
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)  # noqa: S607 - as the user has it


def test_a_checkout_is_found_from_any_folder_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loadtests" / "experiments").mkdir(parents=True)
    deep = tmp_path / "docs" / "deep"
    deep.mkdir(parents=True)

    for folder in (tmp_path, deep):
        monkeypatch.chdir(folder)
        assert project_root() == tmp_path


def test_outside_of_any_checkout_the_one_the_lab_was_installed_from_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert project_root() == ROOT


def test_a_run_knows_its_commit_and_whether_there_were_changes(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("one")
    commit(tmp_path)
    clean = git(tmp_path)
    (tmp_path / "file").write_text("two")

    assert len(clean.commit or "") == 40
    assert clean.dirty is False
    assert git(tmp_path) == Checkout(commit=clean.commit, dirty=True)


def test_outside_of_a_repository_nothing_is_said_about_a_commit(tmp_path: Path) -> None:
    assert git(tmp_path) == Checkout()


def test_without_git_nothing_is_said_about_a_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert git(ROOT) == Checkout()


def test_the_machine_is_described_by_what_results_depend_on() -> None:
    found = machine()

    assert found.cores == os.cpu_count()
    assert found.memory_bytes
    assert all((found.processor, found.system, found.python))
    assert versions()["offloop"] == __version__


def test_preflight_finds_nothing_missing_that_is_needed_where_these_tests_run() -> None:
    assert not [each for each in preflight.look() if each.needed]


def test_a_lack_that_is_not_fatal_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "affinity", lambda: 1)

    (cores,) = [each for each in preflight.look() if each.what == "cores"]

    assert cores.found == "1"
    assert cores.lack
    assert not cores.needed


def test_a_system_without_an_idle_policy_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "prefix", lambda _: ())
    monkeypatch.setattr("os.nice", lambda _: 0)

    (niceness,) = [each for each in preflight.look() if each.what == "niceness"]

    assert niceness.found == "0, no chrt"
    assert "util-linux" in str(niceness.lack)
    assert not niceness.needed


def test_an_error_that_explains_itself_ends_a_command_with_its_sentence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sentence = "The port [1234] is taken: " + "end what holds it, " * 20

    with pytest.raises(typer.Exit) as ended, explained():
        raise OffloopError(sentence)

    assert ended.value.exit_code == ExitCode.ERROR
    # On one line, whatever the width of the terminal.
    assert capsys.readouterr().err == f"Error: {sentence}\n"


def test_ctrl_c_ends_a_command_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, explained():
        raise KeyboardInterrupt

    assert ended.value.exit_code == 130
    assert "Interrupted" in capsys.readouterr().err


def test_an_unexpected_error_has_another_exit_code_than_a_failed_expectation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "app", fail)

    with pytest.raises(SystemExit) as ended:
        cli.main()

    assert ended.value.code == ExitCode.ERROR
    assert "ZeroDivisionError" in capsys.readouterr().err
