"""Grafana accepts every dashboard, and naive and fixed can be compared at a glance.

Names in brackets are rules of grafana/dashboard-linter. `dashboards/page.py` and `panels.py` keep
its rules about titles, data sources and variables, in one place for all dashboards. Its rules about
a variable `instance` do not apply: each instance belongs to a side, and dashboards compare sides.
"""

import json
import re
from pathlib import Path

import jsonschema_rs
import pytest

from dashboards.style import SIDES
from tests.dashboards.reading import DASHBOARDS, PANELS, Json

#: Schemas made from Grafana's published types; the file says how.
GRAFANA: Json = json.loads((Path(__file__).parent / "grafana.json").read_text())

#: What Prometheus's plug-in adds to an annotation.
OF_PROMETHEUS = {"expr", "titleFormat", "useValueForTime"}

#: A palette that Grafana 13.2 has (@grafana/data, `FieldColorModeId`) and its published types lack.
NEWER_PALETTE = "palette-colorblind"

every_dashboard = pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS)
every_panel = pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS)


def complaints(schema: Json, value: Json) -> list[str]:
    """What is wrong with a part of a dashboard, by a schema."""
    known = json.loads(json.dumps(value).replace(NEWER_PALETTE, "palette-classic"))
    validator = jsonschema_rs.validator_for({**schema, "definitions": GRAFANA["definitions"]})
    return [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(known)]


@every_dashboard
def test_grafana_accepts_a_dashboard(dashboard: Json) -> None:
    annotations = [
        {name: value for name, value in annotation.items() if name not in OF_PROMETHEUS}
        for annotation in dashboard["annotations"]["list"]
    ]

    assert not complaints(GRAFANA["dashboard"], {**dashboard, "annotations": {"list": annotations}})
    assert dashboard["schemaVersion"] == 42


@every_panel
def test_grafana_accepts_a_panel_and_knows_its_unit(panel: Json) -> None:
    """[panel-units-rule]."""
    schema = GRAFANA["panels"][panel["type"]]

    assert not complaints(schema, panel)
    assert complaints(schema, {**panel, "options": {**panel["options"], "unknown": 1}})
    assert panel["fieldConfig"]["defaults"]["unit"] in GRAFANA["units"]


@every_panel
def test_a_panel_has_lines_and_a_legend_tells_them_apart(panel: Json) -> None:
    """[panel-no-targets-rule]."""
    names = {target["legendFormat"] for target in panel["targets"]}

    assert len(names) == len(panel["targets"]) > 0
    assert "" not in names or panel["type"] == "table"


def test_dashboards_keep_their_addresses() -> None:
    uids = {dashboard["uid"] for dashboard in DASHBOARDS.values()}

    assert uids == {"offloop-sides", "offloop-job-tier", "offloop-load"}


def axes_of(side: str) -> dict[str, Json]:
    """Of the panels "naive: ...?" and "fixed: ...?": row, width, options and axes."""
    return {
        panel["title"].removeprefix(side): {
            "place": (panel["gridPos"]["y"], panel["gridPos"]["w"]),
            **{name: panel[name] for name in ("type", "options")},
            **panel["fieldConfig"]["defaults"],
        }
        for panel in PANELS.values()
        if panel["title"].startswith(f"{side}: ")
    }


def test_pairs_of_naive_and_fixed_have_the_same_fixed_axes_side_by_side() -> None:
    naive, fixed = map(axes_of, SIDES)
    times = [axes for axes in naive.values() if (axes["type"], axes["unit"]) == ("timeseries", "s")]

    assert naive == fixed
    assert times
    assert all({"min", "max"} <= axes.keys() for axes in times)


def test_a_side_has_the_same_colour_on_every_panel() -> None:
    seen = set()
    for panel in PANELS.values():
        lines = {target["refId"]: target["legendFormat"] for target in panel["targets"]}
        for override in panel["fieldConfig"].get("overrides", ()):
            side = re.split("[:,]", lines[override["matcher"]["options"]])[0]
            colours = [each["value"] for each in override["properties"] if each["id"] == "color"]
            seen |= {(side, colour["fixedColor"]) for colour in colours if side in SIDES}

    assert seen == set(SIDES.items())
