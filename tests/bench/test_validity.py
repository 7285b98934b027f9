import pytest

from offloop.bench.events import Event
from offloop.bench.experiment import Experiment
from offloop.bench.validity import (
    CPU_FACTOR,
    MAX_UTILISATION,
    Digests,
    validity,
)
from offloop.load.log import DISPATCH_LAG_LIMIT_MS
from offloop.measuring.judging import enough_quiet_blocks
from offloop.measuring.values import Block
from offloop.measuring.verdicts import Judged
from tests.bench.support import (
    NO_QUEUES,
    REPORTS,
    SAME_BYTES,
    Values,
    block,
    failed_checks,
    loop_blocking,
    measured,
    shipped,
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


@pytest.mark.parametrize("arm", ["naive", "fixed"])
def test_the_generator_may_not_be_late_by_more_than_its_limit(arm: str) -> None:
    on_time, late = (
        block(**{arm: {"bystander.dispatch_lag_p99_ms": DISPATCH_LAG_LIMIT_MS + late_ms}})
        for late_ms in (-6.0, 0.1)
    )

    assert not failed_checks([on_time, on_time])
    assert f"{arm}_bystander_dispatched" in failed_checks([late, late])


def test_a_ratio_that_the_generator_s_lag_alone_keeps_below_its_limit_is_not_judged() -> None:
    # 5 ms beside 4 ms: without 2.7 ms of lag it is 5 beside 1.3, and the limit is 4.
    little, much = (
        block(baseline={"bystander.dispatch_lag_p99_ms": lag_ms}) for lag_ms in (2.7, 2.8)
    )

    failed = failed_checks([much, much])

    assert not failed_checks([little, little])
    assert list(failed) == ["cure_response_without_lag"]
    assert failed["cure_response_without_lag"].observed == pytest.approx(5 / (4 - 2.8))


def test_a_ratio_that_the_generator_s_lag_alone_puts_above_its_limit_is_not_judged() -> None:
    slow = {"bystander.response_ms": (17.0,) * 1200, "bystander.service_ms": (9.0,) * 1200}
    late = block(fixed={**slow, "bystander.dispatch_lag_p99_ms": 8.0})

    assert "cure_response_without_lag" in failed_checks([late, late])


@pytest.mark.parametrize("arm", ["naive", "fixed"])
def test_the_generator_may_be_late_with_one_in_ten_of_a_few_reports_and_no_more(
    arm: str,
) -> None:
    one, some = (
        block(**{arm: {"report.dispatch_lag_ms": (1.0,) * (10 - late) + (50.0,) * late}})
        for late in (1, 2)
    )

    assert not failed_checks([one, one])
    assert list(failed_checks([some, some])) == [f"{arm}_report_dispatched"]


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
    unbuilt = block(**{arm: {"report.finished": REPORTS - 1}})

    failed = failed_checks([block(), unbuilt, block()])

    assert list(failed) == [f"{arm}_report_finished"]
    assert failed[f"{arm}_report_finished"].observed == pytest.approx((REPORTS - 1) / REPORTS)


@pytest.mark.parametrize("factor", [CPU_FACTOR + 0.01, 1 / (CPU_FACTOR + 0.01)])
def test_a_report_that_costs_other_cpu_time_in_one_arm_is_not_the_same_work(factor: float) -> None:
    cheaper = block(fixed={"jobs.cpu_us_per_line": 12.0 * factor})

    failed = failed_checks([cheaper, cheaper])

    assert list(failed) == ["same_cpu"]
    assert failed["same_cpu"].observed == pytest.approx(CPU_FACTOR + 0.01)


def test_a_naive_arm_that_is_overloaded_is_invalid() -> None:
    slow_ms = 1000 * loop_blocking().load.duration_s / REPORTS * (MAX_UTILISATION + 0.01)
    overloaded = block(naive={"report.run_p50_ms": slow_ms})

    # In a short block there is now and then one report more than belongs there.
    assert not failed_checks([block(), overloaded, block()])
    failed = failed_checks([overloaded, overloaded, overloaded])

    assert list(failed) == ["naive_not_overloaded"]
    assert failed["naive_not_overloaded"].observed == pytest.approx(MAX_UTILISATION + 0.01)


@pytest.mark.parametrize(
    ("arm", "measure", "check"),
    [
        ("fixed", "bystander.dispatch_lag_p99_ms", "fixed_bystander_dispatched"),
        ("fixed", "bystander.sent", "fixed_bystander_sent"),
        ("baseline", "bystander.failed", "baseline_bystander_healthy"),
        ("fixed", "report.finished", "fixed_report_finished"),
        ("naive", "jobs.cpu_us_per_line", "same_cpu"),
        ("fixed", "jobs.cpu_us_per_line", "same_cpu"),
        ("naive", "report.run_p50_ms", "naive_not_overloaded"),
    ],
)
def test_a_measure_that_one_block_lacks_is_missing_and_not_zero(
    arm: str, measure: str, check: str
) -> None:
    failed = failed_checks([block(), block(**{arm: {measure: None}}), block()])

    assert list(failed) == [check]
    assert failed[check].observed is None
    assert failed[check].ok is None


def test_the_number_of_requests_is_unknown_if_one_block_lacks_it() -> None:
    failed = failed_checks([block(), block(fixed={"bystander.offered": None}), block()])

    assert failed["fixed_bystander_requests"].ok is None
    assert failed["fixed_bystander_sent"].ok is None


@pytest.mark.parametrize(("judged_blocks", "ok"), [([0, 2, 3], True), ([0, 2], False), ([], False)])
def test_as_many_undisturbed_blocks_as_were_planned_make_a_run_valid(
    judged_blocks: list[int], ok: bool
) -> None:
    found = enough_quiet_blocks(judged_blocks, planned=3)

    assert (found.observed, found.ok) == (len(judged_blocks), ok)
    assert "less than 5% of the machine" in found.measure


def test_in_an_overload_experiment_naive_may_leave_work_undone() -> None:
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


def test_a_p99_that_is_not_judged_may_rest_on_few_requests() -> None:
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


def test_an_event_has_to_happen_in_every_block_of_every_arm_with_its_target() -> None:
    freeze = Event.model_validate(
        {"id": "freeze", "do": "pause", "what": "broker", "at_s": 1.0, "for_s": 0.5}
    )
    experiment = loop_blocking().model_copy(update={"events": (freeze,)})
    once = {"freeze.at_ms": 1000.0}
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
    experiment = shipped("slow_job_starvation")
    naive = {
        "short.offered": 8 * experiment.load.duration_s,
        "short.run_p50_ms": 50.0,
        "long.offered": 0.4 * experiment.load.duration_s,
        "long.run_p50_ms": 1000 * long_s,
    }

    checks = validity(
        experiment, [{"naive": measured(naive)}], {}, {"short": "short", "long": "long"}
    )

    (found,) = [judged for judged in checks if judged.id == "naive_not_overloaded"]
    assert found.observed == pytest.approx((8 * 0.05 + 0.4 * long_s) / 2)
    assert found.ok is not overloaded


def test_the_utilisation_of_slots_is_unknown_if_the_queues_are_unknown() -> None:
    experiment = shipped("slow_job_starvation")

    checks = validity(experiment, [{"naive": measured({})}], {}, {})

    (found,) = [judged for judged in checks if judged.id == "naive_not_overloaded"]
    assert found.ok is None


def expecting(measure: str) -> Experiment:
    """`loop_blocking`, with one more expectation that looks at a measure."""
    experiment = loop_blocking()
    first = experiment.expect[0]
    more = first.model_copy(update={"id": "more", "measure": measure})
    return experiment.model_copy(update={"expect": (*experiment.expect, more)})


def unsound(
    experiment: Experiment, blocks: list[Block], digests: Digests = SAME_BYTES
) -> list[str]:
    # One block has not requests enough.
    checks = validity(experiment, 2 * blocks, digests, NO_QUEUES)
    return [judged.id for judged in checks if judged.ok is not True]


@pytest.mark.parametrize(
    "measure",
    ["naive.jobs.lost", "naive.kill.lost", "naive.kill.undone", "naive.report.finished"],
)
def test_an_arm_that_is_judged_by_what_it_loses_need_not_finish_everything(measure: str) -> None:
    unbuilt = block(naive={"report.finished": 0}, fixed={"report.finished": 0})
    none_of_naive = {"fixed": SAME_BYTES["fixed"]}

    assert unsound(expecting(measure), [unbuilt], none_of_naive) == ["fixed_report_finished"]


def test_an_arm_that_may_lose_reports_still_has_to_build_the_same_bytes() -> None:
    other = {"naive": {"report": frozenset({"xyz"})}, "fixed": SAME_BYTES["fixed"]}

    assert unsound(expecting("naive.jobs.lost"), [block()], other) == ["report_same_bytes"]


def test_an_arm_that_is_judged_by_its_files_may_build_other_bytes() -> None:
    other = {"naive": {"report": frozenset({"xyz", "abc"})}, "fixed": SAME_BYTES["fixed"]}
    unbuilt = block(naive={"report.finished": 2})

    assert unsound(expecting("naive.files.partial"), [unbuilt], other) == []


def test_all_other_arms_still_have_to_build_the_same_bytes() -> None:
    differing = {"fixed": {"report": frozenset({"abc", "xyz"})}}

    assert unsound(expecting("naive.files.partial"), [block()], differing) == ["report_same_bytes"]


def test_without_a_finished_report_the_same_bytes_were_not_shown() -> None:
    both = expecting("naive.jobs.lost / fixed.jobs.lost")

    assert unsound(both, [block()], {}) == ["report_same_bytes"]


def test_orders_refused_while_an_event_has_the_api_down_do_not_count() -> None:
    table = {"id": "term", "do": "restart", "what": "api", "signal": "TERM", "at_s": 1.0}
    event = Event.model_validate(table)
    experiment = loop_blocking().model_copy(update={"events": (event,)})
    at = {"term.at_ms": 1000.0, "before:term.report.run_p50_ms": 600.0}
    refused = {**at, "report.finished": 2.0, "report.accepted": 2.0}
    broken = {**at, "report.finished": 2.0, "report.accepted": 3.0}

    assert unsound(experiment, [block(baseline=at, naive=refused, fixed=refused)]) == []
    assert unsound(experiment, [block(baseline=at, naive=refused, fixed=broken)]) == [
        "fixed_report_finished"
    ]


def test_where_all_files_are_judged_the_same_bytes_are_not_checked() -> None:
    both = expecting("naive.files.partial / fixed.files.partial")

    assert unsound(both, [block()], {}) == []


def test_repeated_orders_count_towards_the_utilisation_of_a_tier() -> None:
    once = shipped("duplicate_reports")
    stream = once.load.orders["report"]
    room = MAX_UTILISATION * 2 * stream.lasts_s(once.load.duration_s) * 1000
    naive = {"report.offered": 10, "report.again.offered": 10, "report.run_p50_ms": room / 20}

    def busy(values: Values) -> bool | None:
        checks = validity(once, [{"naive": measured(values)}], {}, {"report": "long"})
        return next(judged.ok for judged in checks if judged.id == "naive_not_overloaded")

    assert busy(naive) is True
    assert busy({**naive, "report.again.offered": 11}) is False
    assert busy({**naive, "report.offered": 5, "report.again.offered": 5}) is True
    assert busy({"report.offered": 10, "report.run_p50_ms": room / 20}) is None


def outlasting(cpu_ms: float | None) -> list[Judged]:
    """The check whether the longest report takes longer than a timeout of 2 s, if there is one."""
    experiment = shipped("worker_starvation")
    found = {
        "naive": measured({"api.timeout_ms": 2000.0}),
        "fixed": measured({"report.cpu_ms": 700.0, "giant.cpu_ms": cpu_ms}),
    }
    checks = validity(experiment, [found], {}, {})
    return [judged for judged in checks if judged.id == "naive_outlasts_timeout"]


@pytest.mark.parametrize(("cpu_ms", "ok"), [(3100.0, True), (2900.0, False), (None, False)])
def test_the_longest_report_has_to_outlast_the_timeout_of_the_server(
    cpu_ms: float | None, ok: bool
) -> None:
    (found,) = outlasting(cpu_ms)

    assert found.ok is ok
    assert found.observed == pytest.approx((cpu_ms or 700.0) / 2000)
    assert "SCALE=0.2" in found.why


def test_without_a_server_timeout_reports_may_be_short() -> None:
    checks = validity(loop_blocking(), [block()], SAME_BYTES, NO_QUEUES)

    assert not [judged for judged in checks if judged.id == "naive_outlasts_timeout"]


def test_the_utilisation_of_an_api_is_shared_by_its_processes() -> None:
    experiment = shipped("worker_starvation")
    orders_s = experiment.load.orders["report"].lasts_s(experiment.load.duration_s)
    naive = {
        "report.offered": 6.0,
        "report.run_p50_ms": 800.0,
        # Ordered once, which is no rate.
        "giant.offered": 1.0,
        "giant.run_p50_ms": 30_000.0,
    }

    checks = validity(experiment, [{"naive": measured(naive)}], {}, {"report": None})

    (found,) = [judged for judged in checks if judged.id == "naive_not_overloaded"]
    assert orders_s < experiment.load.duration_s
    assert found.observed == pytest.approx(6 * 0.8 / orders_s / 2)


@pytest.mark.parametrize(
    ("measure", "has_to"),
    [
        ("other.bystander.p50_ms", set()),
        ("other.before:kill.bystander.p50_ms", {"other"}),
        ("other.kill.undone", {"other"}),
        ("naive.kill.lost", {"naive", "fixed"}),
        ("naive.files.partial", {"naive", "fixed"}),
        ("fixed.ledger.per_report_max", {"naive", "fixed"}),
    ],
)
def test_an_event_at_a_step_has_to_happen_only_where_a_measure_needs_it(
    measure: str, has_to: set[str]
) -> None:
    table = {"id": "kill", "do": "restart", "what": "api", "signal": "KILL", "at": "write"}
    events = {"events": (Event.model_validate(table),)}
    arms = loop_blocking().arms | {"other": loop_blocking().arms["naive"]}
    experiment = expecting(measure).model_copy(update={**events, "arms": arms})

    missing = unsound(experiment, [{**block(), "other": block()["naive"]}])

    happened = {f"{arm}_kill_happened" for arm in has_to}
    assert {id_ for id_ in missing if id_.endswith("_happened")} == happened


def test_the_utilisation_of_naive_is_measured_before_its_api_was_ended() -> None:
    table = {"id": "term", "do": "restart", "what": "api", "signal": "TERM", "at_s": 1.0}
    experiment = loop_blocking().model_copy(update={"events": (Event.model_validate(table),)})

    def overloaded(run_ms: float) -> bool:
        measures = {"report.run_p50_ms": 9e9, "before:term.report.run_p50_ms": run_ms}
        return "naive_not_overloaded" in unsound(experiment, [block(naive=measures)])

    assert not overloaded(600.0)
    assert overloaded(6000.0)
