"""How values are written for people: unit, digits, and how many values they rest on."""

from math import isinf

from offloop.measuring.measure import Kind, Measure, Unit

#: Stands for what never came.
NEVER_SAID = "never"

_MS_IN_S = 1000
_BYTES_IN_MB = 1e6
_TENTH_OF_A_PERCENT = 0.001


def value_said(value: float, measure: Measure) -> str:
    """Write a value with its unit."""
    if isinf(value):
        return NEVER_SAID
    match measure.unit:
        case Unit.MS if abs(value) >= _MS_IN_S:
            said = f"{value / _MS_IN_S:,.2f} s"
        case Unit.BYTES:
            said = f"{digits(value / _BYTES_IN_MB)} MB"
        case Unit.SHARE:
            said = _share(value)
        case Unit.COUNT:
            said = f"{value:,.0f}"
        case Unit.RATIO:
            said = digits(value)
        case unit:
            said = f"{digits(value)} {unit}"
    return said


def _share(value: float) -> str:
    """Write a share; one that is neither nothing nor everything is not written as one of these."""
    if 0 < value < _TENTH_OF_A_PERCENT:
        return "<0.1%"
    if 1 - _TENTH_OF_A_PERCENT < value < 1:
        return ">99.9%"
    whole = value in {0, 1} or 0.01 <= value <= 0.99  # noqa: PLR2004
    return f"{100 * value:.{0 if whole else 1}f}%"


def digits(value: float) -> str:
    """Write a number with as many digits as it is worth: 0.93, 2.1, 254."""
    if isinf(value):
        return "unbounded"
    if abs(value) >= 100:  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"  # noqa: PLR2004


def name_said(measure: Measure, n: int) -> str:
    """Name a value of a sample by what it is: ``p99 of 4,212``, ``slowest of 2``; or nothing.

    A p95 of fewer than 20 values is the largest of them, and is called that.
    """
    if measure.sample is None or measure.kind is Kind.SHARE:
        return ""
    if measure.kind is Kind.MAXIMUM or n < measure.needs:
        return f"slowest of {n:,}"
    if measure.percent == 50:  # noqa: PLR2004
        return f"median of {n:,}"
    return f"p{measure.percent:g} of {n:,}"


def cell_said(value: float, measure: Measure, n: int | None) -> str:
    """Write a value for a cell of a table; a percentile of few values as what it is.

    How many values there are is in a row of its own, above the percentiles.
    """
    said = value_said(value, measure)
    few = n is not None and measure.kind is Kind.PERCENTILE and n < measure.needs
    return f"{said} (slowest of {n:,})" if few and measure.percent > 50 else said  # noqa: PLR2004
