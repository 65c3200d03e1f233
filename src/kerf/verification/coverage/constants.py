"""Constants of a design's source."""

from __future__ import annotations

import re
from typing import Any

from kerf.verification.design import Design

LITERAL = re.compile(r"^(?:(\d+)?\s*'s?([bodh])\s*([0-9a-f_]+)|(\d[\d_]*))$", re.I)
BASES = {"b": 2, "o": 8, "d": 10, "h": 16}


def constant_of(expression: Any) -> int | None:
    """The value of a literal, a parameter or an enumeration's member in slang's AST; None for what is no known constant."""
    while hasattr(expression, "operand") and expression.constant is None:
        expression = expression.operand
    symbol = getattr(expression, "symbol", None)
    constant: Any = (
        getattr(symbol, "value", None) or expression.constant or getattr(expression, "value", None)
    )
    if hasattr(constant, "convertToInt"):
        constant = constant.convertToInt().value
    try:
        return int(constant)
    except (TypeError, ValueError):  # none, or with unknown bits
        return None


def syntax_of(expression: Any) -> Any:
    """Where an expression stands in the source; what slang put around it (conversions) stands nowhere."""
    while expression.syntax is None and hasattr(expression, "operand"):
        expression = expression.operand
    return expression.syntax


def literal(text: str) -> int | None:
    """A number as Verilog writes it; None for anything else."""
    found = LITERAL.match(text.strip())
    if found is None:
        return None
    if found[4]:
        return int(found[4].replace("_", ""))
    return int(found[3].replace("_", ""), BASES[found[2].lower()])


def mined(design: Design, most: int = 512) -> list[int]:
    """Numbers that the source compares and assigns, distinct, small ones first."""
    found: set[int] = set()

    def visit(node: Any) -> None:
        name = type(node).__name__
        if name in ("IntegerLiteral", "UnbasedUnsizedIntegerLiteral") or (
            name == "NamedValueExpression" and hasattr(node.symbol, "value")
        ):
            value = constant_of(node)
            if value is not None and 0 <= value < 1 << 64:
                found.add(value)

    design.root.visit(visit)
    return sorted(found)[:most]
