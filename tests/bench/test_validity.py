import pytest

from offloop.bench.events import Event
from offloop.bench.experiment import find_experiments
from offloop.bench.validity import CPU_FACTOR, MAX_STEAL, MAX_UTILISATION, validity
from tests.bench.support import (
    EXPERIMENTS,
    NO_QUEUES,
    SAME_BYTES,
    Block,
    block,
    failed_checks,
    loop_blocking,
)

ARMS = ("baseline", "naive", "fixed")


def test_sound_blocks_pass_every_check() -> None:
    assert not failed_checks([block(), block(), block()])


def test_every_check_says_what_it_wants_and_why() -> None:
    for judged in validity(loop_blocking(), [block()], SAME_BYTES, NO_QUEUES):
        assert judged.says
        assert judged.why


def test_no_two_checks_have_the_same_id() -> None:
    ids = [judged.id for judged in validity(loop_blocking(), [block()], SAME_BYTES, NO_QUEUES)]

    assert len(ids) == len(set(ids))


def test_without_any_block_nothing_is_valid() -> None:
    checks = validity(loop_blocking(), [], {}, {})

    assert not [judged for judged in checks if judged.ok is not None]


@pytest.mark.parametrize("arm", ARMS)
def test_a_generator_that_is_late_makes_an_arm_invalid(arm: str) -> None:
    late = block(**{arm: {"bystander.dispatch_lag_p99_ms": 10.1}})

    failed = failed_checks([late, late])

    assert list(failed) == [f"{arm}_bystander_dispatched"]
    assert failed[f"{arm}_bystander_dispatched"].observed == 10.1


@pytest.mark.parametrize("arm", ["naive", "fixed"])
def test_a_generator_that_is_late_with_reports_makes_an_arm_invalid(arm: str) -> None:
    late = block(**{arm: {"report.dispatch_lag_p99_ms": 50.0}})

    assert list(failed_checks([late, late])) == [f"{arm}_report_dispatched"]


@pytest.mark.parametrize("arm", ARMS)
def test_one_request_of_one_block_that_was_not_sent_makes_an_arm_invalid(arm: str) -> None:
    unsent = block(**{arm: {"bystander.sent": 1199}})

    assert list(failed_checks([block(), unsent, block()])) == [f"{arm}_bystander_sent"]


@pytest.mark.parametrize("arm", ARMS)
def test_too_few_requests_of_all_blocks_together_make_an_arm_invalid(arm: str) -> None:
    few = block(**{arm: {"bystander.offered": 999, "bystander.sent": 999}})

    assert list(failed_checks([few, few])) == [f"{arm}_bystander_requests"]
    assert not failed_checks([few, few, few])


def test_a_baseline_that_fails_one_request_in_one_block_is_not_healthy() -> None:
    failing = block(baseline={"bystander.failed": 1})

    failed = failed_checks([block(), failing, block()])

    assert list(failed) == ["baseline_bystander_healthy"]
    assert failed["baseline_bystander_healthy"].observed == 1


@pytest.mark.parametrize(
    "digests",
    [
        {"naive": {"abc"}, "fixed": {"xyz"}},
        {"naive": {"abc"}, "fixed": {"abc", "xyz"}},
    ],
)
def test_reports_that_differ_in_one_byte_make_the_comparison_invalid(
    digests: dict[str, set[str]],
) -> None:
    found = {arm: {"report": frozenset(each)} for arm, each in digests.items()}

    failed = failed_checks([block(), block()], found)

    assert list(failed) == ["report_same_bytes"]
    assert failed["report_same_bytes"].observed == 2


def test_an_arm_without_a_finished_report_has_not_shown_the_same_bytes() -> None:
    failed = failed_checks([block(), block()], {"naive": SAME_BYTES["naive"]})

    assert failed["report_same_bytes"].observed is None
    assert failed["report_same_bytes"].ok is None


@pytest.mark.parametrize("arm", ["naive", "fixed"])
def test_an_arm_that_left_one_report_of_one_block_unbuilt_is_invalid(arm: str) -> None:
    unbuilt = block(**{arm: {"report.finished": 2}})

    failed = failed_checks([block(), unbuilt, block()])

    assert list(failed) == [f"{arm}_report_finished"]
    assert failed[f"{arm}_report_finished"].observed == pytest.approx(2 / 3)


@pytest.mark.parametrize("factor", [CPU_FACTOR + 0.01, 1 / (CPU_FACTOR + 0.01)])
def test_a_report_that_costs_other_cpu_time_in_one_arm_is_not_the_same_work(factor: float) -> None:
    cheaper = block(fixed={"jobs.cpu_s": 0.6 * factor})

    failed = failed_checks([cheaper, cheaper])

    assert list(failed) == ["same_cpu"]
    assert failed["same_cpu"].observed == pytest.approx(CPU_FACTOR + 0.01)


def test_a_naive_arm_that_is_overloaded_in_one_block_is_invalid() -> None:
    slow_ms = 1000 * loop_blocking().load.duration_s / 3 * (MAX_UTILISATION + 0.01)
    overloaded = block(naive={"report.run_p50_ms": slow_ms})

    failed = failed_checks([block(), overloaded, block()])

    assert list(failed) == ["naive_not_overloaded"]
    assert failed["naive_not_overloaded"].observed == pytest.approx(MAX_UTILISATION + 0.01)


