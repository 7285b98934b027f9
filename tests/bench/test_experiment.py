from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from offloop.bench.experiment import (
    Experiment,
    experiment_files,
    find_experiments,
    load_experiment,
)
from offloop.bench.question import ExperimentError
from offloop.measuring.instruments import effects
from tests.bench.support import EXPERIMENTS, refusal_of, shipped

SHIPPED = experiment_files(EXPERIMENTS)

#: An experiment that no change to one that is shipped can break.
PLAIN = Path(__file__).parent / "files" / "plain.toml"

#: An order as a file writes it.
ORDER = '{ shipped_from = 1995-01-01, shipped_to = 1995-01-02, format = "csv" }'

Refusal = Callable[[str, str], str]


@pytest.fixture
def refusal(tmp_path: Path) -> Refusal:
    """What is said of `plain.toml` once something in it has been replaced."""
    return partial(refusal_of, PLAIN, tmp_path)


@pytest.mark.parametrize("slug", SHIPPED)
def test_every_shipped_experiment_can_be_read(slug: str) -> None:
    assert load_experiment(SHIPPED[slug]).title


@pytest.mark.parametrize("slug", SHIPPED)
def test_naive_and_fixed_differ_in_exactly_one_thing(slug: str) -> None:
    arms = load_experiment(SHIPPED[slug]).arms

    differing = [
        field
        for field in type(arms["naive"]).model_fields
        if getattr(arms["naive"], field) != getattr(arms["fixed"], field)
    ]

    assert len(differing) == 1


WITH_SERVICES = [
    slug for slug, path in SHIPPED.items() if isinstance(load_experiment(path), Experiment)
]


