"""Running an experiment of bursts: the blocks, then the judgement."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

from offloop.bench.burst.experiment import BurstExperiment
from offloop.bench.burst.measures import measure
from offloop.bench.burst.processors import Processors
from offloop.bench.burst.program import command, run_program
from offloop.bench.burst.protocol import Done, Kind
from offloop.bench.burst.validity import validity
from offloop.bench.options import Options, Reporter
from offloop.bench.telling import new_result, tell_result
from offloop.measuring.blocks import Attempt, Blocks, Limits
from offloop.measuring.judging import enough_quiet_blocks, judge_blocks
from offloop.measuring.run_folder import RunFolder
from offloop.measuring.values import Block
from offloop.measuring.verdicts import Judged
from offloop.stack.sampling import ResourceSampler
from offloop.stack.supervisor import Stack


class BurstRun:
    """One such experiment while it runs; `result` holds whatever there is so far."""

    def __init__(
        self,
        slug: str,
        experiment: BurstExperiment,
        root: Path,
        folder: RunFolder,
        reporter: Reporter,
    ) -> None:
        self._slug = slug
        self._experiment = experiment
        self._root = root
        self._folder = folder
        self._reporter = reporter
        self._digests: dict[str, dict[Kind, frozenset[str]]] = {}
        self.result = new_result(experiment, experiment.burst, experiment.arms)

    def run(self, options: Options) -> None:
        """Run it to its verdict.

        Raises:
            StackError: the program could not be started.
            BurstError: the program could not do its work.
            MachineBusyError: the machine is not quiet, and the options say to stop then.
        """
        experiment = self._experiment
        limits = options.limits(experiment, len(experiment.arms))
        once = {name: arm.once for name, arm in experiment.arms.items()}
        blocks = Blocks(once, experiment.expectations, limits, self.result, self._reporter.step)
        with Stack(self._folder.path / "logs" / self._slug) as self._stack:
            blocks.wait(self.pids, "before the first block")
            blocks.run(self)
        checks = partial(self._checks, limits)
        judged = judge_blocks(self.result, experiment.expectations, blocks.measured, checks)
        tell_result(self.result, experiment, judged)

    def _checks(self, limits: Limits, blocks: Sequence[Block]) -> list[Judged]:
        checks = validity(self._experiment, blocks, self._digests)
        return [*checks, enough_quiet_blocks(self.result.judged_blocks, limits.planned)]

    def pids(self) -> Mapping[str, Sequence[int]]:
        """Return the process ids of the program, while it runs."""
        return self._stack.pids()

    def before_block(self, number: int) -> Block:  # noqa: ARG002 - as `Blocks` asks
        """Nothing is known before a burst."""
        return {}

    def there(self, arm: str) -> AbstractContextManager[None]:  # noqa: ARG002 - as `Blocks` asks
        """Nothing has to be there: the program starts with its burst."""
        return nullcontext()

    def run_arm(self, arm: str, block: int, attempt: int) -> Attempt:
        """Run the program once, and keep what it used."""
        arguments = command(self._experiment.burst, self._experiment.arms[arm])
        before = Processors.now()
        # Its processes start while it runs, and there is no API that a look could hold up.
        with ResourceSampler(self.pids, look_every=1) as sampler:
            done = run_program(self._stack, arm, arguments, self._root)
        taken = Processors.now().taken_since(before)
        self._note(arm, done)
        where = {"experiment": self._slug, "block": block, "arm": arm, "attempt": attempt}
        self._folder.add(where, {"samples": sampler.samples})
        return Attempt(measure(done, sampler.samples, taken))

    def after_block(self) -> None:
        """Keep what there is so far."""
        self._folder.checkpoint()

    def _note(self, arm: str, done: Done) -> None:
        # The same one does all of it.
        self.result.interpreter = done.interpreter.model_dump()
        found = self._digests.setdefault(arm, {})
        for kind, times in done.work.items():
            found[kind] = found.get(kind, frozenset()) | set(times.digests)
