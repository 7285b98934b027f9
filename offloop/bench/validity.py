"""Whether a measurement may be judged at all: pure functions."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from statistics import mean

from offloop.bench.capacity import utilisation
from offloop.bench.events import Event
from offloop.bench.experiment import Experiment
from offloop.bench.streams import again
from offloop.load.log import DISPATCH_LAG_LIMIT_MS
from offloop.measuring.catalogue import measure_named, subject
from offloop.measuring.combining import in_block
from offloop.measuring.expressions import Expression, Term, divided
from offloop.measuring.instruments import effects
from offloop.measuring.measure import Kind
from offloop.measuring.values import NEVER, Block, Recorded
from offloop.measuring.verdicts import Expectation, Judged, Op, check, judged
from offloop.stack.servers import LOOK_S

#: A p99 of fewer requests rests on fewer than twenty values.
MIN_REQUESTS = 2_000

#: A p99 of fewer requests is their maximum: one moment of the whole machine would speak for all.
MIN_FOR_P99 = 100

#: CPU seconds per report may differ by this factor between arms before "the same work" is a lie. A
#: version that is cheaper on purpose takes half, or a tenth. The very same code took 7.3 to 10.1 µs
#: a line in the blocks of one run on a virtual machine that was left alone, and the medians of two
#: arms differed by up to 1.21 (29 experiments; 26 of them by less than 1.1).
CPU_FACTOR = 1.3

#: Share of time for building reports above which queueing, not what is shown, makes the figures.
MAX_UTILISATION = 0.85

#: The digests of the files that an arm built: arm -> stream -> SHA-256.
Digests = Mapping[str, Mapping[str, frozenset[str]]]

#: How many workers a server has killed because they were silent for too long.
_KILLS = "api.workers_killed"

#: What measures end in that say whether reports were finished,
_FATES = frozenset({"lost", "undone", "finished"})

#: and what those begin with that say whether their files are whole.
_FILES = "files."


def validity(
    experiment: Experiment,
    blocks: Sequence[Block],
    digests: Digests,
    queues: Mapping[str, str | None],
) -> list[Judged]:
    """Check that the generator, the baseline and both sides' work were as they should be.

    Args:
        experiment: What was run.
        blocks: What was measured of every arm in the judged blocks.
        digests: Of every arm that was to build reports.
        queues: The queue of each stream of orders; None where there is none.
    """
    found: list[Judged] = []
    for arm in experiment.judged_arms:
        for stream in experiment.streams_of(arm):
            found += _schedule_kept(arm, stream, blocks)
        for event in experiment.events:
            if _has_to_happen(experiment, arm, event):
                found.append(_happened(arm, event.id, blocks))
    found += chain.from_iterable(
        _decided_by_the_services(expectation, blocks) for expectation in experiment.expect
    )
    found += [_enough_requests(offered, blocks) for offered in _offered_for_a_p99(experiment)]
    for arm in experiment.judged_arms:
        if not _may_be_overloaded(experiment, arm):
            found += [
                _reports_finished(experiment, arm, name, blocks)
                for name in experiment.orders_of(arm)
                if not _fate_is_judged(experiment, arm, name)
            ]
    if experiment.load.requests:
        found += [_baseline_healthy(name, blocks) for name in experiment.streams_of("baseline")]
    if experiment.load.orders:
        found += _same_work(experiment, blocks, digests)
    if experiment.orders_of("naive") and not _may_be_overloaded(experiment, "naive"):
        found.append(_not_overloaded(experiment, blocks, queues))
    found += _outlasts_timeout(experiment, blocks)
    return found


def _may_be_overloaded(experiment: Experiment, arm: str) -> bool:
    return experiment.load.overload and arm == "naive"


def _has_to_happen(experiment: Experiment, arm: str, event: Event) -> bool:
    """Whether an arm could not be judged without an event.

    An event that waits for a step may come too late in an arm that takes long to start. This does
    not matter where no judged measure is about the event. Naive and fixed are compared with each
    other, so what is judged in one concerns both. The measures of ledger and files are about every
    event: without it they show nothing.
    """
    sides = {"naive", "fixed"}
    looked_at = any(
        event.id in re.split(r"[.:]", name) or measure_named(name) in effects.MEASURES
        for each in (sides if arm in sides else {arm})
        for name in _judged_measures(experiment, each)
    )
    return experiment.happens_in(arm, event) and (event.at is None or looked_at)


def _judged_measures(experiment: Experiment, arm: str) -> list[str]:
    terms = (Expression.parse(expectation.measure).terms for expectation in experiment.expect)
    return [term.measure for pair in terms for term in pair if term.arm == arm]


def _files_are_judged(experiment: Experiment, arm: str) -> bool:
    return any(name.startswith(_FILES) for name in _judged_measures(experiment, arm))


def _fate_is_judged(experiment: Experiment, arm: str, stream: str) -> bool:
    """Whether it is the question if an arm finishes these reports: then it is no condition."""
    fates = {
        name.rpartition(".")[0]
        for name in _judged_measures(experiment, arm)
        if name.rpartition(".")[2] in _FATES
    }
    # Those of a job or an event are about every stream.
    about_all = fates - set(experiment.orders_of(arm))
    return stream in fates or bool(about_all) or _files_are_judged(experiment, arm)


def _offered_for_a_p99(experiment: Experiment) -> list[str]:
    """Return how many requests there were, as a measure, for each p99 that is judged."""
    terms = (term for each in experiment.expect for term in Expression.parse(each.measure).terms)
    judged_p99s = (
        term
        for term in terms
        if term.arm in experiment.arms and measure_named(term.measure).percent == 99  # noqa: PLR2004
    )
    return list(dict.fromkeys(f"{p99.arm}.{subject(p99.measure)}.offered" for p99 in judged_p99s))


def _schedule_kept(arm: str, stream: str, blocks: Sequence[Block]) -> list[Judged]:
    offered = _total(f"{arm}.{stream}.offered", blocks)
    tail = "p99" if offered is not None and offered >= MIN_FOR_P99 else "p90"
    lag = f"{arm}.{stream}.dispatch_lag_{tail}_ms"
    return [
        judged(
            f"{arm}_{stream}_dispatched",
            lag,
            _value(lag, blocks),
            "<=",
            DISPATCH_LAG_LIMIT_MS,
            f"{arm}: {stream} requests were sent when they were due",
            "a late generator measures itself",
        ),
        judged(
            f"{arm}_{stream}_sent",
            f"{arm}.{stream}.sent / {arm}.{stream}.offered, the lowest of all blocks",
            _lowest(f"{arm}.{stream}.sent / {arm}.{stream}.offered", blocks),
            ">=",
            1,
            f"{arm}: every due {stream} request was sent",
            "a request that was never sent cannot be slow",
        ),
    ]


def _decided_by_the_services(expectation: Expectation, blocks: Sequence[Block]) -> Iterator[Judged]:
    """Check that a ratio of response times would be judged alike without the generator's lag.

    A response time contains the generator's lag. At most all of the lag of one side is what made
    the ratio as small as it is, or all of that of the other as large.
    """
    expression = Expression.parse(expectation.measure)
    if expression.denominator is None or expectation.promise or expectation.every_block:
        return
    sides = (expression.numerator, expression.denominator)
    values = [_value(str(side), blocks) for side in sides]
    lags = [_lag_ms(side, blocks) for side in sides]
    if not any(lags) or None in values:
        return
    (top, bottom), (top_lag, bottom_lag) = values, lags
    assert top is not None  # noqa: S101 - looked at above
    assert bottom is not None  # noqa: S101
    least, ratio = divided(top - top_lag, bottom), divided(top, bottom)
    most = divided(top, bottom - bottom_lag) if bottom > bottom_lag else NEVER
    holds = check(ratio, expectation.op, expectation.limit)
    # The nearest to the limit that the ratio may be: from below the most, from above the least.
    below = (expectation.op == "<=") is holds
    nearest = most if below else least
    op: Op = "<=" if below else ">="
    if ratio is None or nearest is None:
        return
    yield judged(
        f"{expectation.id}_without_lag",
        f"{expectation.measure}, less the generator's lag",
        nearest,
        op,
        expectation.limit,
        f"{expectation.id} is not decided by the generator",
        "a request that is sent late is answered late; without that, the ratio must be on the same "
        "side of the limit",
    )


def _lag_ms(side: Term, blocks: Sequence[Block]) -> float:
    """Return the generator's part of a percentile of response times; 0 of all else."""
    measure = measure_named(side.measure)
    if measure.sample != "response_ms" or measure.kind is not Kind.PERCENTILE:
        return 0.0
    of = f"{side.arm}.{subject(side.measure)}.dispatch_lag_p{measure.percent:g}_ms"
    return _value(of, blocks) or 0.0


