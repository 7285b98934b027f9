"""Running an experiment of bursts: the blocks, then the judgement."""

from collections.abc import Sequence
from functools import partial
from itertools import count
from pathlib import Path

from offloop.bench.burst.experiment import BurstExperiment
from offloop.bench.burst.measures import measure
from offloop.bench.burst.processors import Processors
from offloop.bench.burst.program import command, run_program
from offloop.bench.burst.protocol import Done, Kind
from offloop.bench.burst.validity import validity
from offloop.bench.judging import Measured, another_block, block_values, judge_experiment
from offloop.bench.patience import Attempt, Patience
from offloop.bench.results import ExperimentResult, RunFolder
from offloop.bench.runner import Options, Reporter
from offloop.bench.validity import enough_quiet_blocks
from offloop.measuring.values import Block, Recorded
from offloop.measuring.verdicts import Judged, Verdict
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
        self._measured = Measured(
            frozenset(name for name, arm in experiment.arms.items() if not arm.once)
        )
        self.result = ExperimentResult(
            verdict=Verdict.NO_VERDICT,
            title=experiment.title,
            load=experiment.burst.model_dump(mode="json"),
        )

    def run(self, options: Options) -> None:
        """Run it to its verdict.

        Raises:
            StackError: the program could not be started.
            BurstError: the program could not do its work.
            MachineBusyError: the machine is not quiet, and the options say to stop then.
        """
        planned, at_most = options.planned(self._experiment), options.at_most(self._experiment)
        expectations = self._experiment.expectations
        self._patience = Patience(
            self.result,
            self._measured,
            self._reporter.step,
            reruns=options.reruns(self._experiment, len(self._experiment.arms)),
            waits_s=options.waits_s,
            stop=options.stop_if_busy,
        )
        with Stack(self._folder.path / "logs" / self._slug) as stack:
            self._patience.wait(stack.pids, "before the first block")
            for number in count():
                if another_block(self._measured, expectations, planned, at_most) is None:
                    break
                self._run_block(stack, number, options.said(self._experiment, number))
        judge_experiment(
            self.result,
            self._experiment,
            expectations,
            self._measured,
            partial(self._checks, planned),
        )

    def _checks(self, planned: int, blocks: Sequence[Block]) -> list[Judged]:
        checks = validity(self._experiment, blocks, self._digests)
        return [*checks, enough_quiet_blocks(self.result.judged_blocks, planned)]

    def _run_block(self, stack: Stack, number: int, said: str) -> None:
        # Every other block runs backwards, so that a machine that slows down or speeds up
        # meanwhile favours no arm.
        due = [arm for arm, table in self._experiment.arms.items() if number == 0 or not table.once]
        order = due[:: 1 if number % 2 == 0 else -1]
        block: dict[str, Recorded] = {}
        for arm in order:
            self._reporter.step(f"{said}: {arm}")
            run = partial(self._run_arm, stack, arm, number)
            block[arm] = self._patience.run(run, stack.pids, number, arm)
        self._measured.blocks.append(block)
        self.result.blocks.append(block_values(block))
        self._folder.checkpoint()

    def _run_arm(self, stack: Stack, arm: str, number: int, attempt: int) -> Attempt:
        arguments = command(self._experiment.burst, self._experiment.arms[arm])
        before = Processors.now()
        # Its processes start while it runs, and there is no API that a look could hold up.
        with ResourceSampler(stack.pids, look_every=1) as sampler:
            done = run_program(stack, arm, arguments, self._root)
        taken = Processors.now().taken_since(before)
        self._note(arm, done)
        where = {"experiment": self._slug, "block": number, "arm": arm, "attempt": attempt}
        self._folder.add(where, sampler.samples)
        return Attempt(measure(done, sampler.samples, taken), taken)

    def _note(self, arm: str, done: Done) -> None:
        # The same one does all of it.
        self.result.load["interpreter"] = done.interpreter.model_dump()
        found = self._digests.setdefault(arm, {})
        for kind, times in done.work.items():
            found[kind] = found.get(kind, frozenset()) | set(times.digests)
