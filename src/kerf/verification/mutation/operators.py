"""What can be wrong with an expression: its faults as texts, of the same width and sign so that nothing else changes its meaning.

The classic operators of mutation testing (King and Offutt, "A Fortran language system for mutation-based software testing", 1991) for
hardware: operators, constants off by one, conditions, words confused, selections shifted by one bit, wrong signs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from kerf.verification.mutation.mutant import grouped

Text = Callable[[Any], str | None]
Fault = tuple[str, str]  # kind, text in place of the expression

COMPARISONS = {
    "LessThan": ("<=", ">", ">="), "LessThanEqual": ("<", ">", ">="), "GreaterThan": (">=", "<", "<="), "GreaterThanEqual": (">", "<", "<="),
    "Equality": ("!=", ">=", "<="), "Inequality": ("==", "<", ">"), "CaseEquality": ("!=",), "CaseInequality": ("==",),
}  # fmt: skip
REPLACED = {
    "Add": ("-", "|"), "Subtract": ("+",), "Multiply": ("+",), "Divide": ("-",), "Mod": ("-",), "BinaryAnd": ("|", "^"), "BinaryOr": ("&", "^"),
    "BinaryXor": ("~^", "|", "&"), "BinaryXnor": ("^",), "LogicalAnd": ("||",), "LogicalOr": ("&&",), "LogicalShiftLeft": (">>",),
    "LogicalShiftRight": ("<<",), "ArithmeticShiftLeft": (">>",), "ArithmeticShiftRight": (">>", "<<"), **COMPARISONS,
}  # fmt: skip
ORDERS = {"LessThan": "<", "LessThanEqual": "<=", "GreaterThan": ">", "GreaterThanEqual": ">="}
KEEPS_LEFT = ("Add", "Subtract", "LogicalAnd", "LogicalOr", "BinaryAnd", "BinaryOr", "BinaryXor", "LogicalShiftLeft", "LogicalShiftRight", "ArithmeticShiftRight")  # fmt: skip
KEEPS_RIGHT = ("LogicalAnd", "LogicalOr", "BinaryAnd", "BinaryOr", "BinaryXor")
REDUCTIONS = {"BitwiseAnd": ("|", "^"), "BitwiseOr": ("&", "^"), "BitwiseXor": ("|", "~^"), "BitwiseNand": ("~|",), "BitwiseNor": ("~&",), "BitwiseXnor": ("^",)}  # fmt: skip
NUMBER = re.compile(r"(?:(\d[\d_]*)?\s*'(s?)([bodh])\s*)?([0-9a-f_]+)$", re.I)
BASES = {"b": (2, "b"), "o": (8, "o"), "d": (10, "d"), "h": (16, "x")}


def binary(node: Any, text: Text) -> Iterator[Fault]:
    left, right = text(node.left), text(node.right)
    if left is None or right is None:
        return
    name, a, b = node.op.name, grouped(left), grouped(right)
    if name in COMPARISONS and is_constant(node.right) and node.right.type.bitWidth == 1:
        yield "operator", f"{a} {REPLACED[name][0]} {b}"  # one bit has no order
        return
    for other in REPLACED.get(name, ()):
        if other in ("<=", "<", ">", ">=") and not (node.left.type.isIntegral and node.left.type.bitWidth > 1):  # fmt: skip
            continue
        yield ("comparison" if name in COMPARISONS else "operator"), f"{a} {other} {b}"
    if name in ORDERS and plain(node.left).type.isSigned and plain(node.right).type.isSigned:
        yield "sign", f"$unsigned({left}) {ORDERS[name]} $unsigned({right})"
    if name in KEEPS_LEFT:
        yield "operand", left
    if name in KEEPS_RIGHT:
        yield "operand", right
    if name == "Subtract":
        yield "operand", f"{b} - {a}"


def unary(node: Any, text: Text) -> Iterator[Fault]:
    inner = text(node.operand)
    if inner is None:
        return
    name = node.op.name
    if name == "LogicalNot":
        wide = node.operand.type.bitWidth > 1
        yield "negation", f"{grouped(inner)} != 0" if wide else inner
    elif name in ("BitwiseNot", "Minus") and not is_constant(node):
        yield "negation", inner
    for other in REDUCTIONS.get(name, ()):
        yield "operator", f"{other}{grouped(inner)}"


def condition(node: Any, text: Text) -> Iterator[Fault]:
    """Of an if, or of a choice between two values."""
    inner = text(node)
    if inner is None:
        return
    inside = plain(node)
    kind = type(inside).__name__
    compared = kind == "BinaryExpression" and inside.op.name in COMPARISONS
    if not compared and not (kind == "UnaryExpression" and inside.op.name == "LogicalNot"):
        yield "condition", f"!{grouped(inner)}"
    yield "condition", "1'b1"
    yield "condition", "1'b0"


def number(node: Any, text: Text) -> Iterator[Fault]:
    """One more, one less: in the same base and width."""
    inner = text(node)
    found = NUMBER.fullmatch(inner.strip()) if inner else None
    if found is None:
        return
    size, signed, letter, digits = found.groups()
    base, form = BASES[(letter or "d").lower()]
    value = int(digits.replace("_", ""), base)
    bits = int(size.replace("_", "")) if size else 32
    prefix = inner[: len(inner) - len(digits)] if inner else ""
    for other in dict.fromkeys(((value + 1) % (1 << bits), value - 1)):
        if other >= 0 and other != value and not (signed and other >> (bits - 1)):
            shown = format(other, form) if form != "b" else format(other, f"0{len(digits.replace('_', ''))}b")  # fmt: skip
            yield "constant", f"{prefix}{shown}"


def selection(node: Any, text: Text) -> Iterator[Fault]:
    """A part-select one bit higher, one bit lower, or short of its highest bit."""
    word, left, right = text(node.value), constant(node.left), constant(node.right)
    bounds = node.value.type.fixedRange if node.value.type.isIntegral else None
    if word is None or left is None or right is None or bounds is None or node.selectionKind.name != "Simple":
        return
    low, high = sorted((bounds.left, bounds.right))
    if max(left, right) < high:
        yield "selection", f"{word}[{left + 1}:{right + 1}]"
    if min(left, right) > low:
        yield "selection", f"{word}[{left - 1}:{right - 1}]"
    if left > right:
        yield "width", f"{word}[{left - 1}:{right}]"


def index(node: Any, text: Text) -> Iterator[Fault]:
    """Of a bit or a memory word, in place of its selector: the neighbour's."""
    inner, at = text(node.selector), constant(node.selector)
    if at is None and inner is not None and plain(node.selector).type.isIntegral:
        yield "selection", f"{grouped(inner)} ^ 1'b1"
    elif at is not None and node.value.type.hasFixedRange:
        bounds = node.value.type.fixedRange
        low, high = sorted((bounds.left, bounds.right))
        yield from (("selection", str(n)) for n in (at - 1, at + 1) if low <= n <= high)