@pytest.mark.parametrize(
    ("arm", "measure", "check"),
    [
        ("fixed", "bystander.dispatch_lag_p99_ms", "fixed_bystander_dispatched"),
        ("fixed", "bystander.sent", "fixed_bystander_sent"),
        ("baseline", "bystander.failed", "baseline_bystander_healthy"),
        ("fixed", "report.finished", "fixed_report_finished"),
        ("naive", "jobs.cpu_s", "same_cpu"),
        ("fixed", "jobs.cpu_s", "same_cpu"),
        ("naive", "report.run_p50_ms", "naive_not_overloaded"),
    ],
)
def test_what_is_missing_from_one_block_is_missing_and_not_zero(
    arm: str, measure: str, check: str
) -> None:
    failed = failed_checks([block(), block(**{arm: {measure: None}}), block()])

    assert list(failed) == [check]
    assert failed[check].observed is None
    assert failed[check].ok is None


def test_how_many_requests_there_were_is_unknown_if_one_block_does_not_say() -> None:
    failed = failed_checks([block(), block(fixed={"bystander.offered": None}), block()])

    assert failed["fixed_bystander_requests"].ok is None
    assert failed["fixed_bystander_sent"].ok is None


def test_a_host_that_gave_the_machine_to_others_in_most_blocks_makes_the_run_invalid() -> None:
    stolen = block(fixed={"machine.steal_share": MAX_STEAL + 0.01})
    ours = block(fixed={"machine.steal_share": 0.0})

    assert list(failed_checks([stolen, stolen, ours])) == ["machine_ours"]
    assert not failed_checks([stolen, ours, ours])


def test_a_machine_that_does_not_tell_of_its_host_is_not_held_against_the_run() -> None:
    assert "machine_ours" not in [
        judged.id for judged in validity(loop_blocking(), [block()], SAME_BYTES, NO_QUEUES)
    ]


def test_where_overload_is_the_question_naive_may_be_overloaded_and_leave_work_undone() -> None:
    load = loop_blocking().load.model_copy(update={"overload": True})
    swamped = block(naive={"report.run_p50_ms": 1e6, "report.finished": 0})

    checks = validity(
        loop_blocking().model_copy(update={"load": load}),
        [swamped, swamped],
        SAME_BYTES,
        NO_QUEUES,
    )

    assert all(judged.ok for judged in checks)
    assert {judged.id for judged in checks} >= {"fixed_report_finished", "report_same_bytes"}


def test_a_p99_that_nobody_judges_may_rest_on_few_requests() -> None:
    median_only = [
        expectation.model_copy(update={"measure": expectation.measure.replace("p99", "p50")})
        for expectation in loop_blocking().expect
    ]

    checks = validity(
        loop_blocking().model_copy(update={"expect": tuple(median_only)}),
        [block(), block()],
        SAME_BYTES,
        NO_QUEUES,
    )

    assert not [judged for judged in checks if judged.id.endswith("_requests")]


def test_an_event_has_to_happen_in_every_block_of_every_arm_that_has_what_it_is_done_to() -> None:
    freeze = Event.model_validate(
        {"id": "freeze", "do": "pause", "what": "broker", "at_s": 1.0, "for_s": 0.5}
    )
    experiment = loop_blocking().model_copy(update={"events": (freeze,)})
    once: dict[str, float | None] = {"freeze.at_ms": 1000.0}
    both, one = block(baseline=once, fixed=once), block(baseline=once)

    def not_happened(blocks: list[Block]) -> list[str]:
        checks = validity(experiment, blocks, SAME_BYTES, NO_QUEUES)
        return [judged.id for judged in checks if judged.ok is not True]

    # naive has no broker.
    assert not_happened([both, both]) == []
    assert not_happened([both, one]) == ["fixed_freeze_happened"]


@pytest.mark.parametrize(("long_s", "overloaded"), [(2.0, False), (3.5, True)])
def test_slots_are_overloaded_by_the_work_of_all_the_queues_that_they_share(
    long_s: float, overloaded: bool
) -> None:
    experiment = find_experiments(EXPERIMENTS, ("slow_job_starvation",))["slow_job_starvation"]
    naive = {
        "short.offered": 8 * experiment.load.duration_s,
        "short.run_p50_ms": 50.0,
        "long.offered": 0.4 * experiment.load.duration_s,
        "long.run_p50_ms": 1000 * long_s,
    }

    checks = validity(experiment, [{"naive": naive}], {}, {"short": "short", "long": "long"})

    (found,) = [judged for judged in checks if judged.id == "naive_not_overloaded"]
    assert found.observed == pytest.approx((8 * 0.05 + 0.4 * long_s) / 2)
    assert found.ok is not overloaded


def test_how_busy_slots_are_is_not_known_while_it_is_not_known_which_ones() -> None:
    experiment = find_experiments(EXPERIMENTS, ("slow_job_starvation",))["slow_job_starvation"]

    checks = validity(experiment, [{"naive": {}}], {}, {})

    (found,) = [judged for judged in checks if judged.id == "naive_not_overloaded"]
    assert found.ok is None
