"""The job tier: what arrives, what waits, what works, and what went wrong."""

from dashboards.page import Page, Row
from dashboards.panels import Line, Panel, Question, lines, numbers, rows
from dashboards.queries import WINDOW, mean, quantile, rate, select, total
from dashboards.style import (
    BYTES,
    CORES,
    COUNT,
    LATENCY,
    LIMIT,
    PER_SECOND,
    QUEUES,
    SECONDS,
    SHARE,
    SLOPE,
    WELL,
)

#: The outcomes that are final.
_ENDED = "~done|failed"

#: Seconds that Little's law is looked at for: long enough for many jobs to have gone all the way.
_STEADY_S = 300


def page() -> Page:
    """Lay out the dashboard."""
    return Page(
        uid="offloop-job-tier",
        title="The job tier",
        description=(
            "Once work has left the request, this is where it waits and is done. Short jobs are "
            "sky blue and long ones purple, everywhere."
        ),
        rows=(_flow(), _time(), _little(), _trouble(), _machine()),
    )


def _each(expr: str) -> tuple[Line, ...]:
    """One line for each queue; in the query, its name is ``QUEUE``."""
    return tuple(Line(expr.replace("QUEUE", queue), queue, QUEUES[queue]) for queue in QUEUES)


def _flow() -> Row:
    return Row(
        "Flow: does as much leave as arrives?",
        (
            *((_in_and_out(queue), 12) for queue in QUEUES),
            (
                lines(
                    Question(
                        "How many jobs are not finished?",
                        "A few, up and down: those being worked on, and those behind them. The "
                        "limit, from which on orders are refused, is far away.",
                        "It climbs steadily although completions keep up with arrivals.",
                    ),
                    COUNT,
                    *_each(total("offloop_queue_jobs_open", queue="QUEUE")),
                ),
                8,
            ),
            (
                lines(
                    Question(
                        "Does the queue grow, in jobs per second?",
                        "Around zero, in both directions. Above zero for minutes: more arrives "
                        "than is done, and no buffer helps.",
                        "It stays above zero while the number of unfinished jobs falls.",
                    ),
                    SLOPE,
                    *_each(
                        "sum (deriv(" + select("offloop_queue_jobs_open", queue="QUEUE") + "[1m]))"
                    ),
                ),
                8,
            ),
            (
                lines(
                    Question(
                        "How old is the message at the head of the queue?",
                        "Seconds at most; no line while a queue is empty. It grows by a second "
                        "per second while no slot takes messages.",
                        "It grows while jobs of that queue are started.",
                    ),
                    SECONDS,
                    *_each(
                        "max ("
                        + select("offloop_queue_oldest_message_age_seconds", queue="QUEUE")
                        + ")"
                    ),
                ),
                8,
            ),
            (
                lines(
                    Question(
                        "What are the messages of each queue doing?",
                        "Most are unacknowledged: a slot works on them. Ready ones wait for a "
                        "slot, delayed ones for their next attempt.",
                        "More are unacknowledged than there are slots: slots prefetch messages, or "
                        "a slot died and its messages have not been requeued.",
                    ),
                    COUNT,
                    Line(
                        total("offloop_queue_messages", ("queue", "state")), "{{queue}} {{state}}"
                    ),
                ),
                12,
            ),
            (
                lines(
                    Question(
                        "How many orders are refused, and why?",
                        "None, as long as the queue is below its limit. At the limit, as many as "
                        "arrive above what is finished.",
                        "Orders are refused for a full queue that has room.",
                    ),
                    PER_SECOND,
                    Line(
                        rate("offloop_jobs_rejected_total", ("queue", "reason")),
                        "{{queue}} {{reason}}",
                    ),
                ),
                12,
            ),
        ),
    )


def _in_and_out(queue: str) -> Panel:
    return lines(
        Question(
            f"{queue} jobs: do completions keep up with arrivals?",
            "Two lines that lie on each other. A gap with arrivals (solid) above is filled by the "
            "queue; with completions (dashed) above, the queue is worked off.",
            "A gap for minutes, and the number of unfinished jobs stays the same.",
        ),
        PER_SECOND,
        Line(rate("offloop_jobs_accepted_total", queue=queue), "arrive", QUEUES[queue]),
        Line(
            rate("offloop_jobs_finished_total", queue=queue, outcome=_ENDED),
            "are completed",
            QUEUES[queue],
            dashed=True,
        ),
    )


