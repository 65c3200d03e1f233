"""Where faults can be put: slang's elaborated design, walked for what its processes, assignments and connections compute.

What would make another kind of hardware of it stays as it is: clocks and asynchronous resets and all that drives them, bounds of loops, and
assignments whose loss would leave a latch. Code from macros and included files is left alone too: it is not the sources' own text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from kerf.verification.design import Design
from kerf.verification.model import RESET_NAMES
from kerf.verification.mutation import operators
from kerf.verification.mutation.mutant import COMMENT, Mutant
from kerf.verification.mutation.operators import Fault, constant, plain

Key = tuple[Any, int]  # where a symbol is declared
CONFUSED = 2  # other words that a word is taken for, at one place


@dataclass(frozen=True)
class Sites:
    """`headers`: of each module's definition (a number) its file and the byte after its header, where a declaration may stand."""

    mutants: tuple[Mutant, ...]
    headers: dict[int, tuple[str, int]]


@dataclass(frozen=True)
class _Word:
    """A signal that another may be mistaken for. `steady`: a register or an input, which closes no loop of gates."""

    name: str
    key: Key
    shape: tuple[int, bool, str]
    steady: bool


@dataclass(frozen=True)
class _Place:
    """Around a statement. `levels`: conditions from here that asynchronous resets are recognized by; `given`: words assigned before on every way."""

    module: tuple[int, str]
    words: tuple[_Word, ...]
    clocked: bool = False
    levels: int = 0
    asynchronous: bool = False
    reset: bool = False
    target: Key | None = None
    given: frozenset[Key] = frozenset()


def find(design: Design) -> Sites:
    """Every fault of every operator, in the order of the source."""
    finder = _Finder(design)
    finder.instance(design.root)
    order = {s.name: i for i, s in enumerate(design.sources)}
    rows = sorted(finder.found.values(), key=lambda m: (order[m.source], m.start, -m.end))
    return Sites(tuple(rows), finder.headers)


def _key(symbol: Any) -> Key:
    return symbol.location.buffer, symbol.location.offset


