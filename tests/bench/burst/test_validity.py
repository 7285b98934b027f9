from offloop.bench.burst.experiment import BurstExperiment
from offloop.bench.burst.protocol import Kind
from offloop.bench.burst.validity import Digests, validity
from offloop.bench.experiment import load_experiment
from offloop.measuring.values import Block
from offloop.measuring.verdicts import Judged, Verdict, experiment_verdict
from tests.bench.support import EXPERIMENTS, measured

WORK: tuple[Kind, ...] = ("aggregate", "gzip", "parquet", "inference")


def shipped() -> BurstExperiment:
    experiment = load_experiment(EXPERIMENTS / "threads_share_the_gil.toml")
    assert isinstance(experiment, BurstExperiment)
    return experiment


def block(**naive: float | None) -> Block:
    """One sound block; what is changed, by the last word of the measure, is so in naive."""
    sound: dict[str, float | None] = {"interpreter.gil": 1.0, "machine.cpus": 2.0}
    changed = {name: naive.get(name.rpartition(".")[2], value) for name, value in sound.items()}
    return {"naive": measured(changed), "fixed": measured(sound)}


def digests(odd: Kind | None = None) -> Digests:
    """The same of all arms, except for a kind of work of which the fixed arm has another."""
    same = {kind: frozenset({"abc"}) for kind in WORK}
    return {
        "naive": same,
        "more_threads": same,
        "fixed": {kind: frozenset({"def"}) if kind == odd else same[kind] for kind in WORK},
    }


def doubts(blocks: list[Block], found: Digests) -> dict[str, Judged]:
    checks = validity(shipped(), blocks, found)
    return {judged.id: judged for judged in checks if judged.ok is not True}


def test_sound_blocks_pass_every_check() -> None:
    assert not doubts([block(), block()], digests())


def test_an_arm_that_runs_once_may_be_absent_from_other_blocks() -> None:
    once = {**block(), "more_threads": block()["naive"]}

    assert not doubts([once, block()], digests())


def test_with_one_processor_there_is_no_verdict() -> None:
    found = doubts([block(), block(cpus=1)], digests())

    assert found.keys() == {"two_processors"}
    assert found["two_processors"].observed == 1


def test_empty_blocks_that_are_not_judged_are_not_missing() -> None:
    once: Block = {"more_threads": block()["naive"]}

    assert not doubts([once, {}, block()], digests())
    assert doubts([{}, {}], digests())["has_a_gil"].observed is None


def test_without_a_gil_there_is_no_verdict_whatever_was_measured() -> None:
    found = doubts([block(gil=0)], digests())

    assert found.keys() == {"has_a_gil"}
    assert "free-threaded" in found["has_a_gil"].why
    assert experiment_verdict(list(found.values()), list(found.values())) is Verdict.NO_VERDICT


def test_a_value_that_one_arm_lacks_is_unknown() -> None:
    assert doubts([block(), block(gil=None)], digests())["has_a_gil"].observed is None


def test_an_arm_with_another_result_is_not_comparable() -> None:
    found = doubts([block()], digests(odd="gzip"))

    assert found.keys() == {"gzip_same_result"}
    assert found["gzip_same_result"].observed == 2


def test_an_arm_without_results_has_not_shown_the_same_result() -> None:
    found = doubts([block()], {"naive": digests()["naive"]})

    assert found.keys() == {f"{kind}_same_result" for kind in WORK}
    assert all(judged.observed is None for judged in found.values())