@pytest.mark.parametrize("slug", WITH_SERVICES)
def test_the_baseline_is_the_fixed_arm_without_reports(slug: str) -> None:
    experiment = shipped(slug)
    arms, plain = experiment.arms, tuple(experiment.load.requests)

    if plain:
        assert arms["baseline"] == arms["fixed"].model_copy(update={"streams": plain})


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "drain_s = 10",
            "drain_s = 10\ndrian_s = 9",
            ["load: there is no key 'drian_s'", "duration_s, drain_s, quick_duration_s, overload"],
        ),
        ('title = "', 'titel = "', ["there is no key 'titel'", "there is title, rule, question"]),
        (
            'way = "naive_app.reports"',
            'way = "naive_app.reports"\nonce = true',
            ["arms.naive.once: an arm that is judged", "runs in every block"],
        ),
        ("blocks = ", "blocks = -", ["blocks", "greater than or equal to 3"]),
        (
            'server = "uvicorn"',
            'server = "uvicorn"\nworkers = 4',
            [
                "arms.naive: there is no key 'workers'",
                "way, server, tier, pools, queue_limit, streams",
            ],
        ),
        (
            '"poisson", rate',
            '"poisson", speed = 1, rate',
            [
                "load.streams.bystander.arrivals.poisson.speed: there is no such key",
                "there is kind, rate",
            ],
        ),
        (
            '"poisson"',
            '"poison"',
            ["load.streams.bystander.arrivals", "'poison'", "'constant', 'poisson', 'ramp'"],
        ),
        ("rate = 300", "rate = 0", ["streams.bystander.arrivals.poisson.rate", "greater than 0"]),
        (
            "naive_app.reports",
            "naiv_app.reports",
            ["arms.naive.way: 'naiv_app.reports'", "naive_app.reports, fixed_app.reports"],
        ),
        ('"uvicorn"', '"hypercorn"', ["arms.naive.server.kind", "'uvicorn' or 'gunicorn'"]),
        (
            'server = "uvicorn"',
            'server = { kind = "uvicorn", workers = 4 }',
            ["arms.naive.server: there is no key 'workers'", "there is kind, processes, timeout_s"],
        ),
        (
            'server = "uvicorn"',
            'server = { kind = "gunicorn", processes = 2 }',
            ["arms.naive.server: gunicorn needs `processes` and `timeout_s`"],
        ),
        (
            'server = "uvicorn"',
            'server = { kind = "uvicorn", processes = 1 }',
            ["arms.fixed: server.processes = 1", "1 slots: it takes at least 2"],
        ),
        (
            "utilisation = 0.5",
            "utilisation = 0.5\nfrom_s = 99",
            ["load: streams.report begins at from_s = 99, but the load lasts only"],
        ),
        (
            "utilisation = 0.5",
            "utilisation = 0.5\nfrom_s = 3\nuntil_s = 2",
            ["load.streams.report: the stream ends (until_s = 2) before it begins (from_s = 3)"],
        ),
        (
            '"workers.fixed"',
            '"workers.fixd"',
            ["arms.naive.tier: 'workers.fixd'", "there is workers.fixed, workers.naive"],
        ),
        (
            '["long"]',
            '["lnog"]',
            ["arms.naive.pools.long.queues.0: 'lnog' is not a queue", "there is short, long"],
        ),
        ('["long"]', "[]", ["arms.naive.pools.long.queues", "at least 1 item"]),
        ('["long"]', '["long", "long"]', ["arms.naive.pools.long", "named twice in long, long"]),
        (
            "slots = 1",
            "slot = 1",
            [
                "arms.naive.pools.long: there is no key 'slot'",
                "there is queues, slots, nice, prefetch",
            ],
        ),
        ("slots = 1", "slots = 0", ["arms.naive.pools.long.slots", "greater than 0"]),
        ("slots = 1 }", "slots = 1, nice = 20 }", ["arms.naive.pools.long.nice", "equal to 19"]),
        ("slots = 1", "slots = 1, prefetch = 0", ["arms.naive.pools.long.prefetch", "than 0"]),
        ("pools.long = {", 'pools."../long" = {', ["arms.naive.pools.../long", "match pattern"]),
        (
            'pools.long = { queues = ["long"], slots = 1 }',
            "pools = {}",
            ["arms.naive.pools", "at least 1 item"],
        ),
        (
            "[arms.naive]",
            "[arms.navie]",
            ["there is no [arms.naive]", "baseline and naive and fixed"],
        ),
        ("[arms.naive]", '[arms."../naive"]', ["arms.../naive", "should match pattern"]),
        ("[arms.fixed]\n", "[[arms.fixed]]\n", ["arms.fixed", "valid dictionary"]),
        (
            "blocked_loop_waits",
            "blocked_lop_waits",
            ["predict.bystander.p99_ms: 'blocked_lop_waits'", "there is blocked_loop_waits"],
        ),
        ('op = ">="', 'op = ">"', ["expect.0.op", "'<=' or '>='"]),
        ("limit = 50\n", "", ["expect.0.limit: Field required"]),
        ("limit = 50\n", "limit = 50\nevery_block = 3\n", ["expect.0.every_block", "boolean"]),
        ('id = "disease"', 'id = "The disease"', ["expect.0.id", "should match pattern"]),
        ('id = "disease"', 'id = "theory"', ["several expectations theory"]),
        (
            'measure = "naive.bystander.p99_ms / fixed.bystander.p99_ms"',
            'measure = "naive.bystander.p99_ms : fixed.bystander.p99_ms"',
            ["expect.0.measure", "write ARM.MEASURE"],
        ),
        (
            'measure = "naive.bystander.p99_ms / fixed.bystander.p99_ms"',
            'measure = "naive.bystander.p99_ms / mine.bystander.p99_ms"',
            ["expectation 'disease' looks at mine.bystander.p99_ms", "baseline, naive, fixed"],
        ),
        (
            '"naive.bystander.p99_ms / predicted.bystander.p99_ms"',
            '"naive.bystander.p99_ms / predicted.bystander.p50_ms"',
            ["looks at predicted.bystander.p50_ms", "the nearest is bystander.p99_ms"],
        ),
        (
            "/ baseline.bystander.p99_ms",
            "/ baseline.bystander.p98_ms",
            ["expect.1.measure: 'bystander.p98_ms' is no measure: the nearest is p99_ms"],
        ),
        (
            "/ baseline.bystander.p99_ms",
            "/ baseline.report.p99_ms",
            [
                "expectation 'cure' looks at baseline.report.p99_ms",
                "which the arm baseline will not have: the nearest is",
            ],
        ),
        ("utilisation = 0.5", "utilisation = 1.5", ["load.streams.report.utilisation", "than 1"]),
        (
            "utilisation = 0.5",
            "utilisation = 0.5\nrate = 2",
            ["load.streams.report: an order stream says how often in exactly one of", "and rate"],
        ),
        (
            "utilisation = 0.5",
            "",
            ["exactly one of utilisation, rate, drain, count; this one has none"],
        ),
        (
            "utilisation = 0.5",
            "utilisation = 0.5\npriority = 1",
            ["load.streams.report: there is no key 'priority'", "burst, from_s, until_s"],
        ),
        (
            "utilisation = 0.5",
            "utilisation = 0.5\nrepeat_after_s = 0",
            ["load.streams.report.repeat_after_s", "greater than 0"],
        ),
        ("request = ", "requests = ", ["load.streams.bystander: a stream says what is sent"]),
        ('"GET /ping"', '"/ping"', ["load.streams.bystander.request", "match pattern"]),
        ("[load.streams.report]", "[load.streams.Report]", ["load.streams.Report", "pattern"]),
        ("to = 1995-06-30", 'to = "soon"', ["load.streams.report.order.shipped_to", "date"]),
        ('format = "csv"', 'format = "xlsx"', ["report.order.format", "'csv' or 'parquet'"]),
        (
            'streams = ["bystander"]',
            'streams = ["ping"]',
            ["arms.baseline.streams names 'ping'; there is bystander, report"],
        ),
        ('streams = ["bystander"]', "streams = []", ["arms.baseline.streams is empty"]),
        (
            'way = "naive_app.reports"',
            'way = "fixed_app.reports"',
            [
                "predict.bystander.p99_ms: blocked_loop_waits is about an arm that builds one",
                "naive answers by fixed_app.reports and gets report",
            ],
        ),
        ('arm = "naive"\n', 'arm = "mine"\n', ["evidence is asked of the arm 'mine'", "naive"]),
        (
            "quick_duration_s = 4",
            "quick_duration_s = 1",
            ["quick_duration_s = 1 is below duration_s = 2", "fewer blocks, not shorter ones"],
        ),
        (
            "{fixed.bystander.p99_ms}",
            "{mixed.bystander.p99_ms}",
            [
                "story.gain looks at mixed.bystander.p99_ms",
                "there is baseline, naive, fixed, shown",
            ],
        ),
        (
            "{fixed.bystander.p99_ms}",
            "{fixed.report.refused}",
            ["story.gain looks at fixed.report.refused, which the arm fixed will not have"],
        ),
        (
            "{fixed.bystander.p99_ms}",
            "{shown.bystander.p99_ms}",
            ["story.gain tells of 'shown', which is only shown", "belongs to story.shown"],
        ),
        ("{fixed.bystander.p99_ms}", "{fixed.bystander.p99_ms", ["a brace has no partner"]),
    ],
)
def test_a_mistake_is_refused_with_the_file_the_key_and_what_is_allowed(
    refusal: Refusal, old: str, new: str, said: list[str]
) -> None:
    message = refusal(old, new)

    assert message.startswith("broken.toml is not an experiment:\n")
    for words in said:
        assert words in message
    assert "CONTRIBUTING.md" in message


