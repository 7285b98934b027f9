"""The extra block in which processes are profiled; no figure comes from it."""

import shutil
import subprocess
import sys
from pathlib import Path

from offloop.bench.evidence import Guilty, guilty_frame, parse_stacks, py_spy_command
from offloop.bench.experiment import Evidence
from offloop.bench.stage import Setting
from offloop.load.generator import Generator
from offloop.load.plan import Plan

#: Seconds py-spy may take to write what it saw after it has stopped looking.
_WRITE_DEADLINE_S = 30.0

#: Seconds at both ends of the load that are left out: attaching takes a moment.
_MARGIN_S = 0.5


class NoEvidenceError(Exception):
    """A process could not be profiled; the measurement is not touched by that."""


def profile_arm(  # noqa: PLR0913 - what is run, on what, where to, and whose code is ours
    generator: Generator,
    setting: Setting,
    plan: Plan,
    asked: list[Evidence],
    out: Path,
    root: Path,
) -> list[Guilty]:
    """Run one arm's load once more, with py-spy on the processes that were asked for.

    Args:
        generator: Sends the load.
        setting: The services behind the arm.
        plan: The load.
        asked: Which processes of the arm to look at.
        out: Folder for the stacks, ``<arm>-<process>.txt``.
        root: The checkout: what lies in it is our code.

    Raises:
        NoEvidenceError: py-spy is not allowed to look.
    """
    spies = {}
    for evidence in asked:
        output = out / f"{evidence.arm}-{evidence.process}.txt"
        command = py_spy_command(
            setting.stack.pids()[evidence.process][0], plan.duration_s - 2 * _MARGIN_S, output
        )
        spy = setting.stack.popen(f"py-spy-{evidence.process}", (_py_spy(), *command[1:]), nice=0)
        spies[evidence.process] = (evidence, spy, output)
    generator.run(plan, out / f"load-{asked[0].arm}")
    found = [
        _read(evidence, spy, output, setting.stack.log_dir / f"py-spy-{name}.log", root)
        for name, (evidence, spy, output) in spies.items()
    ]
    return [guilty for guilty in found if guilty is not None]


def _py_spy() -> str:
    beside_python = Path(sys.executable).with_name("py-spy")
    return str(beside_python) if beside_python.exists() else shutil.which("py-spy") or "py-spy"


def _read(
    evidence: Evidence, spy: subprocess.Popen[bytes], output: Path, log: Path, root: Path
) -> Guilty | None:
    try:
        status = spy.wait(_WRITE_DEADLINE_S)
    except subprocess.TimeoutExpired as error:
        raise NoEvidenceError(
            f"py-spy did not finish with {evidence.process}; see {log}."
        ) from error
    if status or not output.exists():
        raise NoEvidenceError(
            f"py-spy could not look into {evidence.process}. It needs the right to trace other "
            "processes: run as root, or set kernel.yama.ptrace_scope to 0 (Linux), or use sudo "
            f"(macOS). Its own words are in {log}."
        )
    found = guilty_frame(parse_stacks(output.read_text()), root)
    if found is None:
        # Not a failure: nothing holds a process that only waits, or does a little of everything.
        return None
    frame, share = found
    return Guilty(
        arm=evidence.arm,
        process=evidence.process,
        file=frame.file.removeprefix(f"{root}/"),
        function=frame.function,
        line=frame.line,
        share=share,
    )
