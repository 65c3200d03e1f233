"""The places of a design's source where something may be changed, from slang's syntax tree: expressions, assignments, branches, parameters.

Offsets are of bytes in the source's text. A place in a module that has several instances is one place; places inside macros, functions and
included files are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from kerf.verification.design import Design

Key = tuple[str, str]  # a module's name and a word's


@dataclass(frozen=True, order=True)
class Span:
    source: str
    start: int
    end: int


@dataclass(frozen=True)
class Word:
    """A variable, net or parameter of a module that expressions may name. `width` in bits."""

    name: str
    width: int
    signed: bool
    kind: str  # port, variable, parameter


@dataclass
class Module:
    """`header`: behind its ports, `end`: at `endmodule`; `paths`: of its instances, each "" or ending in "."."""

    name: str
    header: Span
    end: Span
    paths: list[str] = field(default_factory=list)
    words: dict[str, Word] = field(default_factory=dict)
    clocks: set[str] = field(default_factory=set)
    conditions: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Process:
    """An always block or a continuous assignment. `targets`: names that it assigns; `span`: of an always block's statement."""

    number: int
    module: str
    clocked: bool
    targets: tuple[str, ...]
    span: Span | None = None
    local: bool = False  # inside a generate block

    @property
    def combinational(self) -> bool:
        return not self.clocked


@dataclass(frozen=True)
class Expr:
    """`kind`: literal, name, unary, binary, other; `role`: condition, value, operand (of a comparison), label, index, subject (of a case); `width`, `signed`: its own; `wanted`: bits that matter to what
    surrounds it; `parts`: spans of operands; `target`: the name being assigned, if any."""

    span: Span
    kind: str
    role: str
    width: int
    signed: bool
    text: str
    wanted: int
    process: Process
    target: str = ""
    operator: str = ""
    parts: tuple[Span, ...] = ()
    value: int = 0


@dataclass(frozen=True)
class Assignment:
    """`whole`: the target is a plain name; `nonblocking` false for continuous ones too."""

    span: Span
    left: Span
    right: Span
    target: str
    width: int
    signed: bool
    whole: bool
    nonblocking: bool
    process: Process


@dataclass(frozen=True)
class Branch:
    """A statement that a condition leads to, or a process's body. `block`: it has begin and end; `inner`: behind begin (and its label)."""

    span: Span
    process: Process
    block: bool
    body: bool = False
    label: str = ""


@dataclass(frozen=True)
class Case:
    span: Span
    process: Process
    subject: str
    width: int
    default: bool
    last: int  # where the last item ends


@dataclass(frozen=True)
class If:
    """An `if` with an `else`: `other` is the else branch, `keyword` the word else."""

    span: Span
    condition: Span
    then: Span
    other: Span
    keyword: Span
    process: Process
    chained: bool


@dataclass(frozen=True)
class Constant:
    """A parameter given by a literal in its declaration; `uses`: spans of expressions that name it."""

    module: str
    name: str
    span: Span
    width: int
    signed: bool
    value: int
    uses: tuple[Span, ...]


@dataclass(frozen=True)
class Event:
    """An item of a sensitivity list; `edge`: posedge, negedge or ""."""

    edge: str
    name: str
    span: Span


@dataclass(frozen=True)
class Always:
    """`timing`: from @ to its closing parenthesis; `reads`: names in the body; `held`: targets that some way through the body does not assign;
    `first`: the condition of the `if` that is all of the body, or ""."""

    process: Process
    timing: Span
    events: tuple[Event, ...]
    reads: tuple[str, ...]
    held: tuple[str, ...]
    first: tuple[str, ...]

    @property
    def implicit(self) -> bool:
        return not self.events


@dataclass(frozen=True)
class Loop:
    """Of a for statement or a generate loop: spans of numbers in its bounds, with their values."""

    module: str
    bounds: tuple[tuple[Span, int], ...]


@dataclass(frozen=True)
class Connection:
    """The expressions that an instance's ports are given: span, width and direction of each."""

    module: str
    ends: tuple[tuple[Span, int, bool], ...]