def test_an_experiment_without_plain_requests_needs_no_baseline(tmp_path: Path) -> None:
    text = PLAIN.read_text()
    orders_only = text.replace('request = "GET /ping"', f"order = {ORDER}").replace(
        'arrivals = { kind = "poisson", rate = 300 }', "rate = 3"
    )
    before, _, after = orders_only.partition("[arms.baseline]")
    path = tmp_path / "orders_only.toml"
    path.write_text(before + "[arms.naive]" + after.partition("[arms.naive]")[2])

    with pytest.raises(ExperimentError) as refused:
        load_experiment(path)

    # Those that this file's expectations name are missing, but none is needed for itself.
    assert "looks at baseline.bystander.p99_ms" in str(refused.value)
    assert "there is no [arms.baseline]" not in str(refused.value)


def test_an_arm_gets_all_streams_unless_it_names_some() -> None:
    experiment = load_experiment(PLAIN)
    assert isinstance(experiment, Experiment)

    assert experiment.streams_of("naive") == ("bystander", "report")
    assert experiment.streams_of("baseline") == ("bystander",)
    assert experiment.orders_of("naive") == ("report",)
    assert experiment.orders_of("baseline") == ()


STACK = """[stack]
server = "uvicorn"
tier = "workers.fixed"
pools.long = { queues = ["long"], slots = 1 }

"""


