"""A flame graph of the stacks that py-spy saw: how wide a function is, is its share of the time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from offloop.pages.charts.plot import Chart, Drawing

_WIDTH = 860
_ROW = 17

#: Functions that are narrower than this many pixels are left out.
_NARROWEST = 2.0

#: Pixels of a character of a label, about.
_CHARACTER = 6.2

#: A stack: its functions, outermost first, and how often it was seen.
Stack = tuple[Sequence[str], int]


@dataclass
class _Node:
    samples: int = 0
    callees: dict[str, "_Node"] = field(default_factory=dict)


def flame(stacks: Iterable[Stack], ours: str, style: str) -> Chart:
    """Draw the functions on top of each other, callers below their callees.

    Args:
        stacks: What was seen.
        ours: What the names of the project's own functions contain: they are drawn in full colour.
        style: The style class of the arm.
    """
    root = _Node()
    for functions, samples in stacks:
        root.samples += samples
        node = root
        for function in functions:
            node = node.callees.setdefault(function, _Node())
            node.samples += samples
    depth = _depth(root, root.samples)
    drawing = Drawing(_WIDTH, 8 + _ROW * max(depth, 1))
    _draw(drawing, root, 0.0, depth - 1, (root.samples, ours, style))
    top = max(root.callees.items(), key=lambda each: each[1].samples, default=("nothing", root))
    return drawing.chart("Where the time went", f"{root.samples} samples, most of them in {top[0]}")


def _width(node: _Node, total: int) -> float:
    return _WIDTH * node.samples / total if total else 0.0


def _depth(node: _Node, total: int) -> int:
    seen = [each for each in node.callees.values() if _width(each, total) >= _NARROWEST]
    return max((1 + _depth(each, total) for each in seen), default=0)


def _draw(drawing: Drawing, node: _Node, x: float, row: int, drawn: tuple[int, str, str]) -> None:
    total, ours, style = drawn
    for function, callee in sorted(node.callees.items()):
        width = _width(callee, total)
        if width >= _NARROWEST:
            y = 4 + _ROW * row
            share = callee.samples / total
            light = "" if ours in function else " light"
            drawing.rectangle(
                x, y, width - 1, _ROW - 2, f"bar {style}{light}", f"{function}: {share:.0%}"
            )
            label = function[: int((width - 6) / _CHARACTER)]
            if len(label) > 2:  # noqa: PLR2004 - fewer letters say nothing
                drawing.text(x + 3, y + _ROW - 6, label, "small")
            _draw(drawing, callee, x, row - 1, drawn)
        x += width