def _happened(arm: str, event: str, blocks: Sequence[Block]) -> Judged:
    measure = f"{arm}.{event}.at_ms"
    happened = _each(measure, blocks)
    return judged(
        f"{arm}_{event}_happened",
        f"{measure}, the number of blocks",
        len(happened) if happened else None,
        ">=",
        sum(arm in block for block in blocks),
        f"{arm}: {event} happened in every block",
        "nothing can be said about what did not happen",
    )


def _enough_requests(offered: str, blocks: Sequence[Block]) -> Judged:
    arm, _, stream = offered.removesuffix(".offered").partition(".")
    counts = _each(offered, blocks)
    return judged(
        f"{arm}_{stream}_requests",
        f"{offered}, all blocks",
        sum(counts) if counts else None,
        ">=",
        MIN_REQUESTS,
        f"{arm}: enough {stream} requests for a p99",
        "the p99 of fewer requests rests on fewer than twenty of them",
    )


def _reports_finished(
    experiment: Experiment, arm: str, stream: str, blocks: Sequence[Block]
) -> Judged:
    # An order that is sent while an event has the API away is refused. The arm is not to blame.
    away = any(
        event.ends_the_api and experiment.happens_in(arm, event) for event in experiment.events
    )
    ordered, said = ("accepted", "accepted") if away else ("offered", "ordered")
    measure = f"{arm}.{stream}.finished / {arm}.{stream}.{ordered}"
    return judged(
        f"{arm}_{stream}_finished",
        f"{measure}, the lowest of all blocks",
        _lowest(measure, blocks),
        ">=",
        1,
        f"{arm}: every {stream} that was {said} was built in time",
        "a stack that leaves reports undone has nothing to slow it down",
    )


