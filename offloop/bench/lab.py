"""What is up and running while an experiment is: the services of all arms, and the generator."""

import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from subprocess import Popen
from typing import IO

from offloop.bench.calibration import Calibration
from offloop.bench.experiment import Experiment
from offloop.bench.stage import Setting
from offloop.load.generator import Generator
from offloop.measuring.instruments.scrapes import Schedule
from offloop.stack.idle import wait_until_quiet
from offloop.stack.priorities import NICE_GENERATOR
from offloop.stack.supervisor import Stack

#: Seconds after an error within which a service that has died is seen to have died.
_DEATH_SHOWS_S = 0.5

_LOOK_S = 0.05


@dataclass
class Lab:
    """The services, the generator, and what is known of the machine.

    Attributes:
        experiment: What is run.
        root: The checkout.
        arms: The services behind each arm that is there now.
        generator: Sends the load.
        scratch: A temporary folder.
        calibrated: What a report of each stream of orders costs, as it was found at first.
        rates: Orders per second of each stream of them, in the current block.
        taken: Share of the machine that other programs had while it was calibrated at first.
        scraping: When metrics are scraped; None where they are not.
    """

    experiment: Experiment
    root: Path
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
        return _pids(self.arms) | self._own()

    def pids_beside(self, arm: str) -> dict[str, list[int]]:
        """Return the same, by service of one arm. The stacks of the other arms are one."""
        stacks = [each.stack for each in _distinct(self.arms) if each is not self.arms[arm]]
        idle = [pid for stack in stacks for pids in stack.pids().values() for pid in pids]
        return self.arms[arm].stack.pids() | self._own() | {"other-stacks": idle}

    def _own(self) -> dict[str, list[int]]:
        return {"generator": [self.generator.pid], "lab": [os.getpid()]}


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
def dead_named(arms: Mapping[str, Setting]) -> Iterator[None]:
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


def start_generator(lab: Stack, command: Sequence[str], _: IO[bytes]) -> Popen[bytes]:
    """Start the generator; the stack sends its standard error to `generator.log`."""
    return lab.popen("generator", tuple(command), nice=NICE_GENERATOR, stdin=True, stdout=True)