@dataclass
class Places:
    modules: dict[str, Module] = field(default_factory=dict)
    expressions: dict[Span, Expr] = field(default_factory=dict)
    assignments: dict[Span, Assignment] = field(default_factory=dict)
    branches: dict[Span, Branch] = field(default_factory=dict)
    cases: dict[Span, Case] = field(default_factory=dict)
    ifs: dict[Span, If] = field(default_factory=dict)
    constants: dict[Span, Constant] = field(default_factory=dict)
    always: dict[Span, Always] = field(default_factory=dict)
    loops: dict[Span, Loop] = field(default_factory=dict)
    connections: dict[Span, Connection] = field(default_factory=dict)
    varying: set[Span] = field(default_factory=set)  # of another width in another instance
    flows: set[tuple[Key, Key]] = field(default_factory=set)  # a word that another depends on within a cycle
    registers: set[Key] = field(default_factory=set)
    driven: set[Key] = field(default_factory=set)  # other than by registers


def places(design: Design) -> Places:
    """Every place of `design` and of the modules in it."""
    return _Reader(design).read()


COMPARISONS = {"Equality", "Inequality", "CaseEquality", "CaseInequality", "GreaterThan", "GreaterThanEqual", "LessThan", "LessThanEqual", "WildcardEquality", "WildcardInequality"}  # fmt: skip
LOGICAL = {"LogicalAnd", "LogicalOr"}
SHIFTS = {"LogicalShiftLeft", "LogicalShiftRight", "ArithmeticShiftLeft", "ArithmeticShiftRight"}


