import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from offloop.bench.burst import program
from offloop.bench.burst.experiment import Burst, BurstArm
from offloop.bench.burst.program import BurstError, command, run_program
from offloop.stack.supervisor import Stack
from tests.bench.burst.support import done


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with Stack(tmp_path / "logs") as entered:
        yield entered


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def test_an_arm_becomes_a_command_that_a_person_could_type() -> None:
    burst = Burst(work=("aggregate", "gzip"), pieces=4, repeats=3)

    interpreter, *arguments = command(burst, BurstArm(executor="processes", workers=2))

    assert interpreter == sys.executable
    assert " ".join(arguments) == (
        "-m loadtests.bursts --executor processes --workers 2 --pieces 4 --repeats 3 "
        "--work aggregate gzip"
    )


def test_the_output_of_the_program_is_read(stack: Stack, tmp_path: Path) -> None:
    said = done()

    found = run_program(stack, "naive", python(f"print({said.model_dump_json()!r})"), tmp_path)

    assert found == said


def test_the_program_is_found_in_the_checkout_whatever_the_working_folder(
    stack: Stack, tmp_path: Path
) -> None:
    (tmp_path / "only_here.py").write_text(f"said = {done().model_dump_json()!r}")
    arguments = python("import only_here; print(only_here.said)")

    assert run_program(stack, "naive", arguments, tmp_path) == done()


def test_a_program_that_fails_is_quoted(stack: Stack, tmp_path: Path) -> None:
    code = "import sys; print('no line items', file=sys.stderr); sys.exit(1)"

    with pytest.raises(BurstError) as failed:
        run_program(stack, "naive", python(code), tmp_path)

    assert "naive ended with status 1. The end of its log" in str(failed.value)
    assert "  no line items" in str(failed.value)
    assert str(stack.log_dir / "naive.log") in str(failed.value)


def test_a_program_that_is_killed_is_told_from_one_that_fails(stack: Stack, tmp_path: Path) -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"

    with pytest.raises(BurstError, match="naive was ended by SIGKILL"):
        run_program(stack, "naive", python(code), tmp_path)


def test_unexpected_output_of_a_program_is_quoted(stack: Stack, tmp_path: Path) -> None:
    with pytest.raises(BurstError, match="naive said b'hello"):
        run_program(stack, "naive", python("print('hello')"), tmp_path)


def test_a_program_that_hangs_is_not_waited_for(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "DEADLINE_S", 0.2)

    with pytest.raises(BurstError, match=r"naive has not done its bursts after 0\.2 s"):
        run_program(stack, "naive", python("import time; time.sleep(600)"), tmp_path)


def test_a_name_can_be_used_again_once_the_program_has_ended(stack: Stack, tmp_path: Path) -> None:
    arguments = python(f"print({done().model_dump_json()!r})")

    for _ in range(2):
        run_program(stack, "naive", arguments, tmp_path)
