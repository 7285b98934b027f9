"""Running experiments: calibrate, run the blocks, gather evidence, judge."""

import os
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from math import ceil
from pathlib import Path
from subprocess import Popen
from typing import IO, Protocol

from offloop.bench.aftermath import Aftermath
from offloop.bench.blocks import run_arm
from offloop.bench.calibration import Calibration, Calibrator, alone_cpu_s, warm_up
from offloop.bench.capacity import slots_serving
from offloop.bench.changes import lines_changed_by
from offloop.bench.effects import effect_measures
from offloop.bench.events import Happened
from offloop.bench.evidence import Profile, guilty
from offloop.bench.experiment import Evidence, Experiment
from offloop.bench.idle import wait_until_quiet
from offloop.bench.judging import Measured, another_block, block_values, judge_experiment
from offloop.bench.measures import measure
from offloop.bench.observed import Schedule
from offloop.bench.observer import Observer, observer_of
from offloop.bench.patience import WAITS_S, Attempt, Patience, until_quiet
from offloop.bench.plans import block_plan
from offloop.bench.predictions import predictions
from offloop.bench.profiling import NoEvidenceError, profile_arm
from offloop.bench.question import Question
from offloop.bench.quick import QUICK_RERUNS, QUICK_WAITS_S
from offloop.bench.results import EventResult, ExperimentResult, RunFolder, Values
from offloop.bench.stage import Setting, stage, stage_one
from offloop.bench.validity import enough_quiet_blocks, validity
from offloop.load.generator import Generator
from offloop.load.plan import Plan
from offloop.load.protocol import Progress
from offloop.load.records import ReportRow
from offloop.measuring.catalogue import TAKEN
from offloop.measuring.noise import Watch
from offloop.measuring.values import Block, Recorded
from offloop.measuring.verdicts import Judged, Verdict
from offloop.stack.priorities import NICE_GENERATOR
from offloop.stack.supervisor import Stack

#: Seconds of load in the extra block that is profiled, at least, and orders of each stream in it,
#: however slow the machine is.
EVIDENCE_S = 3
_EVIDENCE_ORDERS = 2

#: How often it is calibrated, at most, until nothing disturbs it: at first, and before each block.
CALIBRATIONS = 3
CALIBRATIONS_AGAIN = 2

#: Seconds after an error within which a service that has died is seen to have died.
_DEATH_SHOWS_S = 0.5

_LOOK_S = 0.05


class Reporter(Protocol):
    """Is told how a run is going."""

    def experiment(self, slug: str, experiment: Question) -> None:
        """An experiment begins."""

    def step(self, text: str) -> None:
        """The next thing is being done; it may take seconds."""

    def predicted(self, result: ExperimentResult) -> None:
        """Theory has predicted something, and the load has not begun."""

    def progress(self, progress: Progress) -> None:
        """The load of the current step is this far."""

    def result(self, slug: str, result: ExperimentResult) -> None:
        """An experiment is over."""


@dataclass(frozen=True)
class Options:
    """How thoroughly to measure.

    Attributes:
        blocks: Passes over all arms, no more and no fewer; None for as many as the experiment says,
            and more in place of disturbed ones, or where nothing is decided yet.
        seed: Of the first block; the following ones count on from it.
        stop_if_busy: Whether to stop where the machine does not become quiet.
        quick: Whether to be done soon matters more than to get a verdict on a busy machine.
    """

    blocks: int | None
    seed: int
    stop_if_busy: bool = False
    quick: bool = False

    def planned(self, experiment: Question) -> int:
        """Return the passes over all arms that have to be undisturbed."""
        return self.blocks or experiment.blocks

    def reruns(self, experiment: Question, arms: int) -> int:
        """Return how many runs of arms may be repeated because they were disturbed."""
        return QUICK_RERUNS if self.quick else self.planned(experiment) * arms

    @property
    def waits_s(self) -> float:
        """Seconds to wait for a quiet machine in one experiment, at most."""
        return QUICK_WAITS_S if self.quick else WAITS_S

    def at_most(self, experiment: Question) -> int:
        """Return the passes over all arms that are run at most."""
        return self.blocks or 2 * experiment.blocks

    def said(self, experiment: Question, number: int) -> str:
        """Name a block, for people."""
        planned = self.planned(experiment)
        more = f" of {planned}" if number < planned else f", after {planned} planned"
        return f"block {number + 1}{more}"