def _time() -> Row:
    return Row(
        "Time: do jobs wait, or do they work?",
        (
            *((_wait_and_run(queue), 12) for queue in QUEUES),
            (
                lines(
                    Question(
                        "How busy are the slots?",
                        "Anything up to about 80%. Close to 100% the wait grows without bound: at "
                        "90% a job waits nine times as long as at 50%, where arrivals are random.",
                        "Waits grow while slots are idle: check whether slots prefetch, or whether "
                        "slots serve this queue at all.",
                    ),
                    SHARE,
                    *_each(_busy("QUEUE")),
                ),
                12,
            ),
            (
                lines(
                    Question(
                        "How many slots are there, and how many work?",
                        "As many as you have started; those that work (dashed) stay below.",
                        "There are fewer than you have started: some died, or lost the broker.",
                    ),
                    COUNT,
                    *_each(total("offloop_worker_slots", queue="QUEUE")),
                    *(
                        Line(line.expr, f"{line.legend}: work", line.colour, dashed=True)
                        for line in _each(total("offloop_jobs_in_progress", queue="QUEUE"))
                    ),
                ),
                12,
            ),
        ),
    )


def _busy(queue: str) -> str:
    """The share of slots at work, on average.

    From the jobs in progress, not from how long finished ones took: a job that takes a minute
    would be seen only when it is over.
    """
    working = f"avg_over_time({select('offloop_jobs_in_progress', queue=queue)}[{WINDOW}])"
    return f"sum ({working}) / sum ({select('offloop_worker_slots', queue=queue)} > 0)"


def _wait_and_run(queue: str) -> Panel:
    return lines(
        Question(
            f"{queue} jobs: how long do they wait (dashed), and how long do they run?",
            "Runs stay the same, whatever the load. Waits (p50 and p95) are short while slots are "
            "idle now and then, and leave the runs behind when they are not.",
            "Runs grow with the queue: then slots share something that is scarce, such as cores.",
        ),
        LATENCY,
        Line(quantile(0.95, "offloop_job_run_seconds", queue=queue), "run p95", QUEUES[queue]),
        Line(
            quantile(0.95, "offloop_job_wait_seconds", queue=queue),
            "wait p95",
            QUEUES[queue],
            dashed=True,
        ),
        Line(
            quantile(0.5, "offloop_job_wait_seconds", queue=queue),
            "wait p50",
            LIMIT,
            dashed=True,
        ),
    )


def _little() -> Row:
    return Row(
        "Little's law: L = λ x W, whatever the jobs are",
        tuple((_little_of(queue), 12) for queue in QUEUES),
    )


def _little_of(queue: str) -> Panel:
    inside = f"sum (avg_over_time({select('offloop_queue_jobs_open', queue=queue)}[{_STEADY_S}s]))"
    arrivals = f"sum (increase({select('offloop_jobs_accepted_total', queue=queue)}[{_STEADY_S}s]))"
    spent = " + ".join(_mean_over(part, queue) for part in ("wait", "run"))
    return lines(
        Question(
            f"{queue} jobs: is the number inside what arrival rate times time inside says?",
            "L, counted in the broker, and λ x W, from what API and workers measured, lie on each "
            "other once the load has been steady for five minutes. They are three processes that "
            "know nothing of each other.",
            "They stay apart under a steady load: jobs are lost, counted twice, or wait where no "
            "metric counts them. While the queue grows, λ x W lags behind, because jobs that still "
            "wait have no time yet.",
        ),
        COUNT,
        Line(inside, "L: inside, on average", QUEUES[queue]),
        Line(f"{arrivals} / {_STEADY_S} * ({spent})", "λ x W", LIMIT, dashed=True),
    )


def _mean_over(part: str, queue: str) -> str:
    """Mean seconds over the time that Little's law is looked at for."""
    total_s, count = (
        f"sum (increase({select(f'offloop_job_{part}_seconds_{of}', queue=queue)}[{_STEADY_S}s]))"
        for of in ("sum", "count")
    )
    return f"{total_s} / ({count} > 0)"


