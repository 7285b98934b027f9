"""Every panel asks, says how to read it, and can be compared with the one beside it.

The rules with a name in brackets are those of grafana/dashboard-linter. Two of its rules do not
apply: [template-instance-rule] and [target-instance-rule], because here sides are compared, and
each instance has its side.
"""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from dashboards.style import SIDES
from tests.dashboards.reading import Json, dashboards, panels

DASHBOARDS = dashboards()

PANELS = [
    pytest.param(panel, id=f"{name}: {panel['title']}")
    for name, dashboard in DASHBOARDS.items()
    for panel in panels(dashboard)
]

#: What the published types of Grafana say; how it was made is said in it.
GRAFANA: Json = json.loads((Path(__file__).parent / "grafana.json").read_text())

#: What Prometheus's plug-in adds to an annotation.
_OF_PROMETHEUS = ("expr", "titleFormat", "useValueForTime")

#: A way to choose colours that Grafana 13.2 has (@grafana/data, `FieldColorModeId`) and that the
#: published type of classic dashboards does not list yet.
_NEWER_COLOURS = "palette-colorblind"

every_dashboard = pytest.mark.parametrize("name", DASHBOARDS)
every_panel = pytest.mark.parametrize("panel", PANELS)


def complaints(schema: Json, value: Any) -> list[str]:  # noqa: ANN401 - anything from JSON
    """What a schema has to say about a value."""
    validator = jsonschema_rs.validator_for({**schema, "definitions": GRAFANA["definitions"]})
    return [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(value)]


def test_there_are_three_dashboards_with_addresses_for_good() -> None:
    assert {(name, board["uid"], board["title"]) for name, board in DASHBOARDS.items()} == {
        ("sides.json", "offloop-sides", "Naive and fixed side by side"),
        ("job-tier.json", "offloop-job-tier", "The job tier"),
        ("load.json", "offloop-load", "The load test"),
    }


@every_dashboard
def test_a_dashboard_is_what_grafana_says_one_is(name: str) -> None:
    dashboard = DASHBOARDS[name]
    for annotation in dashboard["annotations"]["list"]:
        for key in _OF_PROMETHEUS:
            annotation.pop(key, None)

    assert complaints(GRAFANA["dashboard"], dashboard) == []
    assert dashboard["schemaVersion"] == 42


@every_panel
def test_a_panel_is_what_grafana_says_one_of_its_type_is(panel: Json) -> None:
    color = panel["fieldConfig"]["defaults"].get("color", {})
    if color.get("mode") == _NEWER_COLOURS:
        panel["fieldConfig"]["defaults"]["color"] = {**color, "mode": "palette-classic"}

    assert panel["type"] in GRAFANA["panels"]
    assert complaints(GRAFANA["panels"][panel["type"]], panel) == []


def test_the_published_types_refuse_what_grafana_does_not_know() -> None:
    good = panels(DASHBOARDS["sides.json"])[0]

    for wrong in (
        {"options": {**good["options"], "legends": {}}},
        {"options": {**good["options"], "legend": {"displayMode": "lists"}}},
        {"fieldConfig": {"defaults": {"custom": {"lineWidths": 2}}, "overrides": []}},
        {"type": "graph"},
    ):
        assert complaints(GRAFANA["panels"]["timeseries"], {**good, **wrong})


@every_dashboard
def test_panels_have_numbers_of_their_own(name: str) -> None:
    numbers = [panel["id"] for panel in DASHBOARDS[name]["panels"]]

    assert all(number > 0 for number in numbers)
    assert len(set(numbers)) == len(numbers)