def stuck(width: int, signed: bool) -> Iterator[Fault]:
    """What is assigned, all zeros or all ones."""
    yield "stuck", f"{width}'sd0" if signed else "'0"
    yield "stuck", f"~{width}'sd0" if signed else "'1"


def stuck_bit(inner: str, width: int, signed: bool) -> Iterator[tuple[Fault, tuple[int, int, int]]]:
    """One bit of what is assigned: the fault, and (width, bit, value)."""
    for bit in range(width):
        mark = f"{width}'{'sh' if signed else 'h'}{1 << bit:x}"
        yield ("stuck bit", f"{grouped(inner)} | {mark}"), (width, bit, 1)
        yield ("stuck bit", f"{grouped(inner)} & ~{mark}"), (width, bit, 0)


def plain(node: Any) -> Any:
    """Without the conversions that the language adds."""
    while type(node).__name__ == "ConversionExpression" and node.isImplicit:
        node = node.operand
    return node


def is_constant(node: Any) -> bool:
    return constant(node) is not None


def constant(node: Any) -> int | None:
    """The value of a literal or a parameter without unknown bits."""
    inside = plain(node)
    kind = type(inside).__name__
    if kind in ("IntegerLiteral", "UnbasedUnsizedIntegerLiteral"):
        value = inside.value
    elif kind == "NamedValueExpression" and inside.symbol.kind.name in ("Parameter", "EnumValue"):
        value = inside.symbol.value.value
    else:
        return None
    if not hasattr(value, "hasUnknown") or value.hasUnknown:
        return None
    return int(value)
