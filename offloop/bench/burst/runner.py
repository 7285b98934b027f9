"""Running an experiment of bursts: the blocks, then the judgement."""

from pathlib import Path

from offloop.bench.burst.experiment import BurstExperiment
from offloop.bench.burst.measures import measure
from offloop.bench.burst.processors import Processors
from offloop.bench.burst.program import command, run_program
from offloop.bench.burst.protocol import Done, Kind
from offloop.bench.burst.validity import validity
from offloop.bench.calm import calm_blocks, without_the_others
from offloop.bench.judging import judge_experiment
from offloop.bench.results import ExperimentResult, RunFolder
from offloop.bench.runner import Options, Reporter
from offloop.bench.verdicts import Verdict
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
        """
        with Stack(self._folder.path / "logs" / self._slug) as stack:
            for number in options.block_numbers(self._experiment, self.result):
                self._run_block(stack, number, options.said(self._experiment, number))
        planned = options.blocks_of(self._experiment)
        self.result.judged_blocks = calm_blocks(self.result.blocks, planned)
        judged = without_the_others(self.result.blocks, self.result.judged_blocks)
        checks = validity(self._experiment, judged, self._digests)
        judge_experiment(self.result, self._experiment, judged, checks)

    def _run_block(self, stack: Stack, number: int, said: str) -> None:
        # Every other block runs backwards, so that a machine that slows down or speeds up
        # meanwhile favours no arm.
        due = [arm for arm, table in self._experiment.arms.items() if number == 0 or not table.once]
        order = due[:: 1 if number % 2 == 0 else -1]
        measures: dict[str, dict[str, float]] = {}
        for arm in order:
            self._reporter.step(f"{said}: {arm}")
            arguments = command(self._experiment.burst, self._experiment.arms[arm])
            before = Processors.now()
            # Its processes start while it runs, and there is no API that a look could hold up.
            with ResourceSampler(stack.pids, look_every=1) as sampler:
                done = run_program(stack, arm, arguments, self._root)
            taken = Processors.now().taken_since(before)
            self._note(arm, done)
            measures[arm] = measure(done, sampler.samples, taken)
            where = {"experiment": self._slug, "block": number, "arm": arm}
            self._folder.add(where, [], sampler.samples)
        self.result.blocks.append(measures)
        self._folder.checkpoint()

    def _note(self, arm: str, done: Done) -> None:
        # The same one does all of it.
        self.result.load["interpreter"] = done.interpreter.model_dump()
        found = self._digests.setdefault(arm, {})
        for kind, times in done.work.items():
            found[kind] = found.get(kind, frozenset()) | set(times.digests)
