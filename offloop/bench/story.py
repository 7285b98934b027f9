"""What a run says in words, with its own measured values."""

from collections.abc import Mapping, Sequence
from string import Formatter

from offloop.bench.expressions import Measures
from offloop.bench.verdicts import observe


class _Values(Formatter):
    """Formats ``{EXPRESSION:FORMAT}`` with the median over blocks."""

    def __init__(self, blocks: Sequence[Mapping[str, Measures]]) -> None:
        self._blocks = blocks

    def get_field(
        self,
        field_name: str,
        args: Sequence[object],  # noqa: ARG002 - values come from the blocks
        kwargs: Mapping[str, object],  # noqa: ARG002
    ) -> tuple[float | None, str]:
        _, slash, unit = field_name.partition("|")
        value = observe(field_name.removesuffix(slash + unit), self._blocks)
        return (None if value is None else value * _FACTORS[unit]), field_name

    def format_field(self, value: float | None, format_spec: str) -> str:
        return "(not measured)" if value is None else format(value, format_spec)


#: Units a text may convert a measure to, by what they multiply it with.
_FACTORS = {"": 1.0, "s": 1e-3, "MB": 1e-6}


def tell(text: str, blocks: Sequence[Mapping[str, Measures]]) -> str:
    """Fill in the measured values of a text.

    ``{naive.bystander.p99_ms:.0f}`` is a measure, ``{… / …:.0f}`` a ratio, and after a ``|``
    stands a unit to convert to: ``{naive.report.ready_p95_ms|s:.1f}``.
    """
    return _Values(blocks).format(text)
