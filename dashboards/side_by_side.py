"""The home dashboard: the same load on both apps, on the same axes."""

from dashboards.page import Page, Row
from dashboards.panels import Line, Panel, Question, heat, lines, rows
from dashboards.queries import WINDOW, mean, quantile, rate, select, total
from dashboards.style import (
    BYTES,
    CORES,
    COUNT,
    LATENCY,
    PER_SECOND,
    SECONDS,
    SERVER,
    SHARE,
    SIDES,
)

#: The request that has nothing to do with reports: as clients name it, and as the server routes it.
_PING = "ping"
_PING_ROUTE = "/ping"

#: The request that orders a report, as the server routes it.
_ORDER = {"http_request_method": "POST", "http_route": "/reports"}


def page() -> Page:
    """Lay out the dashboard."""
    return Page(
        uid="offloop-sides",
        title="Naive and fixed side by side",
        description=(
            "The same requests go to an app that builds reports in the request and to one that "
            "hands them to workers. Naive is vermilion and fixed is blue, everywhere."
        ),
        rows=(_symptom(), _loop(), _threads(), _price()),
    )


def _both(expr: str) -> tuple[Line, ...]:
    """One line for each side; in the query, its name is ``SIDE``."""
    return tuple(Line(expr.replace("SIDE", side), side, SIDES[side]) for side in SIDES)


def _symptom() -> Row:
    return Row(
        "The symptom: what a client waits that asks for something small",
        (
            (_client_and_server("naive"), 12),
            (_client_and_server("fixed"), 12),
            (
                lines(
                    Question(
                        "How many requests are due and not answered yet?",
                        "Naive climbs while a report is built, by as many as arrive meanwhile, and "
                        "falls to nothing when it is done: a saw. Fixed stays near zero.",
                        "Both stay flat while reports are ordered; or both climb, and then the "
                        "machine, not the event loop, is what they wait for.",
                    ),
                    COUNT,
                    *_both(total("offloop_load_in_flight", side="SIDE")),
                ),
                12,
            ),
            (
                lines(
                    Question(
                        "How many requests fail?",
                        "None on either side under the gentle load. Under overload fixed refuses "
                        "orders (503), while naive lets everybody wait until clients give up.",
                        "Fixed fails pings: nothing that it does for reports may touch them.",
                    ),
                    PER_SECOND,
                    *_both(rate("offloop_load_requests_total", side="SIDE", outcome="failed")),
                ),
                12,
            ),
        ),
    )


def _client_and_server(side: str) -> Panel:
    colour = SIDES[side]
    seen = {
        "naive": "The client's p95 jumps to the length of a report whenever one is built. The "
        "server's own p95 stays much lower: its clock starts when the loop takes the request up, "
        "which is when the waiting is over.",
        "fixed": "All three lines lie close together at a few milliseconds, whether reports are "
        "ordered or not.",
    }[side]
    wrong = {
        "naive": "Client and server agree while reports are built. Then the loop is not what "
        "clients wait for.",
        "fixed": "The client's line leaves the server's. Then something holds this loop, too: look "
        "at what held it, below.",
    }[side]
    return lines(
        Question(
            f"{side}: what does a client wait for a ping, p95, and what does the server say?",
            seen,
            wrong,
        ),
        LATENCY,
        Line(
            quantile(0.95, "offloop_load_response_seconds", side=side, name=_PING),
            "client, since it was due",
            colour,
        ),
        Line(
            quantile(0.95, "offloop_load_service_seconds", side=side, name=_PING),
            "client, since it was sent",
            colour,
            dashed=True,
        ),
        Line(
            quantile(
                0.95, "http_server_request_duration_seconds", side=side, http_route=_PING_ROUTE
            ),
            "server",
            SERVER,
        ),
    )


def _loop() -> Row:
    return Row(
        "The cause: is the event loop free?",
        (
            (_lag("naive"), 12),
            (_lag("fixed"), 12),
            (
                lines(
                    Question(
                        "How late did the event loop run at worst, in the last 15 seconds?",
                        "Naive is late by about as long as a report takes. Fixed stays below 0.1 "
                        "s, the limit for an answer to feel instant.",
                        "Naive stays below 0.1 s while it builds reports.",
                    ),
                    LATENCY,
                    *_both(f"max ({select('offloop_loop_lag_max_seconds', side='SIDE')})"),
                ),
                8,
            ),
            (
                lines(
                    Question(
                        "What share of its time does the loop lose to stalls?",
                        "Naive loses the share of time in which it builds reports: reports per "
                        "second times seconds per report. That share of all requests finds the "
                        "loop blocked. Fixed loses nothing.",
                        "It is far from that product; then something else holds the loop.",
                    ),
                    SHARE,
                    *_both(rate("offloop_loop_lost_seconds_total", side="SIDE")),
                ),
                8,
            ),
            (
                lines(
                    Question(
                        "How often does the loop stall?",
                        "Naive as often as reports are built. Fixed hardly ever.",
                        "More often than reports are ordered: then something else stalls it.",
                    ),
                    PER_SECOND,
                    *_both(rate("offloop_loop_stalls_total", side="SIDE")),
                ),
                8,
            ),
            (
                rows(
                    Question(
                        "What held the loop, and for how long in the time shown?",
                        "The functions that price and write a report, called by POST /reports of "
                        "the naive side. The watchdog reads the loop's stack while it is late, so "
                        "it names the function that held it and not those that waited.",
                        "A function that you cannot find in the code of a route, or one that only "
                        "waits. An empty file means that the watchdog did not see the stack: the "
                        "cause says why.",
                    ),
                    SECONDS,
                    "topk(10, sum by (side, cause, endpoint, function, file) (increase("
                    + select("offloop_loop_stall_seconds_sum")
                    + "[$__range])) > 0)",
                    ("side", "cause", "endpoint", "function", "file"),
                    "held for",
                ),
                24,
            ),
        ),
    )


