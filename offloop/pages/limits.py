"""An expectation or a check of validity in words, for every page."""

from offloop.measuring.verdicts import Judged, Status
from offloop.measuring.wording import digits


def observed(judged: Judged) -> list[str]:
    """Say what was observed: the value, its interval, and what it depends on; a part a line."""
    if judged.status is Status.MISSING or (judged.observed is None and judged.low is None):
        return ["never"] if judged.status is Status.NEVER else []
    parts = ["never" if judged.observed is None else digits(judged.observed)]
    if judged.low is not None:
        high = "unbounded" if judged.high is None else digits(judged.high)
        parts.append(f"({digits(judged.low)} to {high})")
    if judged.depends_on:
        parts.append(f"at {judged.depends_on}")
    if judged.typical_second is not None:
        parts.append(f"in a typical second {digits(judged.typical_second)}")
    return parts


def fate(judged: Judged) -> str:
    """Say in a word what became of it."""
    match judged.ok:
        case True:
            return "ok"
        case False:
            return "broken"
        case None:
            return "undecided" if judged.undecided else "missing"
