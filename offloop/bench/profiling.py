"""The extra block in which processes are profiled; no figure comes from it."""

import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from offloop.bench.evidence import Profile, parse_stacks, py_spy_command
from offloop.bench.experiment import Evidence
from offloop.bench.stage import Setting
from offloop.load.generator import Generator
from offloop.load.plan import Plan

#: Seconds py-spy may take to attach, and to write what it saw after it has stopped looking.
_DEADLINE_S = 30.0

#: What py-spy says once it has attached.
_ATTACHED = b"Sampling process"

_LOOK_S = 0.05


class NoEvidenceError(Exception):
    """A process could not be profiled; the measurement is not touched by that."""


def profile_arm(
    generator: Generator, setting: Setting, plan: Plan, asked: list[Evidence], out: Path
) -> list[Profile]:
    """Run one arm's load once more, with py-spy on the processes that were asked for.

    Args:
        generator: Sends the load.
        setting: The services behind the arm.
        plan: The load.
        asked: Which processes of the arm to look at.
        out: Folder for the stacks, ``<arm>-<process>.txt``.

    Raises:
        NoEvidenceError: py-spy is not allowed to look.
    """
    spies = []
    for evidence in asked:
        output = out / f"{evidence.arm}-{evidence.process}.txt"
        command = py_spy_command(setting.stack.pids()[evidence.process][0], plan.duration_s, output)
        name = f"py-spy-{evidence.process}"
        spy = setting.stack.popen(name, (_py_spy(), *command[1:]), nice=0)
        spies.append(_Spy(evidence, spy, output, setting.stack.log_dir / f"{name}.log"))
    for each in spies:
        each.wait_until_attached()
    generator.run(plan, out / f"load-{asked[0].arm}")
    return [each.read() for each in spies]


def _py_spy() -> str:
    beside_python = Path(sys.executable).with_name("py-spy")
    return str(beside_python) if beside_python.exists() else shutil.which("py-spy") or "py-spy"


@dataclass(frozen=True)
class _Spy:
    """py-spy, on one process."""

    evidence: Evidence
    process: subprocess.Popen[bytes]
    output: Path
    log: Path

    def wait_until_attached(self) -> None:
        """Return once it takes samples, or has ended: a report before that would not be seen."""
        deadline = time.monotonic() + _DEADLINE_S
        while _ATTACHED not in self.log.read_bytes() and self.process.poll() is None:
            if time.monotonic() > deadline:
                raise NoEvidenceError(
                    f"py-spy has not got into {self.evidence.process}; see {self.log}."
                )
            time.sleep(_LOOK_S)

    def read(self) -> Profile:
        """Return what it saw, once it is done."""
        try:
            status = self.process.wait(_DEADLINE_S)
        except subprocess.TimeoutExpired as error:
            raise NoEvidenceError(
                f"py-spy did not finish with {self.evidence.process}; see {self.log}."
            ) from error
        if status or not self.output.exists():
            raise NoEvidenceError(
                f"py-spy could not look into {self.evidence.process}. It needs the right to trace "
                "other processes: run as root, or set kernel.yama.ptrace_scope to 0 (Linux), or "
                f"use sudo (macOS). Its own words are in {self.log}."
            )
        stacks = parse_stacks(self.output.read_text())
        return Profile(self.evidence.arm, self.evidence.process, stacks)
