"""A dashboard: variables, rows of panels, links to the other dashboards."""

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.table import Options as TableOptions

from dashboards.panels import SOURCE, Panel

#: The tag of all our dashboards, by which each of them links to the rest.
TAG = "offloop"

#: Grafana's grid.
FULL_WIDTH = 24

#: In units of the grid: about 30 pixels each.
_HEIGHT = 8


@dataclass(frozen=True)
class Row:
    """Panels beside each other, under a heading; a row that is full goes on below.

    Attributes:
        title: The heading.
        panels: Each with its width, of `FULL_WIDTH`.
    """

    title: str
    panels: Sequence[tuple[Panel, int]]


@dataclass(frozen=True)
class Page:
    """One dashboard.

    Attributes:
        uid: Names it in addresses, for good.
        title: Names it to people.
        description: What it is for.
        rows: From top to bottom.
    """

    uid: str
    title: str
    description: str
    rows: Sequence[Row]

    def build(self) -> models.Dashboard:
        """Lay it out."""
        made = (
            builders.Dashboard(self.title)
            .uid(self.uid)
            .description(self.description)
            .tags([TAG])
            .readonly()
            .time("now-15m", "now")
            .refresh("5s")
            .tooltip(DashboardCursorSync.CROSSHAIR)
            .with_variable(_source())
            .with_variable(_job())
            .annotation(_phases())
            .link(_others())
        )
        number = 0
        for row in self.rows:
            number += 1
            made.with_row(builders.Row(row.title).id(number))
            for asked, width in row.panels:
                number += 1
                made.with_panel(asked.id(number).span(width).height(_HEIGHT))
        return _without_leftovers(made.build())


def _without_leftovers(built: models.Dashboard) -> models.Dashboard:
    """Take out what the generator sets unasked: Grafana 13 knows it no more, or not there."""
    for panel in built.panels or ():
        if isinstance(panel, models.Panel) and isinstance(panel.options, TableOptions):
            panel.options.footer = None
    for variable in (built.templating and built.templating.list_val) or ():
        variable.auto = variable.auto_count = variable.auto_min = None
    for link in built.links or ():
        # At the top of the page, and not in a menu; the generated type would have it set.
        link.placement = None  # type: ignore[assignment]
    return built


def _source() -> builders.DatasourceVariable:
    return (
        builders.DatasourceVariable("datasource")
        .label("Data source")
        .type("prometheus")
        .multi(False)
    )


def _job() -> builders.QueryVariable:
    return (
        builders.QueryVariable("job")
        .label("job")
        .datasource(SOURCE)
        .query("label_values(up, job)")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".+")
        # Else Grafana would begin with the first job of the list.
        .current(models.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def _phases() -> builders.AnnotationQuery:
    return (
        builders.AnnotationQuery()
        .name("Phases of the load")
        .datasource(SOURCE)
        .enable(True)
        .icon_color("#7F7F7F")
        # Prometheus has seconds, and Grafana takes the value for milliseconds.
        .expr("1000 * offloop_load_phase_started_timestamp_seconds")
        .use_value_for_time(True)
        .title_format("{{phase}}")
    )


def _others() -> builders.DashboardLink:
    return (
        builders.DashboardLink("Offloop")
        .type(DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .include_vars(False)
        .keep_time(True)
    )
