"""Slips of one token: a literal, a parameter, a condition, an operator."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kerf.verification.repair.change import Change, Edit, Values, constant
from kerf.verification.repair.ground import MOST_LITERAL, Ground, choice, fitted
from kerf.verification.repair.source import Constant, Expr

ALTERNATIVES = {
    "Equality": ("!=", "<", ">", "<=", ">="), "Inequality": ("==", "<", ">"),
    "LessThan": ("<=", ">", ">=", "==", "<<"), "LessThanEqual": ("<", ">=", ">", "=="),
    "GreaterThan": (">=", "<", "<=", "==", ">>"), "GreaterThanEqual": (">", "<=", "<", "=="),
    "Add": ("-",), "Subtract": ("+",), "BinaryAnd": ("|", "^"), "BinaryOr": ("&", "^"), "BinaryXor": ("&", "|"),
    "LogicalAnd": ("||",), "LogicalOr": ("&&",), "LogicalShiftLeft": (">>",), "LogicalShiftRight": ("<<",),
    "ArithmeticShiftRight": ("<<", ">>"), "ArithmeticShiftLeft": (">>",),
}  # fmt: skip
UNARY = {
    "BitwiseNot": ("", "!"), "LogicalNot": ("", "~"), "Minus": ("", "~"), "BitwiseAnd": ("|", "^"), "BitwiseOr": ("&", "^"),
    "BitwiseXor": ("~^", "|"),
}  # fmt: skip


class Slips(Ground):
    """Changes within an expression that bring no new word into it."""

    def _literal(self, e: Expr) -> Iterator[Change]:
        sized = "'" in e.text
        width = e.width if sized else min(32, max(e.wanted, e.value.bit_length(), 1))
        if not 0 < width <= MOST_LITERAL or (e.role == "index" and width > 16):
            return
        enable, hole = self._new("e"), self._new()
        value = fitted(hole, width, e.width, e.signed)
        yield Change(
            "replace literal", e.process.module, enable, ((hole, width),), (self._wrap(e.span, f"({enable} ? {value} : (", "))"),),
            lambda v: [Edit(e.span, constant(width, v(hole), e.text))], 2, near={hole: e.value},
        )  # fmt: skip

    def _constant(self, c: Constant) -> Iterator[Change]:
        if not 0 < c.width <= MOST_LITERAL:
            return
        enable, hole = self._new("e"), self._new()
        value = f"$signed({hole})" if c.signed else hole
        known = self.places.expressions
        inserts = tuple(
            self._wrap(u, f"({enable} ? {value} : (", "))")
            for u in c.uses
            if u in known and known[u].role != "port"
        )
        if inserts:
            yield Change(
                "replace parameter", c.module, enable, ((hole, c.width),), inserts,
                lambda v: [Edit(c.span, constant(c.width, v(hole), self.text(c.span)))], 2, near={hole: c.value}, edited=c.span,
            )  # fmt: skip

    def _inverted(self, e: Expr) -> Iterator[Change]:
        enable = self._new("e")

        def edits(v: Values) -> list[Edit]:
            simple = re.fullmatch(r"[!~]\s*(\w+)", e.text)
            plain = re.fullmatch(r"[\w.\[\]]+", e.text)
            return [Edit(e.span, simple.group(1) if simple else f"!{e.text}" if plain else f"!({e.text})")]

        yield Change(
            "invert condition", e.process.module, enable, (), (self._wrap(e.span, f"({enable} ? !({e.text}) : (", "))"),),
            edits, 2,
        )  # fmt: skip

    def _operator(self, e: Expr) -> Iterator[Change]:
        if e.kind == "binary":
            a, b = (self.text(s) for s in e.parts)
            texts = [f"{a} {o} {b}" for o in ALTERNATIVES.get(e.operator, ()) if o not in ("<<", ">>") or e.wanted > 1 or "Shift" in e.operator]  # fmt: skip
            texts += [f"{b} - {a}"] if e.operator == "Subtract" else []
        else:
            a = self.text(e.parts[0])
            texts = [f"{o}{a}" for o in UNARY.get(e.operator, ()) if o != "!" or e.wanted == 1]
        if texts:
            yield from self._instead(e, "replace operator", texts, 2)

    def _instead(self, e: Expr, template: str, texts: Sequence[str], weight: int) -> Iterator[Change]:
        """One of `texts` in place of an expression."""
        enable, hole = self._new("e"), self._new()
        bits = max((len(texts) - 1).bit_length(), 1)
        chosen = choice(hole, bits, texts)
        yield Change(
            template, e.process.module, enable, ((hole, bits),), (self._wrap(e.span, f"({enable} ? {chosen} : (", "))"),),
            lambda v: [Edit(e.span, texts[min(v(hole), len(texts) - 1)])], weight,
        )  # fmt: skip
