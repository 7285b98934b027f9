import pytest

from offloop.bench.experiment import Load
from offloop.bench.plans import block_plan
from offloop.bench.streams import OrderStream
from offloop.load.arrivals import constant, poisson
from offloop.load.plan import Plan, Stream
from tests.bench.support import loop_blocking

URL = "http://127.0.0.1:1"

ORDER = {"shipped_from": "1995-01-01", "shipped_to": "1995-06-30", "format": "csv"}


def plan(arm: str, *, seed: int = 1, run_s: float = 0.1) -> Plan:
    experiment = loop_blocking()
    rates = {"report": experiment.load.orders["report"].per_second(run_s, drain_per_s=1 / run_s)}
    return block_plan(experiment.load, experiment.streams_of(arm), URL, rates, seed, duration_s=60)


def due_s(laid_out: Plan) -> dict[str, list[float]]:
    return {stream.name: stream.due_s for stream in laid_out.streams}


def orders(**changes: object) -> OrderStream:
    return OrderStream.model_validate({"order": ORDER, **changes})


@pytest.mark.parametrize("run_s", [0.05, 0.6, 5.0])
def test_reports_keep_a_server_busy_for_the_share_of_time_that_was_asked_for(run_s: float) -> None:
    assert orders(utilisation=0.5).per_second(run_s, drain_per_s=9) * run_s == pytest.approx(0.5)


def test_a_fixed_rate_does_not_depend_on_how_long_a_report_takes() -> None:
    for run_s in (0.1, 9):
        assert orders(rate=3).per_second(run_s, drain_per_s=1 / run_s) == 3


def test_a_rate_in_drain_rates_is_a_multiple_of_what_all_slots_build() -> None:
    assert orders(drain=2).per_second(run_s=0.5, drain_per_s=5) == pytest.approx(2 * 5)


def test_refused_orders_are_retried_only_if_the_stream_says_so() -> None:
    for comes_back in (True, False):
        stream = orders(rate=2, retry_refused=comes_back).model_dump(exclude_none=True)
        load = Load.model_validate({"duration_s": 9, "drain_s": 1, "streams": {"long": stream}})

        (laid_out,) = block_plan(load, ("long",), URL, {"long": 2.0}, 7, duration_s=9).streams

        assert laid_out.retry_refused is comes_back


def test_the_plan_orders_as_many_reports_as_the_rate_says() -> None:
    ordered = due_s(plan("naive", run_s=0.1))["report"]

    assert len(ordered) == pytest.approx(60 * 0.5 / 0.1, abs=1)


def test_the_schedule_of_a_seed_stays_the_same_from_version_to_version() -> None:
    found = due_s(plan("naive", seed=7, run_s=0.6))

    assert found == {
        "bystander": poisson(300, 60, "7/bystander"),
        "report": constant(0.5 / 0.6, 60, "7/report"),
    }
    assert found["bystander"][:3] == [0.003557, 0.007403, 0.011078]
    assert found["report"][:3] == [0.267005, 1.467005, 2.667005]


def test_plain_requests_may_end_before_the_load_does() -> None:
    experiment = loop_blocking()
    early = experiment.load.requests["bystander"].model_copy(update={"until_s": 20.0})
    load = experiment.load.model_copy(update={"streams": {"bystander": early}})

    (stream,) = block_plan(load, ("bystander",), URL, {}, seed=1, duration_s=60).streams

    assert 19 < stream.due_s[-1] < 20


def test_orders_may_come_independently_of_each_other() -> None:
    load = Load.model_validate(
        {
            "duration_s": 60,
            "drain_s": 1,
            "streams": {"long": {"order": ORDER, "rate": 2, "arrivals": "poisson"}},
        }
    )

    found = due_s(block_plan(load, ("long",), URL, {"long": 2.0}, seed=7, duration_s=60))

    assert found == {"long": poisson(2.0, 60, "7/long")}


def test_orders_may_come_several_at_a_time_at_the_same_rate() -> None:
    found = orders(rate=2, burst=2).due_times(2.0, duration_s=60, seed="x")

    assert found == sorted(constant(1.0, 60, "x") * 2)
    assert len(found) == 120


def test_all_arms_of_a_block_get_the_same_requests_at_the_same_moments() -> None:
    naive, fixed = due_s(plan("naive")), due_s(plan("fixed"))

    assert naive == fixed
    assert due_s(plan("baseline")) == {"bystander": naive["bystander"]}


def test_each_block_has_a_schedule_of_its_own() -> None:
    one, other = due_s(plan("naive", seed=1)), due_s(plan("naive", seed=2))

    assert one["bystander"] != other["bystander"]
    assert one["report"] != other["report"]


def test_orders_are_followed_until_done_and_plain_requests_are_not() -> None:
    streams = {stream.name: stream for stream in plan("fixed").streams}

    assert streams["report"].follow
    assert streams["report"].method == "POST"
    assert streams["report"].body == ORDER
    assert not streams["bystander"].follow
    assert (streams["bystander"].method, streams["bystander"].path) == ("GET", "/ping")


IMPATIENT = {"order": ORDER, "rate": 2, "repeat_after_s": 0.3}


def impatient(duration_s: float = 60) -> dict[str, Stream]:
    load = Load.model_validate(
        {"duration_s": duration_s, "drain_s": 1, "streams": {"report": IMPATIENT}}
    )
    laid_out = block_plan(load, ("report",), URL, {"report": 2.0}, seed=7, duration_s=duration_s)
    return {stream.name: stream for stream in laid_out.streams}


def test_an_impatient_client_sends_the_same_order_with_the_same_key() -> None:
    streams = impatient()
    first, again = streams["report"], streams["report.again"]

    assert (
        again.model_copy(update={"name": "report", "due_s": first.due_s, "follow": True}) == first
    )
    assert first.keys == "report"
    for due_s, again_s in zip(first.due_s, again.due_s, strict=False):
        assert again_s == pytest.approx(due_s + 0.3)


def test_a_report_that_is_ordered_again_is_followed_once() -> None:
    assert {name: stream.follow for name, stream in impatient().items()} == {
        "report": True,
        "report.again": False,
    }


def test_nothing_is_sent_again_after_the_load_is_over() -> None:
    streams = impatient(duration_s=0.8)

    due = [due_s + 0.3 for due_s in streams["report"].due_s]
    assert streams["report.again"].due_s == [due_s for due_s in due if due_s < 0.8]
    assert len(streams["report.again"].due_s) < len(due)


def test_orders_that_are_sent_once_have_no_keys() -> None:
    streams = {stream.name: stream for stream in plan("fixed").streams}

    assert streams.keys() == {"bystander", "report"}
    assert streams["report"].keys is None
