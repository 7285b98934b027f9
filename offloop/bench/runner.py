"""Running an experiment with services: calibrate, run the blocks, judge, gather evidence."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from math import ceil
from pathlib import Path

from offloop.bench.arms import ArmRun, run_arm
from offloop.bench.calibration import Calibration, Calibrator, warm_up
from offloop.bench.capacity import slots_serving
from offloop.bench.evidence import Profile, guilty
from offloop.bench.experiment import Evidence, Experiment
from offloop.bench.lab import Lab, dead_named, start_generator
from offloop.bench.options import Options, Reporter
from offloop.bench.plans import block_plan
from offloop.bench.predictions import predictions
from offloop.bench.profiling import NoEvidenceError, profile_arm
from offloop.bench.stage import stage, stage_one
from offloop.bench.telling import new_result, tell_result
from offloop.bench.validity import validity
from offloop.load.generator import Generator
from offloop.load.plan import Plan
from offloop.load.records import ReportRow
from offloop.measuring.blocks import Attempt, Blocks, Limits, until_quiet
from offloop.measuring.instruments.resources import TAKEN
from offloop.measuring.instruments.scrapes import Schedule
from offloop.measuring.judging import block_values, enough_quiet_blocks, judge_blocks
from offloop.measuring.noise import Watch
from offloop.measuring.results import Calibrated, EventResult, LoadResult, ScrapeTimes
from offloop.measuring.rows import Happened
from offloop.measuring.run_folder import RunFolder
from offloop.measuring.values import Block
from offloop.measuring.verdicts import Judged
from offloop.stack.supervisor import Stack

#: Seconds of load in the extra block that is profiled, at least, and orders of each stream in it,
#: however slow the machine is.
EVIDENCE_S = 3
_EVIDENCE_ORDERS = 2

#: How often it is calibrated, at most, until nothing disturbs it: at first, and before each block.
CALIBRATIONS = 3
CALIBRATIONS_AGAIN = 2


class ExperimentRun:
    """One experiment while it runs; `result` holds whatever there is so far."""

    def __init__(
        self, slug: str, experiment: Experiment, root: Path, folder: RunFolder, reporter: Reporter
    ) -> None:
        self._slug = slug
        self._experiment = experiment
        self._root = root
        self._folder = folder
        self._reporter = reporter
        self._digests: dict[str, dict[str, frozenset[str]]] = {}
        self.result = new_result(experiment, experiment.load, experiment.arms)

    def run(self, options: Options) -> None:
        """Run it to its verdict.

        Raises:
            StackError: a service could not be started, or died.
            GeneratorError: the load could not be sent.
            NotIdleError: an arm left work behind that did not end.
            NoAnswerError: a service did not answer.
            ExperimentError: it asks for evidence of a process that there is not.
            MachineBusyError: the machine is not quiet, and the options say to stop then.
        """
        experiment = self._experiment
        limits = options.limits(experiment, len(experiment.arms))
        once = {name: arm.once for name, arm in experiment.arms.items()}
        self._blocks = Blocks(
            once, experiment.expectations, limits, self.result, self._reporter.step
        )
        self._seed = options.seed
        with self._services() as self._lab:
            self._calibrate_at_first()
            self._blocks.run(self)
            # Before the evidence, which may go wrong, and which no figure uses.
            checks = partial(self._checks, limits)
            blocks = judge_blocks(
                self.result, experiment.expectations, self._blocks.measured, checks
            )
            tell_result(self.result, experiment, blocks, experiment.table)
            self._folder.checkpoint()
            self._gather_evidence()
            self._reporter.step("stopping everything")

    def _checks(self, limits: Limits, blocks: Sequence[Block]) -> list[Judged]:
        queues = {name: found.queue for name, found in self._lab.calibrated.items()}
        checks = validity(self._experiment, blocks, self._digests, queues)
        return [*checks, enough_quiet_blocks(self.result.judged_blocks, limits.planned)]

    @contextmanager
    def _services(self) -> Iterator[Lab]:
        logs = self._folder.path / "logs" / self._slug
        with ExitStack() as cleanup:
            self._reporter.step("starting the services")
            arms = cleanup.enter_context(stage(self._experiment, self._root, logs))
            stack = cleanup.enter_context(Stack(logs))
            generator = cleanup.enter_context(
                Generator(start=partial(start_generator, stack), log=logs / "generator.log")
            )
            cleanup.enter_context(dead_named(arms))
            yield Lab(self._experiment, self._root, dict(arms), generator, stack.folder)

    # --- calibration: how fast is the machine? ---

    def _calibrate_at_first(self) -> None:
        lab = self._lab
        lab.settle()
        self._blocks.wait(lab.pids, "before the calibration")
        found, lab.taken = self._calibrate()
        lab.calibrated |= found
        lab.rates |= self._rates(found)
        self._note_calibration(found, lab.taken)
        self._reporter.predicted(self.result)
        lab.scraping = self._scraping()

    def _calibrate(self) -> tuple[Mapping[str, Calibration], float | None]:
        def calibrate(again: int) -> tuple[Mapping[str, Calibration], float | None]:
            if again:
                self._blocks.wait(self._lab.pids, "calibration")
            self._reporter.step(
                "calibrating again: it was disturbed"
                if again
                else "calibrating: how long does a report take here?"
            )
            out = self._lab.scratch / "calibration" / str(again)
            with Watch(self._lab.pids) as machine:
                calibrated = self._calibrator(out).calibrate()
            self._blocks.note("calibration", machine.taken, machine.taken_by)
            return calibrated, machine.taken

        if not self._experiment.load.calibrated:
            return {}, None
        return until_quiet(calibrate, CALIBRATIONS)

    def _calibrator(self, out: Path) -> Calibrator:
        lab = self._lab
        return Calibrator(lab.generator, lab.arms["naive"], self._experiment, out)

    def _calibrate_again(self, number: int) -> None:
        """Let rates and predictions of a block follow the machine, where something is predicted.

        One whose processors are shared changes its speed by a quarter within a minute, with nothing
        taken from it that could be seen.
        """
        lab = self._lab

        def calibrate(again: int) -> tuple[Mapping[str, Calibration], float | None]:
            self._reporter.step(f"before block {number + 1}: how fast is the machine now?")
            lab.settle()
            out = lab.scratch / f"calibration-{number}-{again}"
            with Watch(lab.pids) as machine:
                found = self._calibrator(out).calibrate_again(lab.calibrated)
            step = f"calibration before block {number + 1}"
            self._blocks.note(step, machine.taken, machine.taken_by)
            return found, machine.taken

        calibrated, taken = until_quiet(calibrate, CALIBRATIONS_AGAIN)
        if any(found.drain_per_s for found in calibrated.values()):
            # It is scaled from the first one, and no better than that.
            taken = max(taken or 0.0, lab.taken or 0.0)
        lab.rates.update(self._rates(calibrated))
        self._note_calibration(calibrated, taken)

    def _rates(self, calibrated: Mapping[str, Calibration]) -> dict[str, float]:
        return {name: self._rate(name, found) for name, found in calibrated.items()}

    def _rate(self, stream: str, calibration: Calibration) -> float:
        queue = calibration.queue
        slots = 1 if queue is None else slots_serving([queue], self._experiment.arms["naive"].pools)
        drain_per_s = calibration.drain_per_s.get(slots, slots / calibration.run_s)
        return self._experiment.load.orders[stream].per_second(calibration.run_s, drain_per_s)

    def _note_calibration(self, calibrated: Mapping[str, Calibration], taken: float | None) -> None:
        rates = self._lab.rates
        self._known = {
            source: known if taken is None else known.with_number(TAKEN, taken)
            for source, known in predictions(self._experiment, calibrated, rates).items()
        }
        self.result.before_load = block_values(self._known)
        self._calibrated = {
            name: Calibrated(**found._asdict(), run_s=found.run_s, per_second=rates[name])
            for name, found in calibrated.items()
        }
        # On record before the load begins.
        self._folder.checkpoint()

    def _scraping(self) -> Schedule | None:
        if self._experiment.scrape is None:
            return None
        (name,) = self._experiment.orders_of("naive")
        schedule = self._experiment.scrape.schedule(self._lab.calibrated[name].blocked_s)
        self.result.scrape = ScrapeTimes(**schedule._asdict())
        return schedule

    # --- what `Blocks` asks of its arms ---

    def pids(self) -> Mapping[str, Sequence[int]]:
        """Return the process ids of everything that the lab runs."""
        return self._lab.pids()

    def before_block(self, number: int) -> Block:
        """Calibrate again, and return what is predicted."""
        if number and self._experiment.predict:
            self._calibrate_again(number)
        self.result.before_load_blocks.append(block_values(self._known))
        self.result.calibrations.append(self._calibrated)
        self._folder.checkpoint()
        return self._known

    @contextmanager
    def there(self, arm: str) -> Iterator[None]:
        """Start what an arm needs that is there for one block only, and warm it up."""
        lab = self._lab
        if arm in lab.arms:
            yield
            return
        logs = self._folder.path / "logs" / self._slug
        with ExitStack() as cleanup:
            setting = cleanup.enter_context(stage_one(self._experiment, arm, self._root, logs))
            lab.arms[arm] = setting
            cleanup.callback(lab.arms.pop, arm)
            cleanup.enter_context(dead_named({arm: setting}))
            for stream in self._experiment.orders_of(arm):
                warm_up(setting.api, self._experiment.load.orders[stream].order)
            yield

    def run_arm(self, arm: str, block: int, attempt: int) -> Attempt:
        """Run an arm once, and keep its raw rows."""
        lab = self._lab
        plan = self._plan(arm, self._seed + block, self._experiment.load.duration_s)
        lab.settle()
        out = lab.scratch / f"{block}-{arm}-{attempt}"
        run = run_arm(lab, arm, plan, out, self._reporter.progress)
        self._note(run, arm, block, attempt)
        return Attempt(run.recorded, run.taken_by)

    def after_block(self) -> None:
        """Keep what there is so far."""
        self._folder.checkpoint()

    def _plan(self, arm: str, seed: int, duration_s: float) -> Plan:
        lab, streams = self._lab, self._experiment.streams_of(arm)
        url = lab.arms[arm].api.url or ""
        return block_plan(self._experiment.load, streams, url, lab.rates, seed, duration_s)

    def _note(self, run: ArmRun, arm: str, block: int, attempt: int) -> None:
        self._note_start(run.rows.log.start_monotonic_s, arm, block, attempt)
        self._note_faults(run.rows.happened, arm, block, attempt)
        self._note_digests(run.rows.log.reports, arm)
        where = {"experiment": self._slug, "block": block, "arm": arm, "attempt": attempt}
        self._folder.add(where, run.tables)

    def _note_start(self, start_monotonic_s: float, arm: str, block: int, attempt: int) -> None:
        started_s = time.time() - (time.monotonic() - start_monotonic_s)
        self.result.loads.append(
            LoadResult(
                block=block,
                arm=arm,
                attempt=attempt,
                start_monotonic_s=start_monotonic_s,
                started_at=datetime.fromtimestamp(started_s, UTC),
            )
        )

    def _note_faults(
        self, happened: Iterable[Happened], arm: str, block: int, attempt: int
    ) -> None:
        self.result.events += [
            EventResult(block=block, arm=arm, attempt=attempt, **each._asdict())
            for each in happened
        ]

    def _note_digests(self, reports: Iterable[ReportRow], arm: str) -> None:
        found = self._digests.setdefault(arm, {})
        for row in reports:
            if row.sha256:
                found[row.name] = found.get(row.name, frozenset()) | {row.sha256}

    # --- evidence: where does the time go? ---

    def _gather_evidence(self) -> None:
        asked: dict[str, list[Evidence]] = {}
        for evidence in self._experiment.evidence:
            asked.setdefault(evidence.arm, []).append(evidence)
        out = self._folder.path / "evidence" / self._slug
        profiles: list[Profile] = []
        for arm, evidences in asked.items():
            self._reporter.step(f"profiling {arm} (an extra run, which is not measured)")
            out.mkdir(parents=True, exist_ok=True)
            plan = self._plan(arm, self._seed, self._evidence_s(arm))
            self._lab.settle()
            try:
                profiles += profile_arm(
                    self._lab.generator, self._lab.arms[arm], plan, evidences, out
                )
            except NoEvidenceError as error:
                self.result.evidence_missing = str(error)
        self.result.evidence = guilty(profiles, self._root)

    def _evidence_s(self, arm: str) -> int:
        rates = (self._lab.rates.get(name) for name in self._experiment.orders_of(arm))
        # Whole seconds, as py-spy counts them: it is not to look at what comes after.
        return max([EVIDENCE_S, *(ceil(_EVIDENCE_ORDERS / rate) for rate in rates if rate)])