def _lag(side: str) -> Panel:
    return heat(
        Question(
            f"{side}: how late does the event loop run?",
            "A strong band at the bottom: nearly always the loop is on time. In naive a second one "
            "appears far above it, at the length of a report, with little in between.",
            "Fixed has cells above 0.1 s while its processor is not the limit.",
        ),
        SECONDS,
        f"sum by (le) (increase({select('offloop_loop_lag_seconds_bucket', side=side)}[{WINDOW}]))",
    )


def _threads() -> Row:
    return Row(
        "What else can be waited for: threads and processor",
        (
            (
                lines(
                    Question(
                        "How many requests does the server work on?",
                        "Few on both sides. What waits for a blocked loop is not here: the server "
                        "does not know of it yet. Compare with what clients have not been "
                        "answered.",
                        "It equals the client's count during a stall.",
                    ),
                    COUNT,
                    *_both(total("http_server_active_requests", side="SIDE")),
                ),
                8,
            ),
            (
                lines(
                    Question(
                        "How many threads of the pool are taken?",
                        "Next to none: both apps are async throughout. At the limit (dashed) every "
                        "`def` endpoint waits, although the loop is free.",
                        "It is at the limit while no call waits for a thread.",
                    ),
                    COUNT,
                    *_both(total("offloop_threadpool_tokens", side="SIDE", state="used")),
                    *(
                        Line(line.expr, f"{line.legend}: limit", line.colour, dashed=True)
                        for line in _both(
                            total("offloop_threadpool_tokens", side="SIDE", state="total")
                        )
                    ),
                ),
                8,
            ),
            (
                lines(
                    Question(
                        "How many calls wait for a thread?",
                        "Zero on both sides.",
                        "Some wait while the pool has threads to spare.",
                    ),
                    COUNT,
                    *_both(total("offloop_threadpool_waiting", side="SIDE")),
                ),
                8,
            ),
            (
                lines(
                    Question(
                        "How much processor does the app itself use?",
                        "Naive up to one core: Python builds one report at a time. Fixed a small "
                        "part of one: its work is done elsewhere.",
                        "Fixed's app uses as much as naive's for the same orders.",
                    ),
                    CORES,
                    *(
                        Line(
                            rate("process_cpu_seconds_total", side=side, job=side),
                            side,
                            SIDES[side],
                        )
                        for side in SIDES
                    ),
                ),
                24,
            ),
        ),
    )


def _price() -> Row:
    return Row(
        "The price: the same work, and what it costs to have it elsewhere",
        (
            (
                lines(
                    Question(
                        "How many reports are finished?",
                        "The same on both sides, as many as are ordered.",
                        "Fixed finishes fewer for minutes: its workers are too few, and the queue "
                        "grows. See the job tier.",
                    ),
                    PER_SECOND,
                    Line(
                        rate(
                            "http_server_request_duration_seconds_count",
                            side="naive",
                            http_response_status_code="201",
                            **_ORDER,
                        ),
                        "naive",
                        SIDES["naive"],
                    ),
                    Line(
                        rate("offloop_jobs_finished_total", side="fixed", outcome="done"),
                        "fixed",
                        SIDES["fixed"],
                    ),
                ),
                8,
            ),
            (
                lines(
                    Question(
                        "How much processor time does one report take?",
                        "The same on both sides, within a sixth: it is the same function.",
                        "One side takes much more. Then the comparison is not fair.",
                    ),
                    SECONDS,
                    *_both(mean("offloop_report_cpu_seconds", side="SIDE")),
                ),
                8,
            ),
            (
                lines(
                    Question(
                        "How long until a report is ready, p95?",
                        "Naive: as long as its request takes. Fixed: about the same, waiting in "
                        "the queue (dashed) included, as long as a slot is free soon.",
                        "Fixed is ready much sooner: handing work over makes nothing faster.",
                    ),
                    SECONDS,
                    Line(
                        quantile(
                            0.95, "http_server_request_duration_seconds", side="naive", **_ORDER
                        ),
                        "naive, its request",
                        SIDES["naive"],
                    ),
                    Line(
                        quantile(0.95, "offloop_job_run_seconds", side="fixed"),
                        "fixed, being built",
                        SIDES["fixed"],
                    ),
                    Line(
                        quantile(0.95, "offloop_job_wait_seconds", side="fixed"),
                        "fixed, waiting before",
                        SIDES["fixed"],
                        dashed=True,
                    ),
                ),
                8,
            ),
            (
                lines(
                    Question(
                        "How much processor does each side use, workers included?",
                        "Fixed somewhat more than naive: the broker's messages, and processes "
                        "that look for work.",
                        "Fixed uses less in all for the same reports.",
                    ),
                    CORES,
                    *_both(rate("process_cpu_seconds_total", side="SIDE", job="!load")),
                ),
                12,
            ),
            (
                lines(
                    Question(
                        "How much memory does each side take, workers included?",
                        "Fixed several times as much: every slot is a process with the report "
                        "code in it. The broker's own memory is not in here.",
                        "Either grows without end under a steady load.",
                    ),
                    BYTES,
                    *_both(total("process_resident_memory_bytes", side="SIDE", job="!load")),
                ),
                12,
            ),
        ),
    )