def _baseline_healthy(stream: str, blocks: Sequence[Block]) -> Judged:
    measure = f"baseline.{stream}.failed"
    failed = _each(measure, blocks)
    return judged(
        f"baseline_{stream}_healthy",
        f"{measure}, the highest of all blocks",
        max(failed) if failed else None,
        "<=",
        0,
        f"baseline: every {stream} request was answered",
        "where even an idle stack fails requests, no comparison with it means anything",
    )


def _same_work(experiment: Experiment, blocks: Sequence[Block], digests: Digests) -> list[Judged]:
    # Per line: where the question is whether reports are finished, the two arms may have finished
    # different reports.
    by_line = "naive.jobs.cpu_us_per_line / fixed.jobs.cpu_us_per_line"
    cpu = _value(by_line, blocks)
    return [
        *(
            _same_bytes(stream, experiment, digests)
            for stream in experiment.load.orders
            if _compared(stream, experiment)
        ),
        judged(
            "same_cpu",
            f"{by_line}, or its inverse",
            max(cpu, 1 / cpu) if cpu else None,
            "<=",
            CPU_FACTOR,
            "both sides spent the same CPU time on a report",
            "the fix moves the work; it must not be a cheaper version of it",
        ),
    ]


def _compared(stream: str, experiment: Experiment) -> list[str]:
    """Return the arms whose files must be the same: where they are the question, they need not."""
    return [
        arm
        for arm in experiment.judged_arms
        if stream in experiment.orders_of(arm) and not _files_are_judged(experiment, arm)
    ]