def on_a_stack(text: str) -> str:
    """The same file, whose arms leave to `[stack]` what they have in common."""
    before, arms, after = text.partition("[arms.baseline]")
    for line in STACK.splitlines()[1:-1]:
        after = after.replace(f"{line}\n", "")
    return before + STACK + arms + after


def test_an_arm_says_only_how_it_differs_from_the_stack(tmp_path: Path) -> None:
    path = tmp_path / "short.toml"
    path.write_text(on_a_stack(PLAIN.read_text()))

    whole, short = load_experiment(PLAIN), load_experiment(path)

    assert path.read_text().count("uvicorn") == 1
    assert short.arms == whole.arms


def test_a_mistake_in_the_stack_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "short.toml"
    path.write_text(on_a_stack(PLAIN.read_text()))

    message = refusal_of(path, tmp_path, '"uvicorn"', '"hypercorn"')

    assert message.count("'uvicorn' or 'gunicorn'") == 1
    assert "stack.server.kind" in message


def test_all_mistakes_of_a_file_are_told_at_once(refusal: Refusal) -> None:
    message = refusal('server = "uvicorn"', 'server = "hypercorn"')

    for arm in ("baseline", "naive", "fixed"):
        assert f"arms.{arm}.server" in message


def test_invalid_toml_is_refused_with_its_line(refusal: Refusal) -> None:
    message = refusal("[load]", "[load")

    assert message.startswith("broken.toml is not TOML: ")
    assert "at line" in message


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "picture.toml"
    path.write_bytes(b"\x89PNG\r\n")

    with pytest.raises(ExperimentError, match=r"picture\.toml is not TOML"):
        load_experiment(path)


def test_an_unknown_experiment_is_reported_with_the_known_ones() -> None:
    with pytest.raises(ExperimentError) as refused:
        find_experiments(EXPERIMENTS, ("loop_blocking", "lop_blocking"))

    assert str(refused.value).startswith("There is no experiment 'lop_blocking'. There is: ")
    assert "loop_blocking" in str(refused.value).partition("There is: ")[2]


def test_experiments_are_read_in_the_order_asked_for(tmp_path: Path) -> None:
    for slug in ("alpha", "beta"):
        (tmp_path / f"{slug}.toml").write_bytes(PLAIN.read_bytes())

    assert list(find_experiments(tmp_path, ("beta", "alpha"))) == ["beta", "alpha"]
    assert list(experiment_files(tmp_path)) == ["alpha", "beta"]