@dataclass
class _Lab:
    """What is up and running while an experiment is.

    Attributes:
        arms: The services behind each arm that is there now.
        generator: Sends the load.
        scratch: A temporary folder.
        calibrated: What a report of each stream of orders costs, as it was found at first.
        rates: Orders per second of each stream of them, in the current block.
        taken: Share of the machine that other programs had while it was calibrated at first.
        scraping: When metrics are scraped; None where they are not.
    """

    arms: dict[str, Setting]
    generator: Generator
    scratch: Path
    calibrated: dict[str, Calibration] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    taken: float | None = None
    scraping: Schedule | None = None

    @property
    def whole(self) -> Collection[str]:
        """The SHA-256 of each report that is ordered, as it is when nothing disturbs the work."""
        return {found.sha256 for found in self.calibrated.values() if found.sha256}

    def settle(self) -> None:
        """Return once no stack has anything left to do: all arms share one machine.

        Raises:
            NotIdleError: one has, for too long.
        """
        for setting in _distinct(self.arms):
            setting.wait_until_empty()
        wait_until_quiet(partial(_pids, self.arms))

    def pids(self) -> dict[str, list[int]]:
        """Return the process ids of everything that the lab runs."""
        lab = {"generator": [self.generator.pid], "lab": [os.getpid()]}
        return _pids(self.arms) | lab

    def others(self, arm: str) -> list[int]:
        """Return the process ids of the stacks that are not behind this arm."""
        stacks = [each.stack for each in _distinct(self.arms) if each is not self.arms[arm]]
        return [pid for stack in stacks for pids in stack.pids().values() for pid in pids]


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
        self._queues: dict[str, str | None] = {}
        self._measured = Measured(
            frozenset(name for name, arm in experiment.arms.items() if not arm.once)
        )
        self._known: dict[str, Recorded] = {}
        self.result = ExperimentResult(
            verdict=Verdict.NO_VERDICT,
            title=experiment.title,
            load=experiment.load.model_dump(mode="json", exclude_none=True),
        )

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
        planned, at_most = options.planned(self._experiment), options.at_most(self._experiment)
        self._patience = Patience(
            self.result,
            self._measured,
            self._reporter.step,
            reruns=options.reruns(self._experiment, len(self._experiment.arms)),
            waits_s=options.waits_s,
            stop=options.stop_if_busy,
        )
        with self._lab() as lab:
            for number in count():
                said = options.said(self._experiment, number)
                if number:
                    why = another_block(
                        self._measured, self._experiment.expectations, planned, at_most
                    )
                    if why is None:
                        break
                    said += f" ({why})" if number >= planned else ""
                self._run_block(lab, number, said, options)
            # Before the evidence, which may go wrong, and which no figure uses.
            judge_experiment(
                self.result,
                self._experiment,
                self._experiment.expectations,
                self._measured,
                partial(self._checks, planned),
                self._experiment.table,
            )
            self._folder.checkpoint()
            self._gather_evidence(lab, options.seed)
            self._reporter.step("stopping everything")

    def _checks(self, planned: int, blocks: Sequence[Block]) -> list[Judged]:
        checks = validity(self._experiment, blocks, self._digests, self._queues)
        return [*checks, enough_quiet_blocks(self.result.judged_blocks, planned)]

    @contextmanager
    def _lab(self) -> Iterator[_Lab]:
        logs = self._folder.path / "logs" / self._slug
        with ExitStack() as cleanup:
            self._reporter.step("starting the services")
            arms = cleanup.enter_context(stage(self._experiment, self._root, logs))
            stack = cleanup.enter_context(Stack(logs))
            generator = cleanup.enter_context(
                Generator(start=partial(_start_generator, stack), log=logs / "generator.log")
            )
            cleanup.enter_context(_dead_named(arms))
            lab = _Lab(dict(arms), generator, stack.folder)
            lab.settle()
            self._patience.wait(lab.pids, "before the calibration")
            found, taken = self._calibrate(lab)
            lab.calibrated |= found
            lab.rates |= self._rates(lab.calibrated)
            lab.taken = taken
            self._note(lab, taken)
            lab.scraping = self._scraping(lab.calibrated)
            yield lab

    def _calibrate(self, lab: _Lab) -> tuple[Mapping[str, Calibration], float | None]:
        def calibrate(again: int) -> tuple[Mapping[str, Calibration], float | None]:
            if again:
                self._patience.wait(lab.pids, "calibration")
            self._reporter.step(
                "calibrating again: it was disturbed"
                if again
                else "calibrating: how long does a report take here?"
            )
            out = lab.scratch / "calibration" / str(again)
            with Watch(lab.pids) as machine:
                calibrated = self._calibrator(lab, out).calibrate()
            self._patience.note("calibration", machine.taken, machine.taken_by)
            return calibrated, machine.taken

        if not self._experiment.load.calibrated:
            return {}, None
        return until_quiet(calibrate, CALIBRATIONS)

    def _calibrator(self, lab: _Lab, out: Path) -> Calibrator:
        return Calibrator(lab.generator, lab.arms["naive"], self._experiment, out)

    def _calibrate_again(self, lab: _Lab, number: int) -> None:
        """Let rates and predictions of a block follow the machine, where something is predicted.

        One whose processors are shared changes its speed by a quarter within a minute, with nothing
        taken from it that could be seen.
        """
        if not self._experiment.predict:
            return

        def calibrate(again: int) -> tuple[Mapping[str, Calibration], float | None]:
            self._reporter.step(f"before block {number + 1}: how fast is the machine now?")
            lab.settle()
            out = lab.scratch / f"calibration-{number}-{again}"
            with Watch(lab.pids) as machine:
                found = self._calibrator(lab, out).calibrate_again(lab.calibrated)
            step = f"calibration before block {number + 1}"
            self._patience.note(step, machine.taken, machine.taken_by)
            return found, machine.taken

        calibrated, taken = until_quiet(calibrate, CALIBRATIONS_AGAIN)
        if any(found.drain_per_s for found in calibrated.values()):
            # It is scaled from the first one, and no better than that.
            taken = max(taken or 0.0, lab.taken or 0.0)
        lab.rates.update(self._rates(calibrated))
        self._note_calibration(calibrated, lab.rates, taken)

    def _rates(self, calibrated: Mapping[str, Calibration]) -> dict[str, float]:
        return {name: self._rate(name, found) for name, found in calibrated.items()}

    def _rate(self, stream: str, calibration: Calibration) -> float:
        queue = calibration.queue
        slots = 1 if queue is None else slots_serving([queue], self._experiment.arms["naive"].pools)
        drain_per_s = calibration.drain_per_s.get(slots, slots / calibration.run_s)
        return self._experiment.load.orders[stream].per_second(calibration.run_s, drain_per_s)

    def _note(self, lab: _Lab, taken: float | None) -> None:
        self._queues = {name: found.queue for name, found in lab.calibrated.items()}
        for name, found in lab.calibrated.items():
            noted = _noted(found) | {"per_second": lab.rates[name]}
            self.result.load["streams"][name] |= noted
        self._note_calibration(lab.calibrated, lab.rates, taken)
        self._reporter.predicted(self.result)

    def _note_calibration(
        self,
        calibrated: Mapping[str, Calibration],
        rates: Mapping[str, float],
        taken: float | None,
    ) -> None:
        self._known = {
            source: known if taken is None else known.with_number(TAKEN, taken)
            for source, known in predictions(self._experiment, calibrated, rates).items()
        }
        self.result.before_load = block_values(self._known)
        # On record before the load begins.
        self._calibrated = {
            name: _noted(found) | {"per_second": rates[name]} for name, found in calibrated.items()
        }
        self._folder.checkpoint()

    def _scraping(self, calibrated: Mapping[str, Calibration]) -> Schedule | None:
        if self._experiment.scrape is None:
            return None
        (name,) = self._experiment.orders_of("naive")
        schedule = self._experiment.scrape.schedule(calibrated[name].blocked_s)
        self.result.load["scrape"] = schedule._asdict()
        return schedule

    def _observer(self, lab: _Lab, arm: str) -> Observer | None:
        # Without reports there is no stall to be seen.
        if lab.scraping is None or not self._experiment.orders_of(arm):
            return None
        return observer_of(self._experiment, arm, lab.arms[arm].api, lab.scraping)

    def _plan(self, lab: _Lab, arm: str, seed: int, duration_s: float) -> Plan:
        url = lab.arms[arm].api.url or ""
        streams = self._experiment.streams_of(arm)
        return block_plan(self._experiment.load, streams, url, lab.rates, seed, duration_s)

    def _run_block(self, lab: _Lab, number: int, said: str, options: Options) -> None:
        if number:
            self._calibrate_again(lab, number)
        self.result.before_load_blocks.append(block_values(self._known))
        self.result.calibrations.append(self._calibrated)
        self._folder.checkpoint()
        # Every other block runs backwards, so that a machine that slows down or speeds up
        # meanwhile favours no arm.
        arms = self._experiment.arms
        due = [name for name, arm in arms.items() if number == 0 or not arm.once]
        order = due[:: 1 if number % 2 == 0 else -1]
        block: dict[str, Recorded] = dict(self._known)
        values: Values = {}
        for arm in order:
            self._reporter.step(f"{said}: {arm}")
            with self._there(lab, arm):
                seed = options.seed + number
                run = partial(self._run_arm, lab, arm, number, seed)
                block[arm] = self._patience.run(run, lab.pids, number, arm)
            values |= block_values({arm: block[arm]})
        self._measured.blocks.append(block)
        self.result.blocks.append(values)
        self._folder.checkpoint()

    @contextmanager
    def _there(self, lab: _Lab, arm: str) -> Iterator[None]:
        """Start what an arm needs that is there for one block only, and warm it up."""
        if arm in lab.arms:
            yield
            return
        logs = self._folder.path / "logs" / self._slug
        with ExitStack() as cleanup:
            setting = cleanup.enter_context(stage_one(self._experiment, arm, self._root, logs))
            lab.arms[arm] = setting
            cleanup.callback(lab.arms.pop, arm)
            cleanup.enter_context(_dead_named({arm: setting}))
            for stream in self._experiment.orders_of(arm):
                warm_up(setting.api, self._experiment.load.orders[stream].order)
            yield

    def _run_arm(self, lab: _Lab, arm: str, number: int, seed: int, attempt: int) -> Attempt:
        plan = self._plan(lab, arm, seed, self._experiment.load.duration_s)
        out = lab.scratch / f"{number}-{arm}-{attempt}"
        lab.settle()
        shown = {} if self._experiment.table is None else self._table_measures(lab, arm)
        # Looking at every file takes time, so only where somebody wants to know.
        wanted = self._experiment.looks_at_effects
        aftermath = Aftermath(lab.arms[arm], lab.whole) if wanted else None
        run = run_arm(
            lab.generator,
            lab.arms[arm],
            plan,
            out,
            on_progress=self._reporter.progress,
            others=partial(lab.others, arm),
            events=self._experiment.events,
            observer=self._observer(lab, arm),
            later=self._experiment.load.later,
        )
        recorded = measure(run)
        effects = {} if aftermath is None else effect_measures(aftermath.read(run.rows.log.reports))
        self._note_events(number, arm, attempt, run.rows.happened)
        self._note_digests(arm, run.rows.log.reports)
        where = {"experiment": self._slug, "block": number, "arm": arm, "attempt": attempt}
        self._folder.add(where, run.samples, run.rows.log, run.depths)
        numbers = {**recorded.numbers, **effects, **shown}
        return Attempt(Recorded(numbers, recorded.samples), run.taken, run.taken_by)

    def _table_measures(self, lab: _Lab, arm: str) -> dict[str, float]:
        """Measure what tables show that is no matter of the load."""
        way, inline = (self._experiment.arms[name].way for name in (arm, "naive"))
        orders = self._experiment.load.orders
        return {
            "code.changed_lines": lines_changed_by(way, inline, self._root),
            **{
                f"{name}.alone_cpu_s": alone_cpu_s(lab.arms[arm], orders[name].order)
                for name in self._experiment.orders_of(arm)
            },
        }

    def _note_events(
        self, block: int, arm: str, attempt: int, happened: Iterable[Happened]
    ) -> None:
        self.result.events += [
            EventResult(block=block, arm=arm, attempt=attempt, **each._asdict())
            for each in happened
        ]

    def _note_digests(self, arm: str, reports: Iterable[ReportRow]) -> None:
        found = self._digests.setdefault(arm, {})
        for row in reports:
            if row.sha256:
                found[row.name] = found.get(row.name, frozenset()) | {row.sha256}

    def _gather_evidence(self, lab: _Lab, seed: int) -> None:
        asked: dict[str, list[Evidence]] = {}
        for evidence in self._experiment.evidence:
            asked.setdefault(evidence.arm, []).append(evidence)
        out = self._folder.path / "evidence" / self._slug
        profiles: list[Profile] = []
        for arm, evidences in asked.items():
            self._reporter.step(f"profiling {arm} (an extra run, which is not measured)")
            out.mkdir(parents=True, exist_ok=True)
            plan = self._plan(lab, arm, seed, self._evidence_s(lab, arm))
            lab.settle()
            try:
                profiles += profile_arm(lab.generator, lab.arms[arm], plan, evidences, out)
            except NoEvidenceError as error:
                self.result.evidence_missing = str(error)
        self.result.evidence = guilty(profiles, self._root)

    def _evidence_s(self, lab: _Lab, arm: str) -> int:
        rates = (lab.rates.get(name) for name in self._experiment.orders_of(arm))
        # Whole seconds, as py-spy counts them: it is not to look at what comes after.
        return max([EVIDENCE_S, *(ceil(_EVIDENCE_ORDERS / rate) for rate in rates if rate)])


