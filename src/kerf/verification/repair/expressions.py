"""Expressions of a process as places, from slang's syntax tree."""

from __future__ import annotations

from typing import Any

from kerf.verification.design import Design
from kerf.verification.repair.source import Expr, Mention, Module, Places, Process, Span, uncommented
from kerf.verification.repair.syntax import (
    bits_of,
    compared_bits,
    counts_down,
    index_bits,
    integer,
    is_constant,
    names_read,
    uses_in,
)

COMPARISONS = {"Equality", "Inequality", "CaseEquality", "CaseInequality", "GreaterThan", "GreaterThanEqual", "LessThan", "LessThanEqual", "WildcardEquality", "WildcardInequality"}  # fmt: skip
LOGICAL = {"LogicalAnd", "LogicalOr"}
SHIFTS = {"LogicalShiftLeft", "LogicalShiftRight", "ArithmeticShiftLeft", "ArithmeticShiftRight"}


class ExpressionReader:
    """What a walk has found, the module and process that it is in, and how to note an expression. Macros, functions and included files are left alone."""

    def __init__(self, design: Design) -> None:
        self.design, self.found = design, Places()
        self.manager = design.compilation.sourceManager
        trees = design.compilation.getSyntaxTrees()
        self.buffers = {
            t.root.sourceRange.start.buffer.id: s for t, s in zip(trees, design.sources, strict=True)
        }
        self.texts = {s.name: s.text.encode("utf-8", "surrogateescape") for s in design.sources}
        self.process: Process | None = None
        self.target = ""
        self.uses: dict[tuple[str, str], dict[Span, None]] = {}
        self.local = 0
        self.own: set[tuple[str, int]] = set()  # what the module at hand declares
        self.numbers: dict[tuple[str, int], int] = {}
        self.pattern = False  # whether the next `if` is the one of an asynchronous reset
        self.module: Module

    def span(self, where: Any) -> Span | None:
        """None for places that are not in a file of the design."""
        start, end = where.start, where.end
        if not self.manager.isFileLoc(start) or not self.manager.isFileLoc(end):
            return None
        source = self.buffers.get(start.buffer.id)
        return Span(source.name, start.offset, end.offset) if source and end.offset >= start.offset else None

    def text(self, span: Span) -> str:
        return uncommented(self.texts[span.source][span.start : span.end].decode("utf-8", "surrogateescape"))

    def _expression(self, e: Any, role: str, wanted: int) -> None:
        if not e.type.isIntegral:
            return
        kind = type(e).__name__
        if kind == "ConversionExpression":
            if e.isImplicit:
                self._expression(e.operand, role, min(wanted, int(e.type.bitWidth)) or wanted)
            return
        if kind == "IntegerLiteral":
            self._literal(e, role, wanted)
        elif kind == "UnbasedUnsizedIntegerLiteral":
            pass
        elif kind == "NamedValueExpression":
            self._name(e, role, wanted)
        elif kind == "UnaryExpression":
            self._unary(e, role, wanted)
        elif kind == "BinaryExpression":
            self._binary(e, role, wanted)
        elif kind == "ConditionalExpression":
            for condition in e.conditions:
                self._condition(condition.expr)
            self._expression(e.left, "value", wanted)
            self._expression(e.right, "value", wanted)
            self._note(e, "other", role, wanted)
        elif kind == "ConcatenationExpression":
            for part in e.operands:
                self._expression(part, "value", int(part.type.bitWidth) if part.type.isIntegral else 0)
        elif kind == "ElementSelectExpression":
            self._index(e)
            self._note(e, "other", role, wanted)
        elif kind in ("RangeSelectExpression", "MemberAccessExpression"):
            self._note(e, "other", role, wanted)

    def _condition(self, e: Any) -> None:
        """A constant one stays: what it leaves out may not even compile."""
        if not is_constant(e):
            self._expression(e, "condition", 1)
            self._mentions(e)

    def _mentions(self, e: Any) -> None:
        """Variables without a sign of the module itself that a whole expression names, in places that all lie in a file."""
        whole = self.span(e.sourceRange)
        if whole is None or self.process is None:
            return
        for symbol, ranges in uses_in(e):
            spans, word = [self.span(r) for r in ranges], self.module.words.get(symbol.name)
            usual = word and word.kind == "variable" and not word.signed and counts_down(symbol.type)
            uses = tuple(s for s in spans if s)
            if word and usual and self._is_own(symbol) and len(uses) == len(spans):
                made = Mention(whole, word.name, word.width, uses, self.process, self.target)
                self.found.mentions.setdefault((whole, word.name), made)

    def _index(self, e: Any) -> None:
        """An array of nets can be indexed by constants alone, which no wire may stand for."""
        if e.value.type.isIntegral or not is_constant(e.selector):
            self._expression(e.selector, "index", index_bits(e.value))

    def _note(self, e: Any, kind: str, role: str, wanted: int, **more: Any) -> None:
        span = self.span(e.sourceRange)
        if span is None or self.process is None:
            return
        text = self.text(span)
        made = Expr(span, kind, role, int(e.type.bitWidth), bool(e.type.isSigned), text, wanted, self.process, self.target, **more)  # fmt: skip
        known = self.found.expressions.setdefault(span, made)
        if (known.width, known.signed) != (made.width, made.signed):
            self.found.varying.add(span)
        if role == "condition" and not self.local and made.width == 1:
            self.module.conditions.setdefault(text, tuple(names_read(e)))

    def _literal(self, e: Any, role: str, wanted: int) -> None:
        value = integer(e.value)
        if value is not None:
            self._note(e, "literal", role, wanted, value=value)

    def _name(self, e: Any, role: str, wanted: int) -> None:
        symbol = e.symbol
        span = self.span(e.sourceRange)
        word = self.module.words.get(symbol.name)
        if span is None or word is None or not self._is_own(symbol):
            return
        if word.kind == "parameter":
            self.uses.setdefault((self.module.name, symbol.name), {})[span] = None
        self._note(e, "name", role, wanted)

    def _is_own(self, symbol: Any) -> bool:
        """Declared in the module itself: neither a loop variable nor in a generate block or function."""
        return (symbol.name, symbol.location.offset) in self.own

    def _unary(self, e: Any, role: str, wanted: int) -> None:
        operator = str(e.op).rpartition(".")[2]
        inside = wanted if operator in ("Plus", "Minus", "BitwiseNot") else bits_of(e.operand)
        self._expression(e.operand, "condition" if operator == "LogicalNot" else "value", inside)
        part = self.span(e.operand.sourceRange)
        if part:
            self._note(e, "unary", role, wanted, operator=operator, parts=(part,))

    def _binary(self, e: Any, role: str, wanted: int) -> None:
        operator = str(e.op).rpartition(".")[2]
        if operator in COMPARISONS:
            bits = compared_bits(e.left, e.right)
            sides = [("operand", bits), ("operand", bits)]
        elif operator in LOGICAL:
            sides = [("condition", 1), ("condition", 1)]
        elif operator in SHIFTS:
            sides = [("value", wanted), ("index", max(wanted, 1).bit_length())]
        else:
            sides = [("value", wanted), ("value", wanted)]
        for side, (inner, bits) in zip((e.left, e.right), sides):
            self._expression(side, inner, bits)
        parts = tuple(s for s in (self.span(e.left.sourceRange), self.span(e.right.sourceRange)) if s)
        if len(parts) == 2:
            self._note(e, "binary", role, wanted, operator=operator, parts=parts)
