from pathlib import Path

import pytest
from pydantic import ValidationError

from offloop.bench.experiment import load_experiment
from offloop.bench.question import ExperimentError
from offloop.bench.scraping import Scraping
from offloop.load.records import RequestRow
from offloop.measuring.instruments.scrapes import Exposed, Look, Scraped, scrape_measures
from offloop.measuring.instruments.silences import Silence, silences
from tests.bench.support import DEADLINE_S, EXPERIMENTS, report, request, request_log

SLOW = ("app/slow.py", "work")
OTHER = ("app/other.py", "more")

NOTHING_YET = Exposed(0.001, {})


def stalled(begin_s: float, end_s: float, *, every_s: float = 0.01) -> list[RequestRow]:
    """Requests until `end_s`: answered at once, but at the end of the stall if sent during it."""
    rows = []
    for number in range(round(2 * end_s / every_s)):
        sent_s = number * every_s
        done_s = end_s if begin_s <= sent_s < end_s else sent_s + 0.001
        rows.append(request(due_s=sent_s, lag_s=0.0, took_s=done_s - sent_s))
    return rows


QUIET = request_log(request(due_s=number / 10) for number in range(10))


def look(due_s: float, lag_s: float | None = 0.001, *, took_s: float | None = 0.002) -> Look:
    done_s = None if took_s is None else due_s + took_s
    return Look(due_s, due_s, done_s, None if done_s is None else Exposed(lag_s, {}))


def scraped(*looks: Look, after: Exposed = NOTHING_YET) -> Scraped:
    return Scraped(looks, 0.2, frozenset({SLOW}), NOTHING_YET, after)


def test_a_stall_is_a_time_with_requests_in_flight_and_no_answer() -> None:
    (silence,) = silences(request_log(stalled(1.0, 1.6)))

    assert silence.begin_s == pytest.approx(1.0)
    assert silence.end_s == pytest.approx(1.6)


def test_a_pause_without_a_request_in_flight_is_no_stall() -> None:
    rows = [request(due_s=due_s) for due_s in (1.0, 2.0, 5.0)]

    assert silences(request_log(rows)) == []


def test_one_slow_answer_among_quick_ones_is_no_stall() -> None:
    slow = request(due_s=0.1, lag_s=0.0, took_s=0.6)
    quick = [request(due_s=number / 100, lag_s=0.0, took_s=0.001) for number in range(100)]

    assert silences(request_log([*quick, slow])) == []


def test_the_stall_of_an_unanswered_request_ends_at_the_deadline() -> None:
    rows = [request(due_s=1.0, lag_s=0.0), request(due_s=2.0, lag_s=0.0, took_s=None)]

    assert silences(request_log(rows)) == [Silence(2.0, DEADLINE_S)]


def test_an_order_that_takes_long_is_no_stall() -> None:
    rows = [request("report", due_s=0.5, took_s=2.0)]

    assert silences(request_log(rows, [report()])) == []


def test_scrapes_missed_outside_of_stalls_are_counted_separately() -> None:
    log = request_log(stalled(1.0, 1.6))
    looks = [look(0.5, took_s=None), look(0.9, took_s=None), look(1.2, took_s=None), look(1.7)]

    found = scrape_measures(scraped(*looks), log)

    assert found["scrape.offered"] == 4
    assert found["scrape.missed"] == 3
    assert found["scrape.missed_outside_stalls"] == 1  # the one at 0.5; that at 0.9 waits until 1.1
    assert found["stalls.seen"] == 1
    assert found["stalls.largest_ms"] == pytest.approx(600)


def test_stalls_and_scrapes_after_the_last_scrape_or_request_do_not_count() -> None:
    log = request_log([row for row in stalled(1.0, 1.6) if row.due_s < 1.5])
    looks = [look(0.5), look(0.9), look(1.3, 0.3), look(1.7, 0.6), look(2.0, took_s=None)]

    found = scrape_measures(scraped(*looks), log)

    assert found["scrape.offered"] == 3
    assert found["scrape.missed"] == 0
    assert found["stalls.largest_ms"] == pytest.approx(300)
    assert found["scrape.lag_seen_max_ms"] == pytest.approx(300)


def test_the_largest_lag_of_all_that_arrived_is_what_was_seen() -> None:
    found = scrape_measures(scraped(look(0.1), look(0.2, 0.5), look(0.3)), QUIET)

    assert found["scrape.lag_seen_max_ms"] == pytest.approx(500)
    assert found["scrape.showed_stall"] == 1
    assert found["scrape.waited_max_ms"] == pytest.approx(2)
    assert found["scrape.missed"] == 0


