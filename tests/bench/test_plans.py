import pytest

from offloop.bench.plans import block_plan, report_rate
from offloop.load.plan import Plan
from tests.bench.support import loop_blocking

URL = "http://127.0.0.1:1"


def plan(arm: str, *, seed: int = 1, report_s: float = 0.1) -> Plan:
    return block_plan(loop_blocking(), arm, URL, report_s, seed, duration_s=60)


def due_s(laid_out: Plan) -> dict[str, list[float]]:
    return {stream.name: stream.due_s for stream in laid_out.streams}


@pytest.mark.parametrize("report_s", [0.05, 0.6, 5.0])
def test_reports_keep_a_server_busy_for_the_share_of_time_that_was_asked_for(
    report_s: float,
) -> None:
    experiment = loop_blocking()

    busy = report_rate(experiment, report_s) * report_s

    assert busy == pytest.approx(experiment.load.report_utilisation)


def test_the_plan_orders_as_many_reports_as_the_rate_says() -> None:
    ordered = due_s(plan("naive", report_s=0.1))["report"]

    assert len(ordered) == pytest.approx(60 * 0.5 / 0.1, abs=1)


def test_all_arms_of_a_block_get_the_same_requests_at_the_same_moments() -> None:
    naive, fixed = due_s(plan("naive")), due_s(plan("fixed"))

    assert naive == fixed
    assert due_s(plan("baseline")) == {"bystander": naive["bystander"]}


def test_another_block_gets_other_moments() -> None:
    one, other = due_s(plan("naive", seed=1)), due_s(plan("naive", seed=2))

    assert one["bystander"] != other["bystander"]
    assert one["report"] != other["report"]


def test_reports_are_followed_until_they_are_there_and_bystanders_are_not() -> None:
    streams = {stream.name: stream for stream in plan("fixed").streams}

    assert streams["report"].follow
    assert not streams["bystander"].follow
    assert streams["report"].body == loop_blocking().load.report.model_dump(mode="json")