def _trouble() -> Row:
    return Row(
        "Trouble: what fails, and what is left behind",
        (
            (
                lines(
                    Question(
                        "How do attempts end?",
                        "Done. Some are handed back when slots are stopped, some put off when "
                        "something that may pass was in the way.",
                        "Many are abandoned: jobs are taken from slots that are still alive.",
                    ),
                    PER_SECOND,
                    Line(
                        rate("offloop_jobs_finished_total", outcome="done"),
                        "done",
                        WELL,
                    ),
                    Line(
                        rate("offloop_jobs_finished_total", ("outcome",), outcome="!done"),
                        "{{outcome}}",
                    ),
                ),
                12,
            ),
            (
                rows(
                    Question(
                        "Which jobs failed or were put off in the time shown, and with what?",
                        "Nothing. Each row is a kind of job and an exception; its log lines have "
                        "the job's id and the traceback.",
                        "Jobs failed, as customers see them, and no row says with what.",
                    ),
                    COUNT,
                    "topk(10, sum by (actor, queue, outcome, error) (increase("
                    + select("offloop_jobs_finished_total", outcome="~failed|put_off")
                    + "[$__range])) > 0)",
                    ("actor", "queue", "outcome", "error"),
                    "attempts",
                ),
                12,
            ),
            (
                numbers(
                    Question(
                        "How many dead letters are there?",
                        "Zero. Each one is a message that no slot could process: it names an actor "
                        "that they do not know. A failed job is no dead letter: its record says "
                        "why it failed.",
                        "A job stays queued for ever, no slot holds it, and the number of dead "
                        "letters does not grow.",
                    ),
                    COUNT,
                    *_each(total("offloop_queue_messages", queue="QUEUE", state="dead")),
                ),
                12,
            ),
            (
                numbers(
                    Question(
                        "Can the broker be read?",
                        "1. At 0 every figure about queues is missing, which is not the same as "
                        "zero.",
                        "It is 1, and depth and age are missing.",
                    ),
                    COUNT,
                    Line(f"min ({select('offloop_broker_up')})", "broker", WELL),
                ),
                12,
            ),
            (
                rows(
                    Question(
                        "Which alerts are firing?",
                        "None, or those that you have provoked. Prometheus has their words, and "
                        "what to do, under Alerts.",
                        "A panel here is plainly bad for minutes, and nothing fires.",
                    ),
                    COUNT,
                    # Alerts about queues come from several jobs, and have none.
                    'count by (alertname, queue, instance) (ALERTS{alertstate="firing"})',
                    ("alertname", "queue", "instance"),
                    "firing",
                ),
                12,
            ),
            (
                lines(
                    Question(
                        "Are callbacks delivered?",
                        "Tries end as delivered; few are pending (dashed).",
                        "Many are pending, and none is tried.",
                    ),
                    COUNT,
                    Line(rate("offloop_callbacks_total", ("outcome",)), "{{outcome}}, per second"),
                    Line(total("offloop_callbacks_pending"), "pending", LIMIT, dashed=True),
                ),
                12,
            ),
        ),
    )


def _machine() -> Row:
    per_slot = ("pool", "instance")
    slot = {"job": "worker"}
    return Row(
        "The slots: what does each take from the machine?",
        (
            (
                lines(
                    Question(
                        "How much processor does each slot use?",
                        "Up to one core while it builds a report, next to nothing while it waits.",
                        "A slot that works uses far less than a core: it waits for something, or "
                        "other processes take its processor time.",
                    ),
                    CORES,
                    Line(
                        rate("process_cpu_seconds_total", per_slot, **slot),
                        "{{pool}} {{instance}}",
                    ),
                ),
                8,
            ),
            (
                lines(
                    Question(
                        "How much memory does each slot take?",
                        "Level, whatever the size of a report: lines are streamed.",
                        "It grows from report to report.",
                    ),
                    BYTES,
                    Line(
                        total("process_resident_memory_bytes", per_slot, **slot),
                        "{{pool}} {{instance}}",
                    ),
                ),
                8,
            ),
            (
                lines(
                    Question(
                        "How much processor time does a report take?",
                        "Level: the work is the same. Compare with how long jobs run: the rest is "
                        "fetching, writing, and waiting for a core.",
                        "It grows with the load.",
                    ),
                    SECONDS,
                    Line(mean("offloop_report_cpu_seconds", ("pool",), **slot), "{{pool}}"),
                ),
                8,
            ),
        ),
    )
