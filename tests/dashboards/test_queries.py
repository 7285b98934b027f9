"""Every query can be read, names only what exists, and asks in a way that can be trusted."""

import pytest

from tests.dashboards.reading import (
    Query,
    annotation_queries,
    known_series,
    panel_queries,
    rule_queries,
    selections,
)

PANEL = panel_queries()
RULE = rule_queries()
EVERY = [*PANEL, *RULE, *annotation_queries()]

KNOWN = known_series()

#: Counters, and what a histogram or summary counts.
_COUNTED = ("_total", "_bucket", "_sum", "_count")

_RATES = {"rate", "irate", "increase"}


def each(queries: list[Query]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "query", [pytest.param(query, id=query.where) for query in queries]
    )


@each(EVERY)
def test_a_query_names_only_series_that_exist(query: Query) -> None:
    """[target-promql-rule]: it parses, too."""
    names = {selection.selector.name for selection in selections(query)}

    assert names or query.expr.startswith("vector(")
    assert names <= KNOWN.keys()


@each(EVERY)
def test_a_query_names_only_labels_that_its_series_have(query: Query) -> None:
    for selection in selections(query):
        name = selection.selector.name
        assert name
        labels = {matcher.name for matcher in selection.selector.matchers.matchers}
        assert labels | selection.grouped_by <= KNOWN[name]


@each(PANEL)
def test_the_job_that_is_chosen_limits_what_a_panel_shows(query: Query) -> None:
    """[target-job-rule]. Alerts about queues come from several jobs, and have none."""
    for selection in selections(query):
        if selection.selector.name != "ALERTS":
            matchers = [str(matcher) for matcher in selection.selector.matchers.matchers]
            assert 'job=~".+"' in matchers


@each(PANEL)
def test_no_variable_of_grafana_is_left(query: Query) -> None:
    assert "$" not in query.substituted()


@each(PANEL)
def test_the_window_of_a_rate_is_grafanas(query: Query) -> None:
    """[target-rate-interval-rule]."""
    for selection in selections(query):
        if selection.parents and selection.parents[-1] in {"rate", "irate"}:
            assert selection.range_s == 20


@each(EVERY)
def test_counters_are_added_up_after_their_rate_is_taken(query: Query) -> None:
    """[target-counter-agg-rule], [target-histogram-rule]: buckets and sums are counters, too."""
    for selection in selections(query):
        if str(selection.selector.name).endswith(_COUNTED):
            assert selection.range_s is not None
            assert selection.parents[-1] in _RATES


@each(EVERY)
def test_what_is_no_counter_has_no_rate(query: Query) -> None:
    for selection in selections(query):
        if not str(selection.selector.name).endswith(_COUNTED):
            assert not set(selection.parents) & _RATES


@each(EVERY)
def test_quantiles_keep_the_bounds_of_the_buckets(query: Query) -> None:
    for selection in selections(query):
        if "histogram_quantile" in selection.parents:
            assert str(selection.selector.name).endswith("_bucket")
            assert "le" in selection.grouped_by


def test_the_checks_find_what_is_wrong() -> None:
    summed_first = Query("wrong", "rate(sum(offloop_loop_stalls_total)[1m:5s])")

    (selection,) = selections(summed_first)

    assert selection.range_s is None
    assert selection.parents == ("rate", "subquery", "sum")