def test_values_that_no_scrape_showed_are_absent() -> None:
    looks = [look(0.1, took_s=None), look(0.2, None)]

    found = scrape_measures(scraped(*looks), QUIET)

    assert found["stalls.seen"] == 0
    assert found["stalls.largest_ms"] is None
    assert found["scrape.lag_seen_max_ms"] is None
    assert found["scrape.showed_stall"] is None
    assert found["stalls.named_share"] is None


def test_the_share_that_was_named_is_of_what_was_stalled_under_load() -> None:
    before, after = Exposed(0.0, {SLOW: 2.0, OTHER: 5.0}), Exposed(0.0, {SLOW: 5.0, OTHER: 6.0})
    seen = Scraped([], 0.2, frozenset({SLOW}), before, after)

    assert scrape_measures(seen, request_log([]))["stalls.named_share"] == pytest.approx(0.75)


def test_a_service_that_does_not_expose_names_has_no_share() -> None:
    silent = Scraped([], 0.2, frozenset({SLOW}), Exposed(0.0, None), Exposed(0.0, None))

    assert scrape_measures(silent, request_log([]))["stalls.named_share"] is None


OURS = """# TYPE offloop_loop_lag_max_seconds gauge
offloop_loop_lag_max_seconds 0.6
# TYPE offloop_loop_stall_seconds summary
offloop_loop_stall_seconds_count{cause="code",file="app/slow.py",function="work",endpoint="a"} 1.0
offloop_loop_stall_seconds_sum{cause="code",file="app/slow.py",function="work",endpoint="a"} 0.5
offloop_loop_stall_seconds_sum{cause="code",file="app/slow.py",function="work",endpoint="b"} 0.25
offloop_loop_stall_seconds_sum{cause="unknown",file="",function="",endpoint=""} 0.125
"""


def test_both_kinds_of_exposed_metrics_are_read() -> None:
    assert Exposed.parse(OURS) == Exposed(0.6, {SLOW: 0.75, ("", ""): 0.125})
    assert Exposed.parse("# TYPE event_loop_lag_seconds gauge\nevent_loop_lag_seconds 0.01\n") == (
        Exposed(0.01, None)
    )
    assert Exposed.parse("") == Exposed(None, None)


def test_no_stall_so_far_differs_from_no_stall_metric() -> None:
    assert Exposed.parse("# TYPE offloop_loop_stall_seconds summary\n").stalled == {}


#: An order as a file writes it.
ORDER = '{ shipped_from = 1995-01-01, shipped_to = 1995-01-02, format = "csv" }'

SCRAPING = {"interval_stalls": 2.0, "timeout_stalls": 0.5, "guilty": {"app/slow.py": ["work"]}}


def test_scrape_interval_and_timeout_are_multiples_of_the_stall() -> None:
    scraping = Scraping.model_validate(SCRAPING)

    assert scraping.schedule(0.5) == (1.0, 0.25)
    assert scraping.guilty_code == {SLOW}


@pytest.mark.parametrize("stall_s", [None, 0.0])
def test_without_a_stall_no_scrape_schedule_is_made(stall_s: float | None) -> None:
    with pytest.raises(ExperimentError, match="Order larger reports"):
        Scraping.model_validate(SCRAPING).schedule(stall_s)


def test_a_scrape_timeout_has_to_be_shorter_than_the_interval() -> None:
    with pytest.raises(ValidationError, match="given up before the next one is due"):
        Scraping.model_validate(SCRAPING | {"timeout_stalls": 2.0})


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "interval_stalls",
            "interval_s",
            ["scrape: there is no key 'interval_s'", "timeout_stalls"],
        ),
        (
            "timeout_stalls = 0.3",
            "timeout_stalls = 3",
            ["scrape: timeout_stalls is 3 and interval"],
        ),
        (
            '"reports/files.py" = ["CsvWriter.write", "CsvWriter._write_text"]',
            "",
            ["scrape.guilty", "at least 1 item"],
        ),
        (
            'way = "naive_app.attempts.metrics_on_loop"',
            'way = "fixed_app.reports"',
            ["[scrape] is timed by how long a report holds the event loop", "fixed_app.reports"],
        ),
        (
            'request = "GET /ping"\narrivals = { kind = "constant", rate = 50 }',
            f"order = {ORDER}\nrate = 1",
            ["naive works off one stream of orders", "gets bystander, report"],
        ),
    ],
)
def test_a_mistake_in_the_table_is_refused_with_what_is_allowed(
    tmp_path: Path, old: str, new: str, said: list[str]
) -> None:
    text = (EXPERIMENTS / "blind_metrics.toml").read_text()
    assert old in text
    path = tmp_path / "broken.toml"
    path.write_text(text.replace(old, new))

    with pytest.raises(ExperimentError) as refused:
        load_experiment(path)

    for words in said:
        assert words in str(refused.value)
