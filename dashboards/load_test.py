"""The load test: what was offered, what came back, and whether the generator can be believed."""

from dashboards.page import Page, Row
from dashboards.panels import Line, Panel, Question, heat, lines, rows
from dashboards.queries import WINDOW, quantile, rate, select, total
from dashboards.style import (
    COUNT,
    LATENCY,
    LIMIT,
    REQUESTS_PER_SECOND,
    SECONDS,
    SHARE,
    SIDES,
)


def page() -> Page:
    """Lay out the dashboard."""
    return Page(
        uid="offloop-load",
        title="The load test",
        description=(
            "Requests are sent when they are due, whether or not earlier answers came back. Naive "
            "is vermilion and fixed is blue, everywhere."
        ),
        rows=(_rates(), _waiting(), _latency(), _generator()),
    )


def _both(expr: str) -> tuple[Line, ...]:
    """One line for each side; in the query, its name is ``SIDE``."""
    return tuple(Line(expr.replace("SIDE", side), side, SIDES[side]) for side in SIDES)


def _rates() -> Row:
    return Row(
        "Rates: is what is offered also achieved?",
        (
            *((_offered(side), 12) for side in SIDES),
            (
                rows(
                    Question(
                        "Which phases has the run had, and when did each begin?",
                        "The phases in their order; each is also a mark on every panel.",
                        "The rates change at other moments than these.",
                    ),
                    SECONDS,
                    "time() - max by (side, phase) ("
                    f"{select('offloop_load_phase_started_timestamp_seconds')})",
                    ("side", "phase"),
                    "ago",
                ),
                24,
            ),
        ),
    )


def _offered(side: str) -> Panel:
    colour = SIDES[side]
    return lines(
        Question(
            f"{side}: is every request that was due sent, and answered?",
            "Offered (dashed) is the schedule and does not care how the server fares. Answered "
            "lies on it. Where it falls below, requests wait; where it rises above, a stall is "
            "over and what had gathered comes back at once.",
            "Offered falls when the server is slow: then the generator waits for answers, and its "
            "percentiles are too good to be true.",
        ),
        REQUESTS_PER_SECOND,
        Line(rate("offloop_load_offered_total", side=side), "offered", LIMIT, dashed=True),
        Line(
            rate("offloop_load_requests_total", side=side, outcome="ok"),
            "answered",
            colour,
        ),
        Line(
            rate("offloop_load_requests_total", side=side, outcome="failed"),
            "failed",
            colour,
            dashed=True,
        ),
    )


def _waiting() -> Row:
    return Row(
        "Waiting: what is due and unanswered",
        (
            (
                lines(
                    Question(
                        "How many requests are unanswered, on each side?",
                        "Rate times latency (Little's law): a healthy side has a handful. Naive "
                        "gathers rate x seconds during each stall.",
                        "It stays small while latency is long: answers are counted that were none.",
                    ),
                    COUNT,
                    *_both(total("offloop_load_in_flight", side="SIDE")),
                ),
                12,
            ),
            (
                lines(
                    Question(
                        "Which requests are unanswered?",
                        "Those for reports on naive, and then everything else as well.",
                        "Pings wait on fixed.",
                    ),
                    COUNT,
                    Line(total("offloop_load_in_flight", ("side", "name")), "{{side}} {{name}}"),
                ),
                12,
            ),
        ),
    )


def _latency() -> Row:
    return Row(
        "Latency: from when a request was due",
        (
            *((_percentiles(side), 12) for side in SIDES),
            *((_spread(side), 12) for side in SIDES),
        ),
    )


def _percentiles(side: str) -> Panel:
    return lines(
        Question(
            f"{side}: how long until an answer, p99, for each kind of request?",
            "Solid counts from when a request was due, dashed from when it was sent. They are "
            "the same as long as the generator keeps its schedule.",
            "Dashed far below solid: requests were sent late, and the time since they were sent "
            "makes the server look faster than it is.",
        ),
        LATENCY,
        Line(quantile(0.99, "offloop_load_response_seconds", ("name",), side=side), "{{name}}"),
        Line(
            quantile(0.99, "offloop_load_service_seconds", ("name",), side=side),
            "{{name}}, since sent",
            dashed=True,
        ),
    )


def _spread(side: str) -> Panel:
    buckets = select("offloop_load_response_seconds_bucket", side=side)
    return heat(
        Question(
            f"{side}: how are all answers spread?",
            "One strong band where everything is well. Two bands, fast and slow, are what a mean "
            "or a median hides: naive during stalls.",
            "A single band that moves up as a whole: that is a machine with too much to do, "
            "not a loop that is held now and then.",
        ),
        SECONDS,
        f"sum by (le) (increase({buckets}[{WINDOW}]))",
    )


def _generator() -> Row:
    return Row(
        "The generator: can it be believed?",
        (
            (
                lines(
                    Question(
                        "How busy is the generator itself?",
                        "Below 70% of a core. It is one process: close to 100% it sends late, and "
                        "what it measures is itself.",
                        "It is busy, and the two lines of the panels above lie on each other all "
                        "the same.",
                    ),
                    SHARE,
                    Line(
                        rate("process_cpu_seconds_total", ("side", "instance"), job="load"),
                        "{{side}} {{instance}}",
                    ),
                ),
                12,
            ),
            (
                lines(
                    Question(
                        "Do client and server count the same requests?",
                        "What servers (dashed) have answered is what clients were answered.",
                        "They differ for long: another client calls the server, or requests get "
                        "lost between the two. Clients poll reports until they are ready, which "
                        "counts at the server.",
                    ),
                    REQUESTS_PER_SECOND,
                    *_both(rate("offloop_load_requests_total", side="SIDE", name="ping")),
                    *(
                        Line(line.expr, f"{line.legend}: server", line.colour, dashed=True)
                        for line in _both(
                            rate(
                                "http_server_request_duration_seconds_count",
                                side="SIDE",
                                http_route="/ping",
                            )
                        )
                    ),
                ),
                12,
            ),
        ),
    )
