"""Checkouts to run the real `offloop` in, and ways to see what it leaves behind."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil

ROOT = Path(__file__).resolve().parents[2]

OFFLOOP = Path(sys.executable).with_name("offloop")

#: Seconds. Guards against hanging: five times what one command, a short bench, and the end of all
#: processes of a lab may take.
COMMAND_HANG_S = 60.0
BENCH_HANG_S = 600.0
END_HANG_S = 25.0

#: Carried in the environment by everything that a checkout starts: unlike the lab's own mark, it
#: is not what the lab itself looks for.
_MARK = "OFFLOOP_TESTS"

#: The packages that the lab runs, which a checkout may share with other checkouts.
_SHARED = ("naive_app", "fixed_app", "workers", "reports", "web")


@dataclass(frozen=True)
class Checkout:
    """A folder that holds what `offloop` needs, so that runs land in it.

    Attributes:
        folder: Where it is.
        env: Set for every command, on top of the environment of the tests.
        mark: Carried by everything that is started from here.
    """

    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)
    mark: str = field(default_factory=lambda: uuid4().hex)

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def experiment(self) -> Path:
        return self.folder / "loadtests" / "experiments" / "loop_blocking.toml"

    def latest(self) -> dict[str, Any]:
        return read_run(self.runs / "latest")

    def change_experiment(self, *changes: tuple[str, str]) -> None:
        """Replace what patterns match, each of them in one place."""
        text = self.experiment.read_text()
        for pattern, new in changes:
            text, found = re.subn(pattern, new, text, flags=re.MULTILINE)
            assert found == 1, pattern
        self.experiment.write_text(text)

    def run(
        self,
        *arguments: str,
        hang_s: float = COMMAND_HANG_S,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run `offloop` to its end."""
        with self.start(*arguments, env=env) as process:
            try:
                out, err = process.communicate(timeout=hang_s)
            finally:
                process.kill()
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def start(
        self,
        *arguments: str,
        stdout: int = subprocess.PIPE,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """Start `offloop`; standard error is a pipe, and there is no terminal."""
        # A shell lets what it runs in the background ignore SIGINT, which would be inherited.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # Wide: what is tested are words, not how they wrap.
        environment = {"COLUMNS": "300", _MARK: self.mark, **self.env, **(env or {})}
        return subprocess.Popen(
            [OFFLOOP, *arguments],
            cwd=self.folder,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )

    def running(self) -> list[psutil.Process]:
        """All processes that were started from here and still run."""
        return [process for process in psutil.process_iter() if self._started(process)]

    def _started(self, process: psutil.Process) -> bool:
        try:
            marked = process.environ().get(_MARK) == self.mark
            return marked and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


def read_run(folder: Path) -> dict[str, Any]:
    run: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return run


def make_checkout(folder: Path) -> Checkout:
    """A checkout with experiments of its own and everything else shared."""
    folder.mkdir()
    for name in _SHARED:
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "loadtests", folder / "loadtests")
    return Checkout(folder)


def read_until(process: subprocess.Popen[str], words: str) -> list[str]:
    """Read the output of a lab up to the line with these words, which must come; all its lines."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if words in line:
            return seen
    raise AssertionError(f"{words!r} did not come: {''.join(seen)}{process.communicate()[1]}")


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """What a lab has started, and what that has started."""
    return psutil.Process(process.pid).children(recursive=True)


def has_ended(process: psutil.Process) -> bool:
    """Whether it runs no more; an orphan may stay a zombie until init looks."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
