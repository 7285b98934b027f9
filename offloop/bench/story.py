"""What a run says in words, with its own measured values."""

from collections.abc import Iterable, Mapping, Sequence
from string import Formatter

from offloop.bench.expressions import Expression, Measures, observe

#: Stands where a measure is missing.
NOT_MEASURED = "(not measured)"


class _Values(Formatter):
    """Formats ``{EXPRESSION:FORMAT}`` with the median over blocks."""

    def __init__(self, blocks: Sequence[Mapping[str, Measures]]) -> None:
        self._blocks = blocks

    def parse(self, format_string: str) -> Iterable[tuple[str, str | None, str | None, str | None]]:
        """Split at the last colon of a field: those before it belong to the measure."""
        for text, field, form, conversion in super().parse(format_string):
            if field is None or not form:
                yield text, field, form, conversion
            else:
                measure, _, form_alone = f"{field}:{form}".rpartition(":")
                yield text, measure, form_alone, conversion

    def get_field(
        self,
        field_name: str,
        args: Sequence[object],  # noqa: ARG002 - values come from the blocks
        kwargs: Mapping[str, object],  # noqa: ARG002
    ) -> tuple[float | None, str]:
        measure, _, unit = field_name.partition("|")
        if unit not in _FACTORS:
            units = ", ".join(filter(None, _FACTORS))
            raise ValueError(f"{unit!r} is not a unit to convert to; there is {units}")
        value = observe(measure, self._blocks)
        return (None if value is None else value * _FACTORS[unit]), field_name

    def format_field(self, value: float | None, format_spec: str) -> str:
        # Also the format of a missing value is used, so that a wrong one is noticed before a run.
        shown = format(0.0 if value is None else value, format_spec)
        return NOT_MEASURED if value is None else shown


#: Units a text may convert a measure to, by what they multiply it with.
_FACTORS = {"": 1.0, "s": 1e-3, "MB": 1e-6}


def arms_in(text: str) -> frozenset[str]:
    """Return the arms that a text tells of, which can be told."""
    fields = [field for _, field, *_ in _Values([]).parse(text) if field is not None]
    expressions = [Expression.parse(field.partition("|")[0]) for field in fields]
    return frozenset(term.arm for expression in expressions for term in expression.terms)


def tell(text: str, blocks: Sequence[Mapping[str, Measures]]) -> str:
    """Fill in the measured values of a text.

    ``{naive.bystander.p99_ms:.0f}`` is a measure, ``{… / …:.0f}`` a ratio, and after a ``|``
    stands a unit to convert to: ``{naive.report.ready_p95_ms|s:.1f}``. The format stands behind
    the last colon, because there may be others: ``{naive.after:kill.bystander.p99_ms:.0f}``.
    Without blocks nothing is measured, and only the text is checked.

    Raises:
        ValueError: a field is no expression, or its unit or format does not exist.
    """
    return _Values(blocks).format(text)
