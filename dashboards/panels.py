"""Panels: a question, what to see, and what would prove it wrong."""

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as dashboard_builders
from grafana_foundation_sdk.builders import heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    DataSourceRef,
    LegendDisplayMode,
    LegendPlacement,
    ScaleDistribution,
    SortOrder,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode, HeatmapColorScale
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dashboards.style import Axis

#: The dashboard's variable for the data source.
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")

Panel = timeseries.Panel | stat.Panel | heatmap.Panel | table.Panel


@dataclass(frozen=True)
class Question:
    """What a panel asks, and how to read its answer.

    Attributes:
        asks: The title, a question.
        see: What you should see.
        wrong: What would prove it wrong.
    """

    asks: str
    see: str
    wrong: str

    @property
    def description(self) -> str:
        """What the panel shows behind its "i", in Markdown."""
        return f"**What you should see.** {self.see}\n\n**What would prove it wrong.** {self.wrong}"


@dataclass(frozen=True)
class Line:
    """A query of a panel and how its series are drawn.

    Attributes:
        expr: In PromQL.
        legend: Names its series; may have labels in it, as ``{{label}}``.
        colour: Of all its series; None to tell several apart by colours that do not depend on
            seeing red and green.
        dashed: Whether the line is dashed.
    """

    expr: str
    legend: str
    colour: str | None = None
    dashed: bool = False

    def properties(self) -> list[DynamicConfigValue]:
        """How it differs from other lines of the panel."""
        properties = []
        if self.colour:
            fixed = {"mode": FieldColorModeId.FIXED.value, "fixedColor": self.colour}
            properties.append(DynamicConfigValue(id_val="color", value=fixed))
        if self.dashed:
            dashes = {"fill": "dash", "dash": [8, 6]}
            properties.append(DynamicConfigValue(id_val="custom.lineStyle", value=dashes))
        return properties


def lines(question: Question, axis: Axis, *drawn: Line) -> timeseries.Panel:
    """Draw lines over time."""
    panel = (
        timeseries.Panel()
        .title(question.asks)
        .description(question.description)
        .datasource(SOURCE)
        .unit(axis.unit)
        .line_width(2)
        .fill_opacity(0)
        .color_scheme(_colour_blind_safe())
        .show_points(VisibilityMode.AUTO)
        .legend(_legend())
        .tooltip(
            common_builders.VizTooltipOptions()
            .mode(TooltipDisplayMode.MULTI)
            .sort(SortOrder.DESCENDING)
        )
    )
    if axis.low is not None:
        panel.min(axis.low)
    if axis.high is not None:
        panel.max(axis.high)
    if axis.log:
        panel.scale_distribution(
            common_builders.ScaleDistributionConfig().type(ScaleDistribution.LOG).log(10)
        )
    for ref, line in zip(_refs(drawn), drawn, strict=True):
        panel.with_target(_target(ref, line.expr, line.legend))
        if properties := line.properties():
            panel.override_by_query(ref, properties)
    return panel


def numbers(question: Question, axis: Axis, *shown: Line) -> stat.Panel:
    """Show the latest values, large."""
    panel = (
        stat.Panel()
        .title(question.asks)
        .description(question.description)
        .datasource(SOURCE)
        .unit(axis.unit)
        .color_mode(BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.AREA)
        .color_scheme(_colour_blind_safe())
        .no_value("no data")
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    )
    for ref, line in zip(_refs(shown), shown, strict=True):
        panel.with_target(_target(ref, line.expr, line.legend))
        if properties := line.properties():
            panel.override_by_query(ref, properties)
    return panel


def heat(question: Question, axis: Axis, histogram: str) -> heatmap.Panel:
    """Show how a histogram changes over time; the stronger a cell, the more fell into it.

    Args:
        question: What it asks.
        axis: Of the buckets.
        histogram: Query for the buckets' increases, by ``le``.
    """
    return (
        heatmap.Panel()
        .title(question.asks)
        .description(question.description)
        .datasource(SOURCE)
        .unit("short")
        .calculate(False)
        .y_axis(heatmap.YAxisConfig().unit(axis.unit))
        .color(
            heatmap.HeatmapColorOptions()
            .mode(HeatmapColorMode.SCHEME)
            # Steps of brightness alone, which everybody sees.
            .scheme("Greys")
            .scale(HeatmapColorScale.EXPONENTIAL)
            .exponent(0.5)
            .steps(64)
        )
        .with_target(_target("A", histogram, "{{le}}").format(PromQueryFormat.HEATMAP))
    )


def rows(
    question: Question, axis: Axis, expr: str, columns: Sequence[str], value: str
) -> table.Panel:
    """List what a query returns now, the largest first.

    Args:
        question: What it asks.
        axis: Of the values; only its unit counts.
        expr: In PromQL.
        columns: Labels to show, in this order.
        value: What the column of the values is called.
    """
    names = {column: column for column in columns} | {"Value": value}
    order = {name: place for place, name in enumerate([*columns, "Value"])}
    return (
        table.Panel()
        .title(question.asks)
        .description(question.description)
        .datasource(SOURCE)
        .unit(axis.unit)
        .with_target(_target("A", expr, "").instant().format(PromQueryFormat.TABLE))
        .with_transformation(
            DataTransformerConfig(
                id_val="organize",
                options={
                    "excludeByName": {"Time": True},
                    "indexByName": order,
                    "renameByName": names,
                },
            )
        )
        .sort_by([common_builders.TableSortByFieldState().display_name(value).desc(True)])
    )


def _refs(drawn: Sequence[Line]) -> Sequence[str]:
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(drawn)]


def _target(ref: str, expr: str, legend: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().ref_id(ref).datasource(SOURCE).expr(expr).legend_format(legend)


def _legend() -> common_builders.VizLegendOptions:
    return (
        common_builders.VizLegendOptions()
        .show_legend(True)
        .display_mode(LegendDisplayMode.LIST)
        .placement(LegendPlacement.BOTTOM)
        .calcs(["lastNotNull"])
    )


def _colour_blind_safe() -> dashboard_builders.FieldColor:
    # The name is newer than the generated list of modes.
    return dashboard_builders.FieldColor().mode("palette-colorblind")  # type: ignore[arg-type]