class _Reader:
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

    def read(self) -> Places:
        self._module(self.design.root.body, "")
        self._constants()
        for span in self.found.varying:
            self.found.expressions.pop(span, None)
            self.found.assignments.pop(span, None)
        return self.found

    def span(self, where: Any) -> Span | None:
        """None for places that are not in a file of the design."""
        start, end = where.start, where.end
        if not self.manager.isFileLoc(start) or not self.manager.isFileLoc(end):
            return None
        source = self.buffers.get(start.buffer.id)
        return Span(source.name, start.offset, end.offset) if source and end.offset >= start.offset else None

    def text(self, span: Span) -> str:
        return uncommented(self.texts[span.source][span.start : span.end].decode("utf-8", "surrogateescape"))

    # scopes

    def _module(self, body: Any, path: str) -> None:
        definition = body.definition
        syntax = definition.syntax
        header, end = self.span(syntax.header.sourceRange), self.span(syntax.sourceRange)
        if header is None or end is None:
            return
        mark = Span(header.source, header.end, header.end)
        stop = syntax.endmodule.location.offset
        module = self.found.modules.setdefault(
            definition.name, Module(definition.name, mark, Span(header.source, stop, stop))
        )
        module.paths.append(path)
        self.module = module
        members = list(body)
        for member in members:
            self._word(member)
        outer, self.own = self.own, {(m.name, m.location.offset) for m in members}
        self._scope(members, path)
        self.own = outer

    def _scope(self, members: Sequence[Any], path: str) -> None:
        module = self.module
        for member in members:
            kind = type(member).__name__
            if kind == "ContinuousAssignSymbol":
                self._continuous(member.assignment)
            elif kind == "ProceduralBlockSymbol":
                self._always(member)
            elif kind in ("NetSymbol", "VariableSymbol"):
                self._declared(member)
            elif kind == "GenerateBlockSymbol" and not member.isUninstantiated:
                self._generate(member, path)
            elif kind == "GenerateBlockArraySymbol":
                self._loop(member.syntax.sourceRange, [member.initialExpression, member.stopExpression])
                for entry in member.entries:
                    self._generate(entry, path)
            elif kind == "InstanceSymbol" and member.isModule:
                self._connections(member)
                self._module(member.body, f"{path}{member.name}.")
                self.module = module

    def _generate(self, block: Any, path: str) -> None:
        self.local += 1
        self._scope(list(block), f"{path}{block.externalName}." if block.name else path)
        self.local -= 1

    def _word(self, member: Any) -> None:
        kind = type(member).__name__
        kinds = {"NetSymbol": "variable", "VariableSymbol": "variable", "ParameterSymbol": "parameter"}
        if kind in kinds and member.type.isIntegral:
            name = member.name
            word = Word(name, int(member.type.bitWidth), bool(member.type.isSigned), kinds[kind])
            known = self.module.words.setdefault(name, word)
            if known != word:
                self.module.words[name] = Word(name, 0, False, "varying")

    def _ends(self, instance: Any) -> None:
        ends, whole = [], self.span(instance.syntax.sourceRange)
        for connection in instance.portConnections:
            e = connection.expression
            out = type(e).__name__ == "AssignmentExpression"
            e = e.left if out else e
            span = self.span(e.sourceRange) if e is not None and e.type.isIntegral else None
            if span:
                ends.append((span, int(e.type.bitWidth), out))
        if whole and len(ends) > 1:
            self.found.connections[whole] = Connection(self.module.name, tuple(ends))

    def _flow(self, body: Any) -> None:
        """What the process at hand assigns depends on what it reads: at once, or a clock edge later."""
        assert self.process
        targets = {(self.module.name, t) for t in self.process.targets}
        if self.process.clocked:
            self.found.registers |= targets
        else:
            self.found.driven |= targets
            self.found.flows |= {((self.module.name, n), t) for n in _read(body) for t in targets}

    def _begin(self, key: Any, clocked: bool, targets: Sequence[str], span: Span | None) -> None:
        place = self.span(key)
        number = self.numbers.setdefault(
            (place.source, place.start) if place else ("", key.start.offset), len(self.numbers)
        )
        self.process = Process(
            number, self.module.name, clocked, tuple(dict.fromkeys(targets)), span, self.local > 0
        )

    def _continuous(self, assignment: Any) -> None:
        if type(assignment).__name__ != "AssignmentExpression":
            return
        self._begin(assignment.sourceRange, False, list(_names(assignment.left)), None)
        self._flow(assignment)
        self._assign(assignment)
        self.process = None

    def _declared(self, member: Any) -> None:
        value = member.initializer
        if value is None or type(member).__name__ != "NetSymbol" or not member.type.isIntegral:
            return
        self._begin(value.sourceRange, False, [member.name], None)
        self._flow(value)
        self.target = member.name
        self._expression(value, "value", int(member.type.bitWidth))
        self._right(value, None, None, member.type, True, False)
        self.target, self.process = "", None

    def _connections(self, instance: Any) -> None:
        self._ends(instance)
        for connection in instance.portConnections:
            e = connection.expression
            if e is None:
                continue
            inner = (instance.definition.name, connection.port.name)
            if type(e).__name__ == "AssignmentExpression":
                outer = [(self.module.name, n) for n in _names(e.left)]
                self.found.flows |= {(inner, o) for o in outer}
                self.found.driven |= set(outer)
                continue
            self.found.flows |= {((self.module.name, n), inner) for n in _read(e)}
            self.found.driven.add(inner)
            self._begin(e.sourceRange, False, [], None)
            self._expression(e, "value", int(e.type.bitWidth) if e.type.isIntegral else 0)
            self.process = None

    def _always(self, block: Any) -> None:
        kind = str(block.procedureKind).rpartition(".")[2]
        if kind in ("Initial", "Final"):
            return
        body, clocked = block.body, kind == "AlwaysFF"
        timing, events = None, []
        if type(body).__name__ == "TimedStatement":
            timing = self.span(body.syntax.timingControl.sourceRange)
            events = [e for e in map(self._event, _events(body.timing)) if e]
            clocked = clocked or any(e.edge for e in events)
            self.module.clocks |= {e.name for e in events if e.edge}
            body = body.stmt
        span = self._whole(body)
        self._begin(body.sourceRange, clocked, list(_assigned(body)), span)
        self._flow(body)
        if timing and self.process:
            held = tuple(sorted(set(self.process.targets) - _surely(body)))
            self.found.always[timing] = Always(self.process, timing, tuple(events), tuple(_read(body)), held, _first(body))  # fmt: skip
        self._statement(body)
        if span:
            self._branch(body, span, True)
        self.process = None

    def _event(self, event: Any) -> Event | None:
        span = self.span(event.sourceRange)
        if span is None or not hasattr(event, "expr"):
            return None
        edge = {"PosEdge": "posedge", "NegEdge": "negedge"}.get(str(event.edge).rpartition(".")[2], "")
        return Event(edge, next(iter(_names(event.expr)), ""), span)

    def _loop(self, key: Any, ends: Sequence[Any]) -> None:
        """Literals in what a loop starts and stops at."""
        span, bounds = self.span(key), []

        def look(e: Any) -> None:
            place = self.span(e.sourceRange) if type(e).__name__ == "IntegerLiteral" else None
            number = _integer(e.value) if place else None
            if place and number is not None:
                bounds.append((place, number))

        for end in ends:
            if end is not None:
                end.visit(look)
        if span and bounds:
            self.found.loops[span] = Loop(self.module.name, tuple(dict.fromkeys(bounds)))

    # statements

    def _statement(self, s: Any) -> None:
        kind = type(s).__name__
        if kind == "StatementList":
            for one in s.list:
                self._statement(one)
        elif kind == "BlockStatement":
            self._statement(s.body)
        elif kind == "ExpressionStatement" and type(s.expr).__name__ == "AssignmentExpression":
            self._assign(s.expr, s)
        elif kind == "ConditionalStatement":
            self._conditional(s)
        elif kind == "CaseStatement":
            self._case(s)
        elif kind == "ForLoopStatement":
            self._loop(s.sourceRange, [*(getattr(i, "right", None) for i in s.initializers), s.stopExpr])
            counters = {n for i in s.initializers for n in _names(getattr(i, "left", i))}
            hidden, self.own = self.own, {(n, at) for n, at in self.own if n not in counters}
            self._statement(s.body)
            self.own = hidden
        elif kind == "TimedStatement":
            self._statement(s.stmt)

    def _conditional(self, s: Any) -> None:
        for condition in s.conditions:
            self._expression(condition.expr, "condition", 1)
        self._lead(s.ifTrue)
        if s.ifFalse is None:
            return
        chained = type(s.ifFalse).__name__ == "ConditionalStatement"
        if not chained:
            self._lead(s.ifFalse)
        else:
            self._statement(s.ifFalse)
        spans = [self._whole(x) for x in (s, s.conditions[0].expr, s.ifTrue, s.ifFalse)]
        word = s.syntax.elseClause.elseKeyword
        start = word.location.offset
        if all(spans) and len(s.conditions) == 1 and self.manager.isFileLoc(word.location):
            whole, condition, then, other = spans
            assert whole and condition and then and other and self.process
            keyword = Span(whole.source, start, start + 4)
            self.found.ifs[whole] = If(whole, condition, then, other, keyword, self.process, chained)

    def _whole(self, s: Any) -> Span | None:
        """A statement with its begin and end."""
        return self.span(s.syntax.sourceRange if type(s).__name__ == "BlockStatement" else s.sourceRange)

    def _lead(self, s: Any, label: str = "") -> None:
        span = self._whole(s)
        if span:
            self._branch(s, span, False, label)
        self._statement(s)

    def _branch(self, s: Any, span: Span, body: bool, label: str = "") -> None:
        assert self.process
        if self.process.targets:
            block = type(s).__name__ == "BlockStatement"
            self.found.branches[span] = Branch(span, self.process, block, body, label)

    def _case(self, s: Any) -> None:
        span, subject = self.span(s.sourceRange), self.span(s.expr.sourceRange)
        width = int(s.expr.type.bitWidth) if s.expr.type.isIntegral else 0
        self._expression(s.expr, "subject", width)
        plain = str(s.condition).endswith("Normal")
        last = 0
        for item in s.items:
            for label in item.expressions:
                if plain:
                    self._expression(label, "label", width)
            self._lead(item.stmt)
            place = self._whole(item.stmt)
            last = max(last, place.end if place else 0)
        if s.defaultCase is not None:
            self._lead(s.defaultCase, "default")
        if span and subject and plain and self.process:
            self.found.cases[span] = Case(
                span, self.process, self.text(subject), width, s.defaultCase is not None, last
            )

    def _assign(self, e: Any, statement: Any = None) -> None:
        if e.isCompound or not e.left.type.isIntegral:
            return
        self.target = next(iter(_names(e.left)), "")
        self._selects(e.left)
        self._expression(e.right, "value", int(e.left.type.bitWidth))
        span = self.span(statement.sourceRange) if statement is not None else self.span(e.sourceRange)
        whole = type(e.left).__name__ in ("NamedValueExpression", "ConcatenationExpression")
        self._right(e.right, span, self.span(e.left.sourceRange), e.left.type, whole, bool(e.isNonBlocking))
        self.target = ""

    def _right(self, value: Any, span: Span | None, left: Span | None, kind: Any, whole: bool, nonblocking: bool) -> None:  # fmt: skip
        right = self.span(value.sourceRange)
        if right is None or self.process is None:
            return
        signed = bool(value.type.isSigned)
        made = Assignment(
            span or right,
            left or right,
            right,
            self.target,
            int(kind.bitWidth),
            signed,
            whole,
            nonblocking,
            self.process,
        )
        known = self.found.assignments.setdefault(made.span, made)
        if known.width != made.width:
            self.found.varying.add(made.span)

    def _selects(self, e: Any) -> None:
        """Indices on the left of an assignment."""
        kind = type(e).__name__
        if kind == "ElementSelectExpression":
            self._expression(e.selector, "index", _range_bits(e.value))
            self._selects(e.value)
        elif kind == "ConcatenationExpression":
            for part in e.operands:
                self._selects(part)

    # expressions

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
                self._expression(condition.expr, "condition", 1)
            self._expression(e.left, "value", wanted)
            self._expression(e.right, "value", wanted)
            self._note(e, "other", role, wanted)
        elif kind == "ConcatenationExpression":
            for part in e.operands:
                self._expression(part, "value", int(part.type.bitWidth) if part.type.isIntegral else 0)
        elif kind == "ElementSelectExpression":
            self._expression(e.selector, "index", _range_bits(e.value))
            self._note(e, "other", role, wanted)
        elif kind in ("RangeSelectExpression", "MemberAccessExpression"):
            self._note(e, "other", role, wanted)

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
            self.module.conditions.setdefault(text, tuple(_read(e)))

    def _literal(self, e: Any, role: str, wanted: int) -> None:
        value = _integer(e.value)
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
        inside = wanted if operator in ("Plus", "Minus", "BitwiseNot") else _bits_of(e.operand)
        self._expression(e.operand, "condition" if operator == "LogicalNot" else "value", inside)
        part = self.span(e.operand.sourceRange)
        if part:
            self._note(e, "unary", role, wanted, operator=operator, parts=(part,))

    def _binary(self, e: Any, role: str, wanted: int) -> None:
        operator = str(e.op).rpartition(".")[2]
        if operator in COMPARISONS:
            bits = _compared(e.left, e.right)
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

    # parameters

    def _constants(self) -> None:
        """Parameters whose every use can be given another value."""
        for (module, name), uses in self.uses.items():
            self._constant(module, name, tuple(uses))

    def _constant(self, module: str, name: str, uses: tuple[Span, ...]) -> None:
        for body in _bodies(self.design.root.body, module):
            symbol = body.find(name)
            value = getattr(symbol, "initializer", None)
            if type(symbol).__name__ != "ParameterSymbol" or value is None:
                return
            while type(value).__name__ == "ConversionExpression":
                value = value.operand
            span = self.span(value.sourceRange)
            number = _integer(getattr(value, "value", None))
            if type(value).__name__ == "IntegerLiteral" and span and number is not None:
                width = int(symbol.type.bitWidth)
                self.found.constants[span] = Constant(
                    module, name, span, width, bool(symbol.type.isSigned), number, uses
                )
            return