@pytest.mark.parametrize(
    ("slug", "old", "new", "said"),
    [
        (
            "queue_growth",
            "queue_limit = 10\n",
            "queue_limit = 0\n",
            ["arms.fixed.queue_limit", "greater than 0"],
        ),
        (
            "queue_growth",
            'way = "fixed_app.reports"',
            'way = "naive_app.attempts.blocking_send"',
            ["arms.fixed.queue_limit: naive_app.attempts.blocking_send accepts", "fixed_app.rep"],
        ),
        (
            "queue_growth",
            "queue_limit = 10\n",
            "",
            ["predict.queue.depth_max: queue_limit is about an arm that has a `queue_limit`"],
        ),
        (
            "queue_growth",
            'what = "short"\nslots = 2',
            'what = "short"\nslots = 1',
            ["predict.queue.drain_per_s: scaled_drain_per_s is about an arm that gets more"],
        ),
        (
            "queue_growth",
            "drain = 2",
            "rate = 2",
            ["predict.queue.depth_slope_per_s: growth_per_s is about an arm that queues one"],
        ),
        (
            "queue_growth",
            'arm = "fixed" }',
            'arm = "mine" }',
            ["is about the arm 'mine'; there is naive, fixed"],
        ),
        (
            "queue_growth",
            'arm = "fixed" }',
            'of = "fixed" }',
            ["there is no key 'of'; there is formula, arm"],
        ),
        (
            "queue_growth",
            "/ configured.queue.depth_max",
            "/ predicted.queue.depth_max",
            ["looks at predicted.queue.depth_max", "the nearest is queue.wait_max_ms"],
        ),
        (
            "background_tasks",
            'arm = "naive"\nprocess',
            'arm = "sync_task"\nprocess',
            ["evidence is asked of the arm 'sync_task'", "in the first block only"],
        ),
        (
            "ladder",
            "{ARM.report.alone_cpu_s}",
            "{ARM.report.refused}",
            ["table column 'CPU/report' looks at naive.report.refused", "naive will not have"],
        ),
        (
            "ladder",
            "promise = true",
            "every_block = true",
            ["expectation 'kept' is about fixed.jobs.lost, of which a cure", "`promise = true`"],
        ),
        (
            "blocking_enqueue",
            "every_block = true\n",
            "",
            ["expectation 'disease' is about", "so that it has no interval"],
        ),
        (
            "duplicate_reports",
            "burst = 2\nrate = 2\n",
            "count = 8\n",
            ["load.streams.report says `count`", "say `rate`"],
        ),
    ],
)
def test_an_experiment_that_cannot_be_measured_is_refused_with_the_reason(
    tmp_path: Path, slug: str, old: str, new: str, said: list[str]
) -> None:
    message = refusal_of(SHIPPED[slug], tmp_path, old, new)

    for words in said:
        assert words in message


@pytest.mark.parametrize(
    ("slug", "added"),
    [
        (
            "loop_blocking",
            {
                f"{arm}.{measure}"
                for arm in ("fixed", "same_priority")
                for measure in ("bystander.failed", "report.failed", "jobs.lost")
            },
        ),
        # An event ends the API: only until then.
        (
            "ladder",
            {
                f"{arm}.before:kill.{stream}.failed"
                for arm in ("awaited", "fixed")
                for stream in ("bystander", "report")
            },
        ),
        # Its file says the same of bystanders.
        ("worker_starvation", {"fixed.report.failed", "fixed.giant.failed"}),
    ],
)
def test_every_experiment_promises_that_fixed_fails_and_loses_nothing(
    slug: str, added: set[str]
) -> None:
    experiment = shipped(slug)

    said, needed = experiment.expect, experiment.expectations[len(experiment.expect) :]

    assert experiment.expectations[: len(said)] == said
    assert {each.measure for each in needed} == added
    assert all((each.op, each.limit, each.promise) == ("<=", 0, True) for each in needed)


def test_same_priority_runs_in_every_block_and_differs_in_niceness_only() -> None:
    arms = shipped("loop_blocking").arms
    fixed, same = arms["fixed"], arms["same_priority"]
    pool = fixed.pools["long"].model_copy(update={"nice": same.pools["long"].nice})

    assert not same.once
    assert same.pools != fixed.pools
    assert same == fixed.model_copy(update={"pools": {"long": pool}})


def test_events_scale_the_pools_of_an_arm_that_they_name() -> None:
    experiment = shipped("queue_growth")

    scaled = experiment.scaled_pools("naive")

    assert (experiment.arms["naive"].pools["short"].slots, scaled["short"].slots) == (1, 2)


@pytest.mark.parametrize(("slug", "looks"), [("duplicate_reports", True), ("loop_blocking", False)])
def test_ledger_and_files_are_checked_where_an_expectation_needs_them(
    slug: str, looks: bool
) -> None:
    assert shipped(slug).looks_at(effects.MEASURES) is looks
