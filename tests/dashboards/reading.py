"""What dashboards and rules ask Prometheus for, as tests need it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import promql_parser
import yaml

from dashboards.__main__ import FOLDER
from dashboards.metrics import SERIES
from offloop.project import project_root

PROMETHEUS = project_root() / "dashboards" / "prometheus"

#: What Grafana puts in place of its variables: scrapes are 5 s apart, and 15 minutes are shown.
VARIABLES = {"$__rate_interval": "20s", "$__range": "900s", "$job": ".+"}

Json = dict[str, Any]


def dashboards() -> Mapping[str, Json]:
    """Every committed dashboard, by the name of its file."""
    return {path.name: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def panels(dashboard: Json) -> list[Json]:
    """Those that show something: no rows."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


@dataclass(frozen=True)
class Query:
    """A query of a panel, or a rule's expression.

    Attributes:
        where: Names the panel or rule, for people.
        expr: In PromQL, with Grafana's variables in it.
        instant: Whether only the latest value is asked for.
    """

    where: str
    expr: str
    instant: bool = False

    def substituted(self, variables: Mapping[str, str] = VARIABLES) -> str:
        """The query as Prometheus gets it."""
        expr = self.expr
        for name, value in variables.items():
            expr = expr.replace(name, value)
        return expr


def panel_queries() -> list[Query]:
    return [
        Query(f"{name}: {panel['title']} {target['refId']}", target["expr"], "instant" in target)
        for name, dashboard in dashboards().items()
        for panel in panels(dashboard)
        for target in panel["targets"]
    ]


def annotation_queries() -> list[Query]:
    return [
        Query(f"{name}: {annotation['name']}", annotation["expr"])
        for name, dashboard in dashboards().items()
        for annotation in dashboard["annotations"]["list"]
    ]


def rules() -> list[Json]:
    content = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())
    return [rule for group in content["groups"] for rule in group["rules"]]


def rule_queries() -> list[Query]:
    return [Query(rule.get("alert") or rule["record"], rule["expr"]) for rule in rules()]


def known_series() -> Mapping[str, frozenset[str]]:
    """Names of series that are scraped or recorded, and the labels of each."""
    recorded = {
        rule["record"]: frozenset({"job", "side", "instance", "queue"})
        for rule in rules()
        if "record" in rule
    }
    return {**SERIES, **recorded}


@dataclass(frozen=True)
class Selection:
    """A place in a query where series are selected.

    Attributes:
        selector: Which.
        range_s: Seconds back, if it is a range.
        parents: Names of what encloses it: functions, and operators that aggregate; innermost last.
        grouped_by: Labels that what encloses it keeps.
    """

    selector: promql_parser.VectorSelector
    range_s: float | None
    parents: tuple[str, ...]
    grouped_by: frozenset[str]


def selections(query: Query) -> list[Selection]:
    """Every place in a query where series are selected."""
    return list(_selections(promql_parser.parse(query.substituted()), None, (), frozenset()))


def _selections(
    node: Any,  # noqa: ANN401 - the parser's nodes have no common type that says what they hold
    range_s: float | None,
    parents: tuple[str, ...],
    kept: frozenset[str],
) -> Iterator[Selection]:
    match node:
        case promql_parser.VectorSelector():
            yield Selection(node, range_s, parents, kept)
        case promql_parser.MatrixSelector():
            seconds = node.range.total_seconds()
            yield from _selections(node.vector_selector, seconds, parents, kept)
        case promql_parser.SubqueryExpr():
            yield from _selections(node.expr, range_s, (*parents, "subquery"), kept)
        case promql_parser.AggregateExpr():
            labels = frozenset(node.modifier.labels) if node.modifier else frozenset[str]()
            name = str(node.op)
            yield from _selections(node.expr, range_s, (*parents, name), kept | labels)
        case promql_parser.Call():
            for argument in node.args:
                yield from _selections(argument, range_s, (*parents, node.func.name), kept)
        case promql_parser.BinaryExpr():
            for side in (node.lhs, node.rhs):
                yield from _selections(side, range_s, parents, kept)
        case promql_parser.ParenExpr() | promql_parser.UnaryExpr():
            yield from _selections(node.expr, range_s, parents, kept)
        case _:
            return