def uncommented(text: str) -> str:
    """Comments end where lines are joined: they go, line breaks stay."""
    return re.sub(r"//[^\n]*|/\*.*?\*/", lambda m: "\n" * m.group(0).count("\n"), text, flags=re.S)


def _bodies(body: Any, module: str) -> Iterator[Any]:
    """The bodies of instances of a module."""
    if body.definition.name == module:
        yield body
    for member in body:
        yield from _inside(member, module)


def _inside(member: Any, module: str) -> Iterator[Any]:
    kind = type(member).__name__
    if kind == "InstanceSymbol" and member.isModule:
        yield from _bodies(member.body, module)
    elif kind == "GenerateBlockSymbol" and not member.isUninstantiated:
        for inner in member:
            yield from _inside(inner, module)
    elif kind == "GenerateBlockArraySymbol":
        for entry in member.entries:
            yield from _inside(entry, module)


def _integer(value: Any) -> int | None:
    try:
        return int(str(value)) if str(value).lstrip("-").isdigit() else int(value)
    except (TypeError, ValueError):
        return None


def _bits_of(e: Any) -> int:
    return int(e.type.bitWidth) if e.type.isIntegral else 0


def _own_bits(e: Any) -> int:
    """The width before conversions; 0 for a literal without a size."""
    while type(e).__name__ == "ConversionExpression":
        e = e.operand
    if type(e).__name__ == "IntegerLiteral" and e.type.isSigned:
        return 0
    return _bits_of(e)


