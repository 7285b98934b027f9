"""What dashboards and rules ask Prometheus for, as tests need it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import promql_parser
import pytest
import yaml

from dashboards.__main__ import FOLDER
from offloop.project import project_root

PROMETHEUS = project_root() / "dashboards" / "prometheus"

Json = dict[str, Any]

#: Every committed dashboard, by the name of its file.
DASHBOARDS: Mapping[str, Json] = {
    path.name: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))
}

#: Every panel, by its dashboard and its title.
PANELS: Mapping[str, Json] = {
    f"{name}: {panel['title']}": panel
    for name, dashboard in DASHBOARDS.items()
    for panel in dashboard["panels"]
    if panel["type"] != "row"
}

RULES: Sequence[Json] = [
    rule
    for group in yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"]
    for rule in group["rules"]
]

ALERTS: Mapping[str, Json] = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDED: Mapping[str, Json] = {rule["record"]: rule for rule in RULES if "record" in rule}

#: Every query of a panel or an annotation, by its place, with Grafana's variables in it.
QUERIES: Mapping[str, str] = {
    **{
        f"{where} {target['refId']}": target["expr"]
        for where, panel in PANELS.items()
        for target in panel["targets"]
    },
    **{
        f"{name}: {annotation['name']}": annotation["expr"]
        for name, dashboard in DASHBOARDS.items()
        for annotation in dashboard["annotations"]["list"]
    },
}


def each(queries: Mapping[str, str]) -> pytest.MarkDecorator:
    """Run a test once for each query."""
    return pytest.mark.parametrize("query", queries.values(), ids=queries)


def substituted(query: str, rate_interval: str = "20s", time_range: str = "15m") -> str:
    """Put values in place of Grafana's variables, as for scrapes that are 5 s apart."""
    variables = {"$__rate_interval": rate_interval, "$__range": time_range, "$job": ".+"}
    for name, value in variables.items():
        query = query.replace(name, value)
    return query


@dataclass(frozen=True)
class Selection:
    """A place in a query that selects series."""

    name: str
    #: Each label that is matched, and how: such as `job="naive"`.
    matchers: frozenset[tuple[str, str]]
    #: How far it looks back; None if it takes the latest value.
    range_s: float | None
    #: Functions and aggregations around it; the innermost is last.
    parents: tuple[str, ...]
    #: Labels that the aggregations around it keep.
    grouped_by: frozenset[str]


def selections(query: str) -> list[Selection]:
    """Every place in a query that selects series."""
    return list(_selections(promql_parser.parse(substituted(query)), None, (), frozenset()))


def _selections(
    node: Any,  # noqa: ANN401 - the parser's nodes have no common type
    range_s: float | None,
    parents: tuple[str, ...],
    kept: frozenset[str],
) -> Iterator[Selection]:
    inner: Sequence[Any] = ()
    match node:
        case promql_parser.VectorSelector():
            matchers = frozenset((each.name, str(each)) for each in node.matchers.matchers)
            yield Selection(str(node.name), matchers, range_s, parents, kept)
        case promql_parser.MatrixSelector():
            inner, range_s = [node.vector_selector], node.range.total_seconds()
        case promql_parser.AggregateExpr():
            inner, parents = [node.expr], (*parents, str(node.op))
            kept |= frozenset(node.modifier.labels if node.modifier else ())
        case promql_parser.Call():
            inner, parents = node.args, (*parents, node.func.name)
        case promql_parser.BinaryExpr():
            inner = [node.lhs, node.rhs]
        case promql_parser.ParenExpr() | promql_parser.UnaryExpr() | promql_parser.SubqueryExpr():
            inner = [node.expr]
    for part in inner:
        yield from _selections(part, range_s, parents, kept)
