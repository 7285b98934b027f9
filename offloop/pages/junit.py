"""Verdicts as JUnit XML, which CI systems show: a test case for each expectation.

A broken expectation is a failure. What could not be judged is an error: it says nothing against
the code.
"""

from xml.etree.ElementTree import (
    Element,
    SubElement,
    indent,
    tostring,
)

from offloop.measuring.results import ExperimentResult, Run
from offloop.measuring.verdicts import Judged, Verdict
from offloop.pages.limits import fate, observed


def junit(run: Run) -> str:
    """Render a run: a suite for each experiment."""
    root = Element("testsuites", name="offloop bench", time=f"{run.wall_s:.1f}")
    root.extend(_suite(slug, result, run) for slug, result in run.experiments.items())
    for count in ("tests", "failures", "errors"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    indent(root)
    return tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _suite(slug: str, result: ExperimentResult, run: Run) -> Element:
    suite = Element("testsuite", name=slug, timestamp=run.started_at.isoformat())
    for judged in result.expectations:
        _case(suite, slug, judged, _kind(judged, result.verdict))
    for judged in result.validity:
        _case(suite, f"{slug}.validity", judged, None if judged.ok is True else "error")
    if result.error is not None:
        case = SubElement(suite, "testcase", classname=slug, name="the experiment was finished")
        SubElement(case, "error", message=result.error)
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("errors", str(len(suite.findall("testcase/error"))))
    return suite


def _kind(judged: Judged, verdict: Verdict) -> str | None:
    """Say whether an expectation is a failure or an error; None where it holds."""
    if judged.ok is True:
        return None
    return "failure" if judged.ok is False and verdict is Verdict.FAIL else "error"


def _case(suite: Element, classname: str, judged: Judged, kind: str | None) -> None:
    case = SubElement(suite, "testcase", classname=classname, name=judged.says)
    if kind is not None:
        values = " ".join(observed(judged)) or "nothing"
        message = f"{fate(judged)}: observed {values}, limit {judged.op} {judged.limit:g}"
        found = SubElement(case, kind, message=message)
        found.text = f"{judged.measure}\n{judged.why.strip()}"
