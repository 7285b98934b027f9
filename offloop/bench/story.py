"""What a run says in words, with its own measured values.

A text has fields in braces, and each is written so that it cannot say more than was measured:

- ``{naive.bystander.p99_ms}``: a value with its unit, and what it is: ``255 ms (p99 of 4,212)``;
- ``{naive.bystander.p99_ms / fixed.bystander.p99_ms}``: a ratio with its interval:
  ``121 (95% interval 112 to 133)``;
- ``{fixed.report.seen_p95_ms vs naive.report.seen_p95_ms}``: two values; where their ratio may be
  1, they are said to be about the same.
"""

import re
from collections.abc import Callable, Sequence

from offloop.measuring.catalogue import measure_named
from offloop.measuring.expressions import Expression, Observed, Term
from offloop.measuring.values import Block
from offloop.measuring.wording import cell_said, digits, name_said, value_said

#: Stands where a measure is missing.
NOT_MEASURED = "(not measured)"

_FIELD = re.compile(r"\{([^{}]*)\}")
_VERSUS = " vs "


def tell(text: str, blocks: Sequence[Block]) -> str:
    """Fill in the measured values of a text. Without blocks, the text is only checked.

    Raises:
        ValueError: a field is no expression, or a brace has no partner.
    """
    return _filled(text, lambda field: _said(field, blocks))


def cell(text: str, blocks: Sequence[Block]) -> str:
    """Fill in the values of a cell of a table: briefly, and nothing where one is missing."""
    said = _filled(text, lambda field: _brief(Expression.parse(field), blocks))
    return "" if NOT_MEASURED in said else said


def terms_in(text: str) -> tuple[Term, ...]:
    """Return every measure that a text tells of, which can be told."""
    expressions = [
        Expression.parse(part) for field in _FIELD.findall(text) for part in field.split(_VERSUS)
    ]
    return tuple(term for expression in expressions for term in expression.terms)


def _filled(text: str, said: Callable[[str], str]) -> str:
    if set("{}") & set(_FIELD.sub("", text)):
        raise ValueError("a brace has no partner: a measured value is written {ARM.MEASURE}")
    return _FIELD.sub(lambda match: said(match[1]), text)


def _said(field: str, blocks: Sequence[Block]) -> str:
    match field.split(_VERSUS):
        case [one]:
            expression = Expression.parse(one)
            observed = expression.over(blocks)
            if observed is None:
                return NOT_MEASURED
            if expression.denominator is not None:
                return _ratio(observed)
            measure = measure_named(expression.numerator.measure)
            name = name_said(measure, observed.n)
            return value_said(observed.value, measure) + (f" ({name})" if name else "")
        case [one, other]:
            return _compared(Expression.parse(one), Expression.parse(other), blocks)
        case _:
            raise ValueError(f"{{{field}}} compares more than two values")


def _ratio(observed: Observed) -> str:
    said = digits(observed.value)
    if observed.interval is None:
        return said
    low, high = map(digits, observed.interval)
    return f"{said} (95% interval {low} to {high})"


def _compared(one: Expression, other: Expression, blocks: Sequence[Block]) -> str:
    if one.denominator is not None or other.denominator is not None:
        raise ValueError("`vs` compares two measures, not ratios")
    ratio = Expression(one.numerator, other.numerator).over(blocks)
    sides = [each.over(blocks) for each in (one, other)]
    known = [each for each in sides if each is not None]
    if len(known) < len(sides):
        return NOT_MEASURED
    measures = [measure_named(each.numerator.measure) for each in (one, other)]
    first, second = (
        value_said(each.value, measure) for each, measure in zip(known, measures, strict=True)
    )
    names = [name_said(measure, each.n) for each, measure in zip(known, measures, strict=True)]
    named = f" ({' and '.join(dict.fromkeys(names))})" if all(names) else ""
    same = _may_be_equal(ratio) or known[0].value == known[1].value
    between = "about the same as" if same else "instead of"
    return f"{first}{',' if same else ''} {between} {second}{named}"


def _may_be_equal(ratio: Observed | None) -> bool:
    if ratio is None:
        return False
    low, high = ratio.interval or (ratio.value, ratio.value)
    return low <= 1 <= high


def _brief(expression: Expression, blocks: Sequence[Block]) -> str:
    observed = expression.over(blocks)
    if observed is None:
        return NOT_MEASURED
    if expression.denominator is not None:
        return digits(observed.value)
    return cell_said(observed.value, measure_named(expression.numerator.measure), observed.n)