@every_dashboard
def test_panels_fill_the_width_and_do_not_overlap(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARDS[name]["panels"]:
        at = panel["gridPos"]
        cells = {
            (at["x"] + right, at["y"] + down) for right in range(at["w"]) for down in range(at["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    assert {x for x, _ in taken} == set(range(24))
    assert len(taken) == 24 * (1 + max(y for _, y in taken)), "there are gaps"


@every_panel
def test_a_panel_asks_a_question(panel: Json) -> None:
    """[panel-title-description-rule], and more."""
    assert panel["title"].endswith("?")


@every_panel
def test_a_description_says_what_to_see_and_what_would_prove_it_wrong(panel: Json) -> None:
    see, wrong = panel["description"].split("\n\n")

    assert see.startswith("**What you should see.** ")
    assert wrong.startswith("**What would prove it wrong.** ")
    assert see.endswith(".")
    assert wrong.endswith(".")


@every_panel
def test_a_panel_has_a_unit_that_grafana_knows(panel: Json) -> None:
    """[panel-units-rule]."""
    assert panel["fieldConfig"]["defaults"]["unit"] in GRAFANA["units"]


@every_panel
def test_a_panel_takes_the_data_source_of_the_dashboard(panel: Json) -> None:
    """[panel-datasource-rule], and the same for each of its queries; [panel-no-targets-rule]."""
    wanted = {"type": "prometheus", "uid": "${datasource}"}

    assert panel["datasource"] == wanted
    assert panel["targets"]
    assert all(target["datasource"] == wanted for target in panel["targets"])


@every_panel
def test_lines_have_names_in_a_legend(panel: Json) -> None:
    if panel["type"] in {"timeseries", "stat"}:
        assert all(target["legendFormat"] for target in panel["targets"])
        names = [target["legendFormat"] for target in panel["targets"]]
        assert len(set(names)) == len(names)
    if panel["type"] == "timeseries":
        assert panel["options"]["legend"]["showLegend"] is True


@every_dashboard
def test_the_data_source_and_the_job_can_be_chosen(name: str) -> None:
    """[template-datasource-rule], [template-job-rule], [template-label-promql-rule].

    It is asked again when the time shown changes: [template-on-time-change-reload-rule].
    """
    source, job = DASHBOARDS[name]["templating"]["list"]

    assert (source["name"], source["type"], source["query"]) == (
        "datasource",
        "datasource",
        "prometheus",
    )
    assert source["label"] == "Data source"
    assert (job["name"], job["type"], job["label"]) == ("job", "query", "job")
    assert job["query"] == "label_values(up, job)"
    assert job["datasource"]["uid"] == "${datasource}"
    assert job["multi"] is True
    assert job["includeAll"] is True
    assert job["allValue"] == ".+"
    assert job["current"]["value"] == ["$__all"], "Grafana would begin with the first"
    assert job["refresh"] == 2


@every_dashboard
def test_a_dashboard_is_changed_in_the_program_only(name: str) -> None:
    """[uneditable-dashboard]."""
    assert DASHBOARDS[name]["editable"] is False


@every_dashboard
def test_a_dashboard_leads_to_the_others(name: str) -> None:
    (link,) = DASHBOARDS[name]["links"]

    assert (link["type"], link["tags"]) == ("dashboards", DASHBOARDS[name]["tags"])
    assert "placement" not in link, "it would be in a menu"


def test_what_differs_by_side_only_has_the_same_axes() -> None:
    """Panels come in pairs: "naive: ...?" and "fixed: ...?"."""
    pairs: dict[str, dict[str, Json]] = {}
    for dashboard in DASHBOARDS.values():
        for panel in panels(dashboard):
            side, colon, asks = panel["title"].partition(": ")
            if colon and side in SIDES:
                pairs.setdefault(asks, {})[side] = panel
    assert pairs
    for pair in pairs.values():
        naive, fixed = pair["naive"], pair["fixed"]
        assert naive["gridPos"]["y"] == fixed["gridPos"]["y"], "not beside each other"
        assert naive["gridPos"]["w"] == fixed["gridPos"]["w"]
        for side in (naive, fixed):
            side["fieldConfig"].pop("overrides", None)
        assert naive["fieldConfig"] == fixed["fieldConfig"]
        assert naive["options"] == fixed["options"]
        if naive["type"] == "timeseries" and naive["fieldConfig"]["defaults"]["unit"] == "s":
            assert {"min", "max"} <= naive["fieldConfig"]["defaults"].keys()


def test_a_side_has_the_same_colour_wherever_it_is_a_line() -> None:
    seen: dict[str, set[str]] = {side: set() for side in SIDES}
    for dashboard in DASHBOARDS.values():
        for panel in panels(dashboard):
            lines = {target["refId"]: target["legendFormat"] for target in panel["targets"]}
            for override in panel["fieldConfig"].get("overrides", ()):
                side = lines[override["matcher"]["options"]].split(":")[0].split(",")[0]
                for change in override["properties"]:
                    if side in seen and change["id"] == "color":
                        seen[side].add(change["value"]["fixedColor"])

    assert seen == {side: {colour} for side, colour in SIDES.items()}
