"""Every query is valid PromQL, names series and labels that exist, and uses them correctly.

Names in brackets are rules of grafana/dashboard-linter.
"""

import pytest

from dashboards.metrics import SERIES
from tests.dashboards.reading import ALERTS, QUERIES, RECORDED, each, selections, substituted

RULES = {name: rule["expr"] for name, rule in {**ALERTS, **RECORDED}.items()}

#: Labels of each series that is scraped or recorded.
LABELS = {**dict.fromkeys(RECORDED, frozenset({"job", "side", "instance", "queue"})), **SERIES}

#: Ends of the names of counters. Buckets, sums and counts of a histogram are counters, too.
COUNTED = ("_total", "_bucket", "_sum", "_count")

RATES = {"rate", "irate", "increase"}


def mistakes(query: str) -> set[str]:
    """[target-promql-rule], [target-counter-agg-rule], [target-histogram-rule], and more."""
    found = set()
    for selection in selections(query):
        name, parents = selection.name, selection.parents
        is_counter = name.endswith(COUNTED)
        has_rate = selection.range_s is not None and not RATES.isdisjoint(parents[-1:])
        has_buckets = name.endswith("_bucket") and "le" in selection.grouped_by
        used = {label for label, _ in selection.matchers} | selection.grouped_by
        wrong = {
            "unknown series": name not in LABELS,
            "unknown label": name in LABELS and not used <= LABELS[name],
            "counter without a rate, or added up before it": is_counter and not has_rate,
            "rate of a gauge": not is_counter and not RATES.isdisjoint(parents),
            "quantile without buckets": "histogram_quantile" in parents and not has_buckets,
        }
        found |= {mistake for mistake, made in wrong.items() if made}
    return found


@each({**QUERIES, **RULES})
def test_a_query_has_no_mistakes(query: str) -> None:
    assert mistakes(query) == set()


@pytest.mark.parametrize(
    ("query", "mistake"),
    [
        ("offloop_loop_lagg", "unknown series"),
        ('up{queue="short"}', "unknown label"),
        ("sum by (queue) (up)", "unknown label"),
        ("rate(sum(offloop_loop_stalls_total)[1m:5s])", "counter without a rate"),
        ("rate(up[1m])", "rate of a gauge"),
        ("histogram_quantile(0.9, sum(rate(offloop_job_run_seconds_bucket[1m])))", "quantile"),
    ],
)
def test_a_mistake_is_found(query: str, mistake: str) -> None:
    (found,) = mistakes(query)

    assert found.startswith(mistake)


@each(QUERIES)
def test_the_chosen_job_and_the_scrape_interval_limit_what_a_dashboard_shows(query: str) -> None:
    """[target-job-rule], [target-rate-interval-rule]. Alerts and phases have no job."""
    assert "$" not in substituted(query)
    for selection in selections(query):
        if selection.name not in {"ALERTS", "offloop_load_phase_started_timestamp_seconds"}:
            assert ("job", 'job=~".+"') in selection.matchers
        if selection.parents and selection.parents[-1] in {"rate", "irate"}:
            assert selection.range_s == 20


@each(RULES)
def test_a_rule_looks_back_far_enough_to_miss_a_scrape(query: str) -> None:
    assert all(one.range_s is None or one.range_s >= 12 * 5 for one in selections(query))
