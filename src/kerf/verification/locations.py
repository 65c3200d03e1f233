"""Where in the source things stand, told with the user's names of the files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kerf.verification.design import Design


def locator(design: Design) -> Callable[[Any], str]:
    """A function from slang's locations to "file:line"."""
    manager = design.compilation.sourceManager
    names = {
        tree.root.sourceRange.start.buffer: source.name
        for tree, source in zip(design.compilation.getSyntaxTrees(), design.sources)
    }

    def place(location: Any) -> str:
        original = manager.getFullyOriginalLoc(location)
        file = names.get(original.buffer) or manager.getFileName(original)
        return f"{file}:{manager.getLineNumber(original)}"

    return place


def assignments(design: Design) -> dict[str, tuple[str, ...]]:
    """Signal (its name in the graph) -> the lines that assign it."""
    place, found = locator(design), dict[str, dict[str, None]]()
    prefix = design.top + "."

    def visit(node: Any) -> None:
        if type(node).__name__ == "AssignmentExpression":
            target = node.left
            while not hasattr(target, "symbol") and hasattr(target, "value"):
                target = target.value
            if hasattr(target, "symbol"):
                name = str(target.symbol.hierarchicalPath).removeprefix(prefix)
                found.setdefault(name, {})[place(node.sourceRange.start)] = None

    design.root.visit(visit)
    return {name: tuple(lines) for name, lines in found.items()}
