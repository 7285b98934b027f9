"""Reference pages and JSON Schemas of the files that people read and write.

`python -m offloop.pages.reference` renews them from the models: `docs/experiment-files.md` explains
every key of an experiment file, `docs/schemas/experiment.json` lets editors complete one, and
`docs/schemas/run.json` is for programs that read a `run.json`.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, TypeAdapter

from offloop.bench.burst.experiment import Burst, BurstArm
from offloop.bench.events import Event
from offloop.bench.experiment import AnyExperiment, Arm, Evidence, Experiment, Load, StackDefaults
from offloop.bench.prediction import Prediction
from offloop.bench.question import Story
from offloop.bench.scraping import Scraping
from offloop.bench.streams import OrderStream, ReportOrder, RequestStream
from offloop.bench.table import ArmTable, Column, Row
from offloop.load.arrivals import Constant, Poisson, Ramp, Spike, Step
from offloop.measuring.results import Run
from offloop.measuring.verdicts import Expectation
from offloop.project import project_root
from offloop.stack.pools import Pool
from offloop.stack.servers import Server

_Schema = Mapping[str, Any]


class Section(NamedTuple):
    """One kind of table of an experiment file."""

    heading: str
    model: type[BaseModel]


SECTIONS = (
    Section("The file", Experiment),
    Section("`[load]`", Load),
    Section("`[load.streams.NAME]` with `request`", RequestStream),
    Section('`arrivals` of kind `"constant"`', Constant),
    Section('`arrivals` of kind `"poisson"`', Poisson),
    Section('`arrivals` of kind `"ramp"`', Ramp),
    Section('`arrivals` of kind `"step"`', Step),
    Section('`arrivals` of kind `"spike"`', Spike),
    Section("`[load.streams.NAME]` with `order`", OrderStream),
    Section("`order`", ReportOrder),
    Section("`[stack]`", StackDefaults),
    Section("`[arms.NAME]`", Arm),
    Section("`server`", Server),
    Section("`pools.NAME`", Pool),
    Section("`[[events]]`", Event),
    Section("`[predict]`", Prediction),
    Section("`[[expect]]`", Expectation),
    Section("`[[evidence]]`", Evidence),
    Section("`[story]`", Story),
    Section("`[table]`", ArmTable),
    Section("`[[table.columns]]`", Column),
    Section("`[table.rows.ARM]`", Row),
    Section("`[scrape]`", Scraping),
    Section("`[burst]`, in place of `[load]`", Burst),
    Section("`[arms.NAME]` of a burst", BurstArm),
)

_INTRODUCTION = """\
# Experiment files

This page is generated from the models by `make readme`. [CONTRIBUTING.md](../CONTRIBUTING.md)
shows a whole file. Editors that support JSON Schema in TOML complete and check it: the first line
of each file names `docs/schemas/experiment.json`.
"""


def experiment_files_page() -> str:
    """Render the reference of experiment files."""
    return "\n".join([_INTRODUCTION, *map(_section, SECTIONS)])


def experiment_schema() -> str:
    """Render the JSON Schema of an experiment file, before `[stack]` is filled in."""
    schema = TypeAdapter[AnyExperiment](AnyExperiment).json_schema()
    return _json({"$schema": _DIALECT, "title": "Offloop experiment", **schema})


def run_schema() -> str:
    """Render the JSON Schema of `run.json`."""
    schema = Run.model_json_schema(mode="serialization", by_alias=True)
    return _json({"$schema": _DIALECT, **schema})


_DIALECT = "https://json-schema.org/draft/2020-12/schema"

#: Every file that is generated, by its place in the project.
GENERATED = {
    Path("docs/experiment-files.md"): experiment_files_page,
    Path("docs/schemas/experiment.json"): experiment_schema,
    Path("docs/schemas/run.json"): run_schema,
}


def _json(schema: _Schema) -> str:
    return json.dumps(schema, indent=2) + "\n"


def _section(section: Section) -> str:
    schema = section.model.model_json_schema()
    required = schema.get("required", ())
    rows = [
        f"| `{key}` | {_value(entry)} | {_default(entry, needed=key in required)} | "
        f"{_text(entry)} |"
        for key, entry in schema["properties"].items()
    ]
    about = _text(schema)
    table = "| key | value | default | meaning |\n| --- | --- | --- | --- |"
    return "\n".join([f"## {section.heading}\n", f"{about}\n", table, *rows, ""])


def _text(entry: _Schema) -> str:
    return " ".join(str(entry.get("description", "")).split()).replace("|", "\\|")


def _default(entry: _Schema, *, needed: bool) -> str:
    default = entry.get("default")
    if needed:
        return "required"
    if default in (None, [], {}):
        return ""
    return f"`{json.dumps(default)}`"


def _value(entry: _Schema) -> str:
    return ", ".join(dict.fromkeys(_kinds(entry)))


_KINDS = {
    "boolean": "`true`, `false`",
    "integer": "whole number",
    "number": "number",
    "string": "text",
}


def _kinds(entry: _Schema) -> Iterator[str]:
    """Yield what a value may be, in words."""
    for choice in entry.get("anyOf", entry.get("oneOf", ())):
        yield from _kinds(choice)
    if "const" in entry:
        yield f'`"{entry["const"]}"`'
    elif "enum" in entry:
        yield from (f'`"{value}"`' for value in entry["enum"])
    elif entry.get("format") == "date":
        yield "date"
    elif "$ref" in entry:
        yield "table"
    elif entry.get("type") == "array":
        yield f"list of: {_value(entry['items'])}"
    elif entry.get("type") == "object":
        yield "table"
    elif entry.get("type") in _KINDS:
        yield _KINDS[entry["type"]]


def main() -> None:
    """Write every file."""
    for path, render in GENERATED.items():
        whole = project_root() / path
        whole.parent.mkdir(parents=True, exist_ok=True)
        whole.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
