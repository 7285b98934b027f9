"""The catalogue of symptoms is whole, and documents point only at what is there."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import pytest

from offloop.bench.experiment import experiment_files
from offloop.project import project_root

ROOT = project_root()
DOCS = ROOT / "docs"
SYMPTOMS = DOCS / "symptoms.md"

SLUGS = sorted(experiment_files(ROOT / "loadtests" / "experiments"))

#: What the catalogue says of each mode, in this order.
PARTS = ["Symptom", "Confirm", "Fix", "Where"]

#: What `Where` says of a mode without an experiment.
NOT_HERE = "not reproduced here yet"

#: How many ways there are to stall, by the catalogue's own first sentence.
MODES = 30

_HEADING = re.compile(r"^#{1,6} +(.+)$", re.MULTILINE)
_MODE = re.compile(r"^### (\d+)\. (.+)$", re.MULTILINE)
_PART = re.compile(r"^\*\*(\w+)\*\*: *", re.MULTILINE)
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_BENCH = re.compile(r"\boffloop bench ([a-z]\w*)")
_EXPERIMENT = re.compile(r"\bexperiments/(\w+)\.(?:md|toml)\b")


class Mode(NamedTuple):
    """One entry of the catalogue: its number, and its parts by name, in their order."""

    number: int
    parts: dict[str, str]


def modes() -> Iterator[Mode]:
    _, *found = _MODE.split(SYMPTOMS.read_text())
    for number, body in zip(found[::3], found[2::3], strict=True):
        entry = re.split(r"^## ", body, flags=re.MULTILINE)[0]
        _, *parts = _PART.split(entry)
        texts = (text.strip() for text in parts[1::2])
        yield Mode(int(number), dict(zip(parts[::2], texts, strict=True)))


CATALOGUE = list(modes())

each_mode = pytest.mark.parametrize("mode", CATALOGUE, ids=lambda mode: str(mode.number))


def test_the_modes_are_numbered_one_by_one() -> None:
    assert [mode.number for mode in CATALOGUE] == list(range(1, MODES + 1))


@each_mode
def test_a_mode_has_all_its_parts(mode: Mode) -> None:
    assert list(mode.parts) == PARTS
    assert all(mode.parts.values())


@each_mode
def test_a_mode_is_confirmed_by_one_thing_to_run(mode: Mode) -> None:
    assert len(_FENCE.findall(mode.parts["Confirm"])) == 1


@each_mode
def test_a_mode_names_its_experiment_or_says_that_there_is_none(mode: Mode) -> None:
    named = bool(_EXPERIMENT.search(mode.parts["Where"]))

    assert named != (NOT_HERE in mode.parts["Where"])


@pytest.mark.parametrize("mode", [mode.number for mode in CATALOGUE])
def test_a_mode_is_found_from_what_one_sees(mode: int) -> None:
    table = SYMPTOMS.read_text().partition("## Paste this first")[0]

    assert f"[{mode}](#{mode}-" in table


@pytest.mark.parametrize("slug", SLUGS)
def test_an_experiment_is_found_from_a_symptom(slug: str) -> None:
    assert slug in _EXPERIMENT.findall(SYMPTOMS.read_text())


@pytest.mark.parametrize("slug", SLUGS)
def test_an_experiment_has_a_page(slug: str) -> None:
    page = (DOCS / "experiments" / f"{slug}.md").read_text()

    assert f"offloop bench {slug}" in page


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to a document's headings."""
    kept = (re.sub(r"[^\w\- ]", "", title.lower()) for title in _HEADING.findall(text))
    return {title.strip().replace(" ", "-") for title in kept}


def without_code(text: str) -> str:
    return _CODE.sub("", _FENCE.sub("", text))


PAGES = [ROOT / "README.md", *sorted(DOCS.glob("**/*.md"))]

LINKS = [
    (page.relative_to(ROOT), target)
    for page in PAGES
    for target in _LINK.findall(without_code(page.read_text()))
    if not re.match(r"\w+:", target)
]


def test_pages_link_to_each_other() -> None:
    assert LINKS


@pytest.mark.parametrize(("page", "target"), LINKS, ids=str)
def test_what_a_page_links_to_is_there(page: Path, target: str) -> None:
    path, _, anchor = unquote(target).partition("#")
    linked = (ROOT / page).parent / path if path else ROOT / page

    assert linked.exists()
    assert linked.resolve().is_relative_to(ROOT)
    if anchor:
        assert anchor in anchors(_FENCE.sub("", linked.read_text()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_an_experiment_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text()

    assert {*_BENCH.findall(text), *_EXPERIMENT.findall(text)} <= set(SLUGS)


QUOTED = [
    (page.relative_to(ROOT), block)
    for page in PAGES
    for _, language, block in _FENCE.findall(page.read_text())
    if language == "diff"
]


@pytest.mark.parametrize(("page", "block"), QUOTED, ids=lambda part: str(part).partition("\n")[0])
def test_a_quoted_diff_is_still_in_the_files_that_it_names(page: Path, block: str) -> None:
    before, after, *lines = block.splitlines()
    assert before.startswith("--- "), page
    assert after.startswith("+++ "), page
    names = {"-": before[4:], "+": after[4:]}
    sources = {sign: (ROOT / name).read_text().splitlines() for sign, name in names.items()}

    changed = [(line[0], line[1:]) for line in lines if line[:1] in sources]

    assert {sign for sign, _ in changed} == sources.keys()
    other = {"-": "+", "+": "-"}
    for sign, line in changed:
        assert line in sources[sign]
        assert line not in sources[other[sign]]