def _compared(left: Any, right: Any) -> int:
    return max(_own_bits(left), _own_bits(right)) or max(_bits_of(left), _bits_of(right))


def _range_bits(value: Any) -> int:
    """Bits of an index into `value`."""
    width = getattr(value.type, "bitWidth", 0) if value.type.isIntegral else 0
    try:
        width = max(width, abs(value.type.range.left), abs(value.type.range.right))
    except AttributeError:
        pass
    return max(int(width) - 1, 1).bit_length()


def _names(e: Any) -> Iterator[str]:
    """Names of variables in an expression's left-hand positions."""
    kind = type(e).__name__
    if kind in ("NamedValueExpression", "HierarchicalValueExpression"):
        yield e.symbol.name
    elif kind == "ConcatenationExpression":
        for part in e.operands:
            yield from _names(part)
    elif kind == "ConversionExpression":
        yield from _names(e.operand)
    elif hasattr(e, "value") and kind.endswith(("SelectExpression", "AccessExpression")):
        yield from _names(e.value)


def _read(node: Any) -> Iterator[str]:
    """Names of variables in an expression or statement."""
    found: dict[str, None] = {}

    def look(one: Any) -> None:
        if type(one).__name__ == "NamedValueExpression":
            found.setdefault(one.symbol.name)

    node.visit(look)
    yield from found