def _same_bytes(stream: str, experiment: Experiment, digests: Digests) -> Judged:
    ordered = [arm for arm in experiment.judged_arms if stream in experiment.orders_of(arm)]
    compared = _compared(stream, experiment)
    # Where it is the question whether reports are finished, it is no condition that there are any.
    built = {arm: digests.get(arm, {}).get(stream, frozenset()) for arm in compared}
    complete = len(ordered) > 1 and all(
        built[arm] or _fate_is_judged(experiment, arm, stream) for arm in compared
    )
    found = frozenset().union(*built.values())
    return judged(
        f"{stream}_same_bytes",
        f"distinct SHA-256 of all files of the stream {stream}, all arms that are compared",
        len(found) if complete and found else None,
        "<=",
        1,
        f"every arm built the same {stream}, byte for byte",
        "a faster answer that is another answer is no fix",
    )


def _not_overloaded(
    experiment: Experiment,
    blocks: Sequence[Block],
    queues: Mapping[str, str | None],
) -> Judged:
    busy = [_busy(experiment, block["naive"], queues) for block in blocks if "naive" in block]
    known = [value for value in busy if value is not None]
    return judged(
        "naive_not_overloaded",
        "naive: utilisation by reports, the mean of all blocks",
        mean(known) if known and len(known) == len(busy) else None,
        "<=",
        MAX_UTILISATION,
        "naive: there was time to spare between reports",
        "near 1 a queue grows, and its length says nothing about what is asked here",
    )


def _busy(
    experiment: Experiment, naive: Recorded, queues: Mapping[str, str | None]
) -> float | None:
    """Return the seconds of work that came in a second, for each slot that could do it."""
    arm = experiment.arms["naive"]
    busy: dict[str, float] = {}
    away = experiment.until_the_api_is_away("naive")
    for stream in experiment.orders_of("naive"):
        orders = experiment.load.orders[stream]
        if orders.count is not None:
            continue  # a few reports and no more are no rate
        # A tier that knows no keys builds what is ordered again as well.
        names = (stream,) if orders.repeat_after_s is None else (stream, again(stream))
        offered = [naive.numbers.get(f"{name}.offered") for name in names]
        known = [number for number in offered if number is not None]
        # An order that is sent while the API is away gets no report, and costs no time of the arm.
        run_ms = in_block(f"{away}{stream}.run_p50_ms", naive)
        queue = queues.get(stream) if arm.has_tier else ""
        if len(known) < len(offered) or run_ms is None or queue is None:
            return None
        seconds = sum(known) * run_ms / 1000 / orders.lasts_s(experiment.load.duration_s)
        busy[queue] = busy.get(queue, 0.0) + seconds
    return utilisation(busy, arm.pools) if arm.has_tier else sum(busy.values()) / arm.api_processes


def _outlasts_timeout(experiment: Experiment, blocks: Sequence[Block]) -> list[Judged]:
    """Check that there was work to be killed for, where it is the question whether one is."""
    timeout_s = experiment.arms["naive"].server.timeout_s
    if timeout_s is None or _KILLS not in _judged_measures(experiment, "naive"):
        return []
    ratios = {
        stream: _value(f"fixed.{stream}.cpu_ms / naive.api.timeout_ms", blocks)
        for stream in experiment.orders_of("fixed")
    }
    known = {stream: ratio for stream, ratio in ratios.items() if ratio is not None}
    longest = max(known, key=known.__getitem__, default=None)
    return [
        judged(
            "naive_outlasts_timeout",
            f"fixed.{longest}.cpu_ms / naive.api.timeout_ms",
            None if longest is None else known[longest],
            ">=",
            (timeout_s + LOOK_S) / timeout_s,
            "the longest report takes longer than the server's timeout",
            f"gunicorn looks every {LOOK_S} s, so that a worker may be silent for that much "
            "longer; on a fast machine, `make bench SCALE=0.2` takes a larger data set",
        )
    ]


def _lowest(measure: str, blocks: Sequence[Block]) -> float | None:
    values = _each(measure, blocks)
    return min(values) if values else None


def _total(measure: str, blocks: Sequence[Block]) -> float | None:
    values = _each(measure, blocks)
    return sum(values) if values else None


def _each(measure: str, blocks: Sequence[Block]) -> list[float] | None:
    return Expression.parse(measure).in_each(blocks)


def _value(measure: str, blocks: Sequence[Block]) -> float | None:
    observed = Expression.parse(measure).over(blocks)
    return None if observed is None else observed.value
