"""PromQL, put together from metrics that are listed.

Every selector names the job by the dashboard's variable, every rate looks back as far as Grafana
finds right for the scrape interval, and counters are added up after their rate is taken: added up
before, one process that starts again would look like a jump.
"""

from collections.abc import Sequence

from dashboards.metrics import SERIES

#: Grafana's own: at least four scrapes, and never shorter than a pixel.
WINDOW = "$__rate_interval"

#: What the dashboard's variable `job` says.
_JOB = 'job=~"$job"'


class UnknownSeriesError(Exception):
    """A query names a series or a label that `dashboards.metrics` does not list."""


def select(series: str, **labels: str) -> str:
    """Select series.

    Args:
        series: Name of the series.
        labels: What each label is; a value that begins with ``~`` or ``!`` is a regular
            expression that is to match, or a value that it is not to have.

    Raises:
        UnknownSeriesError: If there is no such series, or it has no such label.
    """
    _check(series, labels)
    matchers = [_JOB, *(f"{label}{_matcher(value)}" for label, value in labels.items())]
    return f"{series}{{{','.join(matchers)}}}"


def _matcher(value: str) -> str:
    operators = {"~": "=~", "!": "!="}
    if value[:1] in operators:
        return f'{operators[value[0]]}"{value[1:]}"'
    return f'="{value}"'


def _check(series: str, labels: Sequence[str] | dict[str, str]) -> None:
    if series not in SERIES:
        raise UnknownSeriesError(
            f"{series!r} is no series of a metric in dashboards/metrics.py; list its metric there"
        )
    if unknown := set(labels) - SERIES[series]:
        raise UnknownSeriesError(
            f"{series} has no label {', '.join(sorted(unknown))}; it has "
            f"{', '.join(sorted(SERIES[series]))}"
        )


def total(series: str, by: Sequence[str] = (), **labels: str) -> str:
    """Add up a gauge."""
    _check(series, by)
    return f"sum{_by(by)} ({select(series, **labels)})"


def rate(series: str, by: Sequence[str] = (), **labels: str) -> str:
    """Add up the rates of a counter, per second."""
    _check(series, by)
    return f"sum{_by(by)} (rate({select(series, **labels)}[{WINDOW}]))"


def quantile(share: float, histogram: str, by: Sequence[str] = (), **labels: str) -> str:
    """Estimate below what a share of the observations of a histogram was."""
    return f"histogram_quantile({share:g}, {rate(f'{histogram}_bucket', ('le', *by), **labels)})"


def mean(metric: str, by: Sequence[str] = (), **labels: str) -> str:
    """Divide the sum of a histogram or summary by its count."""
    observed = rate(f"{metric}_count", by, **labels)
    # Nothing was observed: there is no mean, rather than 0 / 0.
    return f"{rate(f'{metric}_sum', by, **labels)} / ({observed} > 0)"


def _by(labels: Sequence[str]) -> str:
    return f" by ({', '.join(labels)})" if labels else ""