def _events(timing: Any) -> list[Any]:
    if type(timing).__name__ == "ImplicitEventControl":
        return []
    return list(getattr(timing, "events", None) or [timing])


def _first(body: Any) -> tuple[str, ...]:
    """Names in the condition of the `if` that a body consists of."""
    while type(body).__name__ == "BlockStatement":
        body = body.body
    if type(body).__name__ == "StatementList":
        inner = list(body.list)
        body = inner[0] if len(inner) == 1 else body
    return tuple(_read(body.conditions[0].expr)) if type(body).__name__ == "ConditionalStatement" else ()


def _surely(s: Any) -> set[str]:
    """Names that every way through a statement assigns."""
    kind = type(s).__name__
    if kind == "StatementList":
        return set().union(*(_surely(one) for one in s.list))
    if kind == "ExpressionStatement" and type(s.expr).__name__ == "AssignmentExpression":
        return set(_names(s.expr.left))
    if kind == "ConditionalStatement":
        return _surely(s.ifTrue) & _surely(s.ifFalse) if s.ifFalse is not None else set()
    if kind == "CaseStatement":
        ways = [_surely(item.stmt) for item in s.items]
        if s.defaultCase is None and not _full(s):
            return set()
        ways += [_surely(s.defaultCase)] if s.defaultCase is not None else []
        return set.intersection(*ways) if ways else set()
    if kind in ("BlockStatement", "ForLoopStatement"):
        return _surely(s.body)
    return _surely(s.stmt) if kind == "TimedStatement" else set()


def _full(s: Any) -> bool:
    """Whether a case without default has a label for every value."""
    width = _bits_of(s.expr)
    labels = {str(e.constant) for item in s.items for e in item.expressions}
    return 0 < width <= 16 and len(labels) == 1 << width


def _assigned(s: Any) -> Iterator[str]:
    """Names that a statement assigns."""
    kind = type(s).__name__
    if kind == "StatementList":
        for one in s.list:
            yield from _assigned(one)
    elif kind == "ExpressionStatement" and type(s.expr).__name__ == "AssignmentExpression":
        yield from _names(s.expr.left)
    elif kind == "ConditionalStatement":
        yield from _assigned(s.ifTrue)
        if s.ifFalse is not None:
            yield from _assigned(s.ifFalse)
    elif kind == "CaseStatement":
        for item in s.items:
            yield from _assigned(item.stmt)
        if s.defaultCase is not None:
            yield from _assigned(s.defaultCase)
    elif kind in ("BlockStatement", "ForLoopStatement"):
        yield from _assigned(s.body)
    elif kind == "TimedStatement":
        yield from _assigned(s.stmt)