def _noted(calibration: Calibration) -> dict[str, object]:
    known = {key: value for key, value in calibration._asdict().items() if value}
    return known | {"run_s": calibration.run_s}


def _distinct(arms: Mapping[str, Setting]) -> Collection[Setting]:
    return {id(setting): setting for setting in arms.values()}.values()


def _pids(arms: Mapping[str, Setting]) -> dict[str, list[int]]:
    """Return the process ids of all stacks; what two arms share is named after the last one."""
    owners = {id(setting): arm for arm, setting in arms.items()}
    return {
        f"{owners[id(setting)]}'s {name}": pids
        for setting in _distinct(arms)
        for name, pids in setting.stack.pids().items()
    }


@contextmanager
def _dead_named(arms: Mapping[str, Setting]) -> Iterator[None]:
    """Whatever goes wrong, say which service has died if one has: it explains the rest."""
    try:
        yield
    except Exception:
        # The connections of a process are closed a moment before its end can be seen.
        deadline = time.monotonic() + _DEATH_SHOWS_S
        while time.monotonic() < deadline:
            for setting in _distinct(arms):
                setting.stack.check()
            time.sleep(_LOOK_S)
        raise


def _start_generator(lab: Stack, command: Sequence[str], _: IO[bytes]) -> Popen[bytes]:
    # The stack sends its standard error to `generator.log`, where the generator reads it.
    return lab.popen("generator", tuple(command), nice=NICE_GENERATOR, stdin=True, stdout=True)
