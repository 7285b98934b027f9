"""`results.html` of runs of every kind, with rows and without."""

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from offloop.load.records import RequestRow
from offloop.measuring.results import Checkout, ExperimentResult, LoadResult, Machine, Noise, Run
from offloop.measuring.run_folder import RunFolder
from offloop.measuring.verdicts import Verdict
from offloop.pages.limits import observed
from offloop.pages.results_page import results_page
from tests.bench.support import ROOT, block, report, request, result

STARTED = datetime(2026, 1, 2, tzinfo=UTC)

ARMS = ("baseline", "naive", "fixed", "same_priority")


class Elements(HTMLParser):
    """Checks that what is opened is closed, and collects the text."""

    VOID = frozenset({"meta", "br", "hr", "img", "link"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data.split()


def text_of(page: str) -> str:
    parser = Elements()
    parser.feed(page)
    assert parser.open == []
    return " ".join(parser.words)


def run_with(verdict: Verdict, *experiments: ExperimentResult, **changes: object) -> Run:
    return Run(
        started_at=STARTED,
        machine=Machine(processor="abacus", cores=2, python="3.11.7"),
        versions={"offloop": "0.1.0"},
        git=Checkout(commit="abc", dirty=True),
        seed=7,
        verdict=verdict,
        experiments={f"loop_blocking_{number}": each for number, each in enumerate(experiments)},
    ).model_copy(update=changes)


def loads() -> list[LoadResult]:
    return [
        LoadResult(block=0, arm=arm, attempt=0, start_monotonic_s=5.0, started_at=STARTED)
        for arm in ARMS
    ]


def page_of(run: Run, runs: Path, requests: list[RequestRow] | None = None) -> str:
    folder = RunFolder(runs, run)
    for slug in run.experiments if requests is not None else ():
        for arm in ARMS:
            where = {"experiment": slug, "block": 0, "arm": arm, "attempt": 0}
            reports = [] if arm == "baseline" else [report()]
            folder.add(where, {"requests": requests or [], "reports": reports})
    folder.finish()
    return results_page(run, folder.path, ROOT)


SOUND = result([block(), block(), block()], verdict=Verdict.PASS, loads=loads())

REQUESTS = [request(due_s=number / 50) for number in range(100)] + [request(took_s=None)]


def test_the_page_says_what_run_json_says(tmp_path: Path) -> None:
    text = text_of(page_of(run_with(Verdict.PASS, SOUND), tmp_path, REQUESTS))

    for words in ("PASS", SOUND.gain, SOUND.price, SOUND.title, "abacus", "abc"):
        assert " ".join(words.replace("`", " ").split()) in text
    for judged in (*SOUND.expectations, *SOUND.validity):
        assert " ".join(judged.says.replace("`", " ").split()) in text
        assert " ".join(observed(judged)) in text


def test_the_page_has_the_picture_the_ratios_and_the_fix(tmp_path: Path) -> None:
    page = page_of(run_with(Verdict.PASS, SOUND), tmp_path, REQUESTS)

    for title in ("Response time of every plain request", "Ratios and their limits"):
        assert f'aria-label="{title}' in page
    # A dot for each answered request of each arm.
    dots = re.findall(r'<path d="([^"]*)" class="dots (\w+)"', page)
    by_arm = [len(steps.split("h0")) - 1 for steps, style in dots if style in {"naive", "fixed"}]
    assert by_arm == [100, 100]


def test_the_page_needs_nothing_from_anywhere(tmp_path: Path) -> None:
    page = page_of(run_with(Verdict.PASS, SOUND, SOUND), tmp_path, REQUESTS)

    linked = re.findall(r'(?:src|href|action)="([^"]*)"', page)
    assert linked
    assert all(each.startswith("#loop_blocking_") for each in linked)
    assert "<script" not in page
    assert "url(" not in page
    assert "@import" not in page


BUSY = Noise(step="block 1: naive", taken_share=0.4, taken_by=("make (pid 7) 40%",))


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (run_with(Verdict.FAIL, result([block(fixed={"bystander.failed": 3})])), "In the way of a"),
        (
            run_with(
                Verdict.NO_VERDICT,
                SOUND.model_copy(update={"verdict": Verdict.NO_VERDICT, "noise": [BUSY]}),
            ),
            "Not to be relied on.",
        ),
        (run_with(Verdict.NO_VERDICT, interrupted=True), "The run was interrupted."),
        (
            run_with(
                Verdict.NO_VERDICT,
                ExperimentResult(
                    verdict=Verdict.NO_VERDICT, title="Cut off", load={}, error="the broker died"
                ),
            ),
            "The experiment was not finished: the broker died",
        ),
    ],
    ids=["a fail", "a busy machine", "interrupted", "an error"],
)
def test_a_run_that_did_not_pass_gets_a_page_that_helps(
    run: Run, said: str, tmp_path: Path
) -> None:
    assert said in text_of(page_of(run, tmp_path))


def test_what_a_user_wrote_is_not_taken_for_markup(tmp_path: Path) -> None:
    evil = SOUND.model_copy(update={"title": "<script>alert(1)</script>"})

    page = page_of(run_with(Verdict.PASS, evil), tmp_path)

    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_run_json_holds_all_that_the_page_shows(tmp_path: Path) -> None:
    run = run_with(Verdict.PASS, SOUND)
    folder = RunFolder(tmp_path, run)
    folder.finish()

    again = Run.model_validate(json.loads((folder.path / "run.json").read_text()))

    first, second = (results_page(each, folder.path, ROOT) for each in (run, again))
    assert first == second
