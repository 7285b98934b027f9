"""Running blocks: their order, what is repeated, and when it ends. Only the arms are fakes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import pytest

from offloop.measuring import blocks as blocks_module
from offloop.measuring.blocks import ATTEMPTS, Attempt, Blocks, Limits, MachineBusyError
from offloop.measuring.instruments.resources import TAKEN
from offloop.measuring.noise import Busy
from offloop.measuring.results import ExperimentResult
from offloop.measuring.values import Block, Recorded
from offloop.measuring.verdicts import Expectation, Verdict

BUSY = Busy(0.4, ("cc1plus (pid 7) 40%",))

#: What other programs take of a run: by arm, block and attempt.
Taken = Callable[[str, int, int], float]


class FakeArms:
    """Arms that take no time. Each has one number, and what other programs take of it."""

    def __init__(self, taken: Taken, speedup: Callable[[int], float]) -> None:
        self.ran: list[tuple[int, str]] = []
        self.there_for: list[str] = []
        self.kept = 0
        self._taken = taken
        self._speedup = speedup

    def pids(self) -> Mapping[str, Sequence[int]]:
        return {}

    def before_block(self, number: int) -> Block:
        return {"predicted": Recorded({"gzip.cores": number})}

    @contextmanager
    def there(self, arm: str) -> Iterator[None]:
        self.there_for.append(arm)
        yield

    def run_arm(self, arm: str, block: int, attempt: int) -> Attempt:
        self.ran.append((block, arm))
        taken = self._taken(arm, block, attempt)
        return Attempt(Recorded({TAKEN: taken, "gzip.speedup": self._speedup(block)}), ("make",))

    def after_block(self) -> None:
        self.kept += 1


def limits(planned: int = 3, at_most: int = 6, reruns: int = 9, *, stop: bool = False) -> Limits:
    return Limits(planned, at_most, reruns, waits_s=9.0, stop_if_busy=stop)


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> list[Busy | None]:
    """What each wait for a quiet machine ends with; quiet when there is no more."""
    ends: list[Busy | None] = []

    def wait(*_: object) -> Busy | None:
        return ends.pop(0) if ends else None

    monkeypatch.setattr(blocks_module, "wait_for_quiet", wait)
    return ends


def run(
    limits: Limits,
    taken: Taken = lambda *_: 0.0,
    speedup: Callable[[int], float] = lambda _: 2.0,
    *,
    limit: float = 1.0,
) -> tuple[FakeArms, Blocks, ExperimentResult]:
    expectation = Expectation(
        id="faster", measure="naive.gzip.speedup", op=">=", limit=limit, says="", why=""
    )
    result = ExperimentResult(verdict=Verdict.NO_VERDICT, title="", load={})
    once = {"naive": False, "shown": True, "fixed": False}
    blocks = Blocks(once, [expectation], limits, result, lambda _: None)
    arms = FakeArms(taken, speedup)
    blocks.run(arms)
    return arms, blocks, result


@pytest.mark.usefixtures("busy")
def test_every_second_block_runs_the_arms_in_reverse_and_some_arms_run_once() -> None:
    arms, blocks, result = run(limits())

    assert arms.ran == [
        *((0, "naive"), (0, "shown"), (0, "fixed")),
        *((1, "fixed"), (1, "naive")),
        *((2, "naive"), (2, "fixed")),
    ]
    assert arms.there_for == [arm for _, arm in arms.ran]
    assert arms.kept == len(result.blocks) == 3
    assert [block["predicted"].numbers["gzip.cores"] for block in blocks.measured.blocks] == [
        0, 1, 2,
    ]  # fmt: skip


@pytest.mark.usefixtures("busy")
def test_a_disturbed_run_is_discarded_and_repeated() -> None:
    arms, blocks, result = run(
        limits(), lambda arm, block, attempt: 0.3 if (arm, block, attempt) == ("fixed", 1, 0) else 0
    )

    assert arms.ran.count((1, "fixed")) == 2
    assert [(each.block, each.arm, each.taken_share) for each in result.discarded] == [
        (1, "fixed", 0.3)
    ]
    assert [block.keys() for block in blocks.measured.discarded] == [{"fixed"}]
    assert blocks.measured.judged()[0] == [0, 1, 2]
    assert [each.step for each in result.noise] == ["block 2: fixed"]


@pytest.mark.usefixtures("busy")
def test_an_arm_that_stays_disturbed_is_repeated_then_another_block_runs() -> None:
    arms, blocks, _ = run(
        limits(), lambda arm, block, _: 0.3 if (arm, block) == ("naive", 0) else 0
    )

    assert arms.ran.count((0, "naive")) == ATTEMPTS
    assert blocks.measured.judged()[0] == [1, 2, 3]


@pytest.mark.usefixtures("busy")
def test_runs_are_repeated_up_to_the_limit() -> None:
    arms, _, result = run(limits(at_most=3, reruns=1), lambda *_: 0.3)

    assert len(result.discarded) == 1
    assert len(arms.ran) == 7 + 1


def test_no_run_is_repeated_while_the_machine_stays_busy(busy: list[Busy | None]) -> None:
    busy += [BUSY] * 99

    arms, _, result = run(limits(at_most=3), lambda *_: 0.3)

    assert len(arms.ran) == 7
    assert result.discarded == []


def test_a_busy_machine_ends_the_run_if_asked_to(busy: list[Busy | None]) -> None:
    busy += [BUSY]

    with pytest.raises(MachineBusyError, match="cc1plus"):
        run(limits(stop=True), lambda *_: 0.3)


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize(
    ("speedups", "blocks"),
    [
        # Decided after the planned blocks.
        ([2, 2, 2, 2, 2, 2], 3),
        ([0, 0, 0, 2, 2, 2], 3),
        # On both sides of the limit of 1: more blocks, up to the limit.
        ([0, 2, 2, 2, 0, 0], 6),
    ],
)
def test_more_blocks_are_run_while_an_expectation_is_undecided(
    speedups: list[float], blocks: int
) -> None:
    arms, _, _ = run(limits(), speedup=lambda block: speedups[block])

    assert arms.kept == blocks
