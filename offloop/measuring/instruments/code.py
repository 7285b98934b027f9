"""How much of one way to answer another changes: what a team would have to write."""

import ast
from difflib import SequenceMatcher
from pathlib import Path

from offloop.measuring.instruments.instrument import Instrument
from offloop.measuring.measure import Better, Kind, Measure, Unit
from offloop.measuring.rows import Rows
from offloop.measuring.values import Recorded

MEASURES = (
    Measure(
        "code.changed_lines", "lines changed", Unit.COUNT, Kind.LEVEL, Better.NEITHER, shown=False
    ),
)


class CodeSize(Instrument):
    """Counts the lines in which an arm's way to answer differs from the inline one.

    The arguments are those of `lines_changed_by`.
    """

    def __init__(self, way: str, inline: str, root: Path) -> None:
        self._way = way
        self._inline = inline
        self._root = root

    def measured(self, rows: Rows) -> Recorded:  # noqa: ARG002 - the code says it
        """Count them."""
        return Recorded(
            {"code.changed_lines": lines_changed_by(self._way, self._inline, self._root)}
        )


def lines_changed_by(way: str, inline: str, root: Path) -> int:
    """Count the lines of code in which a way differs from another, by the names of their modules.

    What the two import is not counted, such as a job tier.

    Args:
        way: The module that answers.
        inline: The module that it is compared with.
        root: The checkout.
    """
    before, after = (
        root.joinpath(*module.split(".")).with_suffix(".py").read_text(encoding="utf-8")
        for module in (inline, way)
    )
    return changed_lines(before, after)


def changed_lines(before: str, after: str) -> int:
    """Count the lines of code that are new, gone or different; one that changed counts once.

    Imports, docstrings, comments and layout do not count, nor do the routes that an attempt leaves
    as they are, nor what every module of routes has.

    Args:
        before: Source of the module that is changed.
        after: Source of the attempt.
    """
    blocks = SequenceMatcher(None, _code(before), _code(after), autojunk=False).get_opcodes()
    return sum(
        max(last - first, new_last - new_first)
        for kind, first, last, new_first, new_last in blocks
        if kind != "equal"
    )


def _code(source: str) -> list[str]:
    module = ast.parse(source)
    kept = [statement for statement in module.body if _counts(statement)]
    for statement in kept:
        for node in ast.walk(statement):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                node.body = [line for line in node.body if not _is_docstring(line)]
    text = "\n".join(map(ast.unparse, kept))
    return [line for line in text.splitlines() if line]


def _counts(statement: ast.stmt) -> bool:
    match statement:
        case ast.Import() | ast.ImportFrom():
            return False
        case ast.Assign(targets=[ast.Name(id="router" | "app")]):
            return False
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return not any("router.get" in ast.unparse(each) for each in statement.decorator_list)
        case _:
            return not _is_docstring(statement)


def _is_docstring(statement: ast.stmt) -> bool:
    match statement:
        case ast.Expr(value=ast.Constant(value=str())):
            return True
        case _:
            return False
