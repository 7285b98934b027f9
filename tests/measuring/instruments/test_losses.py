import pytest

from offloop.load.records import ReportRow, RequestRow
from offloop.measuring.instruments.losses import losses
from offloop.measuring.rows import Happened
from tests.bench.support import report, request, request_log

TERM = Happened("term", ("naive",), at_s=2.0, lasted_s=1.0)
KILL = Happened("kill", ("naive",), at_s=4.0, lasted_s=1.0)

Pair = tuple[RequestRow, ReportRow]


def order(
    *, sent_s: float, answered_s: float | None, accepted: bool = True, done: bool = False
) -> Pair:
    """One order; an answer that accepts names a job, which may have been finished."""
    took_s = None if answered_s is None else answered_s - sent_s
    sent = request("report", due_s=sent_s, lag_s=0.0, took_s=took_s)
    known = answered_s is not None and accepted
    row = report(due_s=sent_s, status="done" if done else "running" if known else None)
    return sent, row if known else row._replace(job_id=None)


def counted(*pairs: Pair, happened: tuple[Happened, ...] = (TERM, KILL)) -> dict[str, float | None]:
    requests = [pair[0] for pair in pairs]
    bystanders = [request() for _ in pairs]  # plain requests, which order nothing
    return losses(request_log([*bystanders, *requests], [pair[1] for pair in pairs]), happened)


def test_an_order_that_was_accepted_before_an_event_and_never_finished_is_lost() -> None:
    found = counted(order(sent_s=1.0, answered_s=1.1))

    assert found == {"term.lost": 1, "term.undone": 1, "kill.lost": 0, "kill.undone": 0}


def test_an_order_whose_sender_had_no_answer_yet_is_undone_and_not_lost() -> None:
    found = counted(order(sent_s=3.9, answered_s=None))

    assert found == {"term.lost": 0, "term.undone": 0, "kill.lost": 0, "kill.undone": 1}


@pytest.mark.parametrize(
    ("why", "one"),
    [
        ("it was finished", order(sent_s=1.0, answered_s=1.1, done=True)),
        ("it was finished late", order(sent_s=1.9, answered_s=2.5, done=True)),
        ("it was refused before", order(sent_s=1.0, answered_s=1.1, accepted=False)),
        ("it came after all events", order(sent_s=6.0, answered_s=6.1)),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_an_order_is_neither_lost_nor_undone_because(why: str, one: Pair) -> None:
    assert not any(counted(one).values())


def test_an_order_counts_for_the_first_event_that_comes_after_it() -> None:
    found = counted(order(sent_s=1.0, answered_s=1.1), order(sent_s=3.5, answered_s=3.6))

    assert (found["term.lost"], found["kill.lost"]) == (1, 1)


def test_an_order_refused_by_an_earlier_event_does_not_count_for_a_later_one() -> None:
    while_away = order(sent_s=2.5, answered_s=None)

    assert not any(counted(while_away).values())


def test_an_order_accepted_during_an_event_counts_for_the_next_one() -> None:
    found = counted(order(sent_s=2.1, answered_s=2.2))

    assert (found["kill.lost"], found["kill.undone"]) == (1, 1)
    assert (found["term.lost"], found["term.undone"]) == (0, 0)


def test_an_order_that_an_event_answers_with_an_error_is_undone() -> None:
    found = counted(order(sent_s=1.9, answered_s=2.1, accepted=False))

    assert (found["term.lost"], found["term.undone"]) == (0, 1)


def test_the_order_of_events_does_not_matter() -> None:
    early = order(sent_s=1.0, answered_s=1.1)

    assert counted(early, happened=(KILL, TERM)) == counted(early)


def test_an_event_without_an_end_is_over_at_once() -> None:
    never_ended = TERM._replace(lasted_s=None)

    found = counted(order(sent_s=2.5, answered_s=None), happened=(never_ended, KILL))

    assert found["kill.undone"] == 1


def test_without_orders_there_are_no_counts() -> None:
    assert losses(request_log([request()]), [TERM]) == {}


def test_without_events_there_are_no_counts() -> None:
    assert counted(order(sent_s=1.0, answered_s=1.1), happened=()) == {}