@dataclass
class _Finder:
    design: Design
    found: dict[tuple[str, int, int, str], Mutant] = field(default_factory=dict)
    headers: dict[int, tuple[str, int]] = field(default_factory=dict)
    _numbers: dict[Key, int] = field(default_factory=dict)
    _seen: set[tuple[Any, ...]] = field(default_factory=set)

    def __post_init__(self) -> None:
        compilation = self.design.compilation
        self._files = {
            tree.root.sourceRange.start.buffer: (s.name, s.text.encode("utf-8", "surrogateescape"))
            for tree, s in zip(compilation.getSyntaxTrees(), self.design.sources)
        }
        self._manager = compilation.sourceManager
        self._edges: set[Key] = set()
        self._registers: set[Key] = set()
        self.design.root.visit(self._note)

    def _note(self, node: Any) -> None:
        """Which symbols are clocks or asynchronous resets, and which are registers."""
        kind = type(node).__name__
        if kind == "SignalEventControl" and node.edge.name != "None_" and (symbol := _base(node.expr)) is not None:  # fmt: skip
            self._edges.add(_key(symbol))
        elif kind == "AssignmentExpression" and node.isNonBlocking and (symbol := _base(node.left)) is not None:  # fmt: skip
            self._registers.add(_key(symbol))

    def text(self, node: Any) -> str | None:
        """The source of a node; None where it is not plain text of one file."""
        where = node.sourceRange
        start, end = where.start, where.end
        if start.buffer not in self._files or end.buffer != start.buffer or end.offset <= start.offset:
            return None
        text = self._files[start.buffer][1][start.offset : end.offset].decode("utf-8", "surrogateescape")
        return None if '"' in text or re.search(r"^\s*`", COMMENT.sub("", text), re.M) else text

    # Modules

    def instance(self, symbol: Any) -> None:
        body = symbol.body
        definition = body.definition
        parameters = tuple(str(getattr(p, "value", "")) for p in body.parameters)
        if (_key(definition), parameters) in self._seen or not hasattr(definition.syntax, "header"):
            return
        self._seen.add((_key(definition), parameters))
        end = definition.syntax.header.semi.location
        if end.buffer in self._files:
            number = self._numbers.setdefault(_key(definition), len(self._numbers))
            self.headers[number] = (self._files[end.buffer][0], end.offset + 1)
            place = _Place((number, definition.name), tuple(self._words(body)))
            self._members(body, place)

    def _words(self, body: Any) -> Iterator[_Word]:
        inputs = {_key(p.internalSymbol) for p in body.portList if getattr(p, "internalSymbol", None) is not None and p.direction.name == "In"}  # fmt: skip
        for member in body:
            if type(member).__name__ not in ("NetSymbol", "VariableSymbol") or not member.type.isIntegral:
                continue
            key = _key(member)
            if key not in self._edges:
                steady = key in inputs or key in self._registers
                yield _Word(member.name, key, _shape(member.type), steady)

    def _members(self, scope: Any, place: _Place) -> None:
        for member in scope:
            kind = type(member).__name__
            if kind == "ContinuousAssignSymbol":
                self._assignment(member.assignment, place)
            elif kind == "NetSymbol" and member.initializer is not None:
                self._assigned(member.initializer, member.type, replace(place, target=_key(member)))
            elif kind == "ProceduralBlockSymbol":
                self._process(member, place)
            elif kind == "InstanceSymbol" and member.isModule:
                self._connections(member, place)
                self.instance(member)
            elif kind == "GenerateBlockSymbol" and not member.isUninstantiated:
                self._members(member, place)
            elif kind in ("GenerateBlockArraySymbol", "InstanceArraySymbol"):
                self._members(getattr(member, "entries", getattr(member, "elements", ())), place)

    def _connections(self, instance: Any, place: _Place) -> None:
        for connection in instance.portConnections:
            port, node = connection.port, connection.expression
            inner = getattr(port, "internalSymbol", None)
            if node is None or inner is None or port.direction.name != "In" or _key(inner) in self._edges:
                continue
            self._expression(node, place)

    # Statements

    def _process(self, block: Any, place: _Place) -> None:
        if block.procedureKind.name not in ("Always", "AlwaysComb", "AlwaysFF"):
            return
        statement, edges = block.body, 0
        if type(statement).__name__ == "TimedStatement":
            events = getattr(statement.timing, "events", [statement.timing])
            edges = sum(getattr(e, "edge", None) is not None and e.edge.name != "None_" for e in events)
            statement = statement.stmt
        self._statement(statement, replace(place, clocked=edges > 0, levels=max(edges - 1, 0)))

    def _statement(self, node: Any, place: _Place) -> None:
        kind = type(node).__name__
        if kind == "StatementList":
            self._sequence(node.list, place)
        elif kind in ("BlockStatement", "ForLoopStatement", "ForeachLoopStatement"):
            self._statement(node.body, place)
        elif kind == "ConditionalStatement" and len(node.conditions) == 1:
            self._conditional(node, place)
        elif kind == "CaseStatement":
            self._case(node, place)
        elif kind == "ExpressionStatement" and type(node.expr).__name__ == "AssignmentExpression":
            self._deletion(node, place)
            self._assignment(node.expr, place)

    def _sequence(self, statements: Iterable[Any], place: _Place) -> None:
        for node in statements:
            self._statement(node, place)
            if type(node).__name__ == "ExpressionStatement" and type(node.expr).__name__ == "AssignmentExpression":  # fmt: skip
                target = plain(node.expr.left)
                if type(target).__name__ == "NamedValueExpression":
                    place = replace(place, given=place.given | {_key(target.symbol)})

    def _conditional(self, node: Any, place: _Place) -> None:
        condition = node.conditions[0].expr
        if place.levels:
            then = replace(place, asynchronous=True, reset=True, levels=0)
            otherwise = replace(place, levels=place.levels - 1)
        else:
            self._put(condition, operators.condition(condition, self.text), place)
            self._expression(condition, place)
            names = [s.name for s in _symbols(condition)]
            then = replace(place, reset=place.reset or any(RESET_NAMES.search(n) for n in names))
            otherwise = place
        self._statement(node.ifTrue, then)
        if node.ifFalse is not None:
            self._statement(node.ifFalse, otherwise)

    def _case(self, node: Any, place: _Place) -> None:
        exclusive = node.check.name != "None_" or bool(self.design.compilation.getAttributes(node))
        exclusive |= node.defaultCase is None and not place.clocked  # a label less would leave a latch
        if constant(node.expr) is None:
            self._expression(node.expr, place)
        for item in node.items:
            if not exclusive:
                for label in item.expressions:
                    self._expression(label, place)
            self._statement(item.stmt, place)
        if node.defaultCase is not None:
            self._statement(node.defaultCase, place)

    def _deletion(self, node: Any, place: _Place) -> None:
        target = _base(node.expr.left)
        if target is None or place.asynchronous or _key(target) in self._edges:
            return
        if place.clocked or _key(target) in place.given:
            self._put(node, [("deletion", "")], place, statement=True)

    def _assignment(self, node: Any, place: _Place) -> None:
        target = _base(node.left)
        if any(_key(s) in self._edges for s in _symbols(node.left)):
            return
        place = replace(place, target=None if target is None else _key(target))
        left = plain(node.left)
        if (
            type(left).__name__ == "ElementSelectExpression"
            and place.clocked
            and left.value.type.isUnpackedArray
        ):
            self._put(left.selector, operators.index(left, self.text), place)
        if not node.isCompound:
            self._assigned(node.right, node.left.type, place)

    def _assigned(self, node: Any, kind: Any, place: _Place) -> None:
        """The right side of an assignment to something of type `kind`."""
        inside, inner = plain(node), self.text(node)
        if inner is None or not kind.isIntegral or not inside.type.isIntegral:
            return
        if not kind.isEnum:
            signed, width = inside.type.isSigned, kind.bitWidth
            fixed = constant(inside)
            if fixed is None:
                self._put(inside, operators.stuck(width, signed), place)
            for fault, bit in (
                operators.stuck_bit(inner, width, signed) if width > 1 and fixed is None else ()
            ):
                self._put(inside, [fault], place, bit=bit)
        self._expression(inside, place)

    # Expressions

    def _expression(self, node: Any, place: _Place) -> None:
        handler = getattr(self, f"_on_{type(node).__name__}", None)
        if handler is not None and node.type.isIntegral:
            handler(node, place)

    def _on_ConversionExpression(self, node: Any, place: _Place) -> None:
        self._expression(node.operand, place)

    def _on_BinaryExpression(self, node: Any, place: _Place) -> None:
        if node.left.type.isIntegral and node.right.type.isIntegral:
            self._put(node, operators.binary(node, self.text), place)
        self._expression(node.left, place)
        self._expression(node.right, place)

    def _on_UnaryExpression(self, node: Any, place: _Place) -> None:
        self._put(node, operators.unary(node, self.text), place)
        if "crement" not in node.op.name:
            self._expression(node.operand, place)

    def _on_ConditionalExpression(self, node: Any, place: _Place) -> None:
        if len(node.conditions) == 1:
            condition = node.conditions[0].expr
            self._put(condition, operators.condition(condition, self.text), place)
            for part in (condition, node.left, node.right):
                self._expression(part, place)

    def _on_IntegerLiteral(self, node: Any, place: _Place) -> None:
        self._put(node, operators.number(node, self.text), place)

    def _on_UnbasedUnsizedIntegerLiteral(self, node: Any, place: _Place) -> None:
        self._put(node, [("constant", {"'0": "'1", "'1": "'0"}.get(self.text(node) or "", ""))], place)

    def _on_ConcatenationExpression(self, node: Any, place: _Place) -> None:
        for part in node.operands:
            self._expression(part, place)

    def _on_ReplicationExpression(self, node: Any, place: _Place) -> None:
        self._expression(node.concat, place)

    def _on_CallExpression(self, node: Any, place: _Place) -> None:
        if not node.isSystemCall or node.subroutineName in ("$signed", "$unsigned"):
            for part in node.arguments:
                if type(part).__name__ != "AssignmentExpression":  # an output
                    self._expression(part, place)

    def _on_RangeSelectExpression(self, node: Any, place: _Place) -> None:
        if self._may_move(node, place):
            self._put(node, operators.selection(node, self.text), place)
            if node.selectionKind.name != "Simple":
                self._expression(node.left, place)

    def _on_ElementSelectExpression(self, node: Any, place: _Place) -> None:
        if self._may_move(node, place):
            self._put(node.selector, operators.index(node, self.text), place)
            if constant(node.selector) is None:
                self._expression(node.selector, place)

    @staticmethod
    def _may_move(node: Any, place: _Place) -> bool:
        """Another bit of the word that is being computed would close a loop."""
        base = _base(node)
        return place.clocked or (base is not None and _key(base) != place.target)

    def _on_NamedValueExpression(self, node: Any, place: _Place) -> None:
        symbol, inner = node.symbol, self.text(node)
        kind = symbol.kind.name
        if inner is None:
            return
        if kind == "EnumValue":
            row = [m.name for m in symbol.type.canonicalType if type(m).__name__ == "EnumValueSymbol"]
            others = _after(row, symbol.name)
            self._put(node, [("constant", re.sub(r"\w+$", o, inner)) for o in others], place)
        elif kind == "Parameter":
            self._put(node, [("constant", f"{inner} + 1'b1")], place)
        elif kind in ("Net", "Variable") and _key(symbol) not in self._edges:
            at = node.sourceRange.start
            alike = [
                w for w in place.words if w.shape == _shape(symbol.type) and w.key < (at.buffer, at.offset)
            ]
            alike = [w for w in alike if w.steady or place.clocked or w.key == _key(symbol)]
            others = _after([w.name for w in alike], symbol.name)
            self._put(node, [("confusion", o) for o in others], place)

    # What is found

    def _put(self, node: Any, faults: Iterable[Fault], place: _Place, *, statement: bool = False,
             bit: tuple[int, int, int] | None = None) -> None:  # fmt: skip
        before = self.text(node)
        if before is None:
            return
        where = node.sourceRange
        source, (start, end) = self._files[where.start.buffer][0], (where.start.offset, where.end.offset)
        line = self._manager.getLineNumber(where.start)
        for kind, after in faults:
            if statement or (after and after != before):
                named = "reset value" if place.reset and kind == "constant" else kind
                mutant = Mutant(named, source, place.module, line, start, end, before, after, statement, bit)
                self.found.setdefault((source, start, end, after), mutant)


def _shape(kind: Any) -> tuple[int, bool, str]:
    return kind.bitWidth, kind.isSigned, str(kind) if kind.isEnum else ""


def _after(names: list[str], name: str) -> list[str]:
    """The next few, around the end."""
    at = names.index(name) if name in names else 0
    turned = [n for n in names[at:] + names[:at] if n != name]
    return turned[:CONFUSED]


def _base(node: Any) -> Any:
    """The symbol that a word, or a part of one, is of; None for a concatenation."""
    node = plain(node)
    while not hasattr(node, "symbol"):
        if not hasattr(node, "value") or type(node).__name__.endswith("Literal"):
            return None
        node = plain(node.value)
    return node.symbol


def _symbols(node: Any) -> list[Any]:
    found: list[Any] = []
    node.visit(lambda n: found.append(n.symbol) if type(n).__name__ == "NamedValueExpression" else None)
    return found
