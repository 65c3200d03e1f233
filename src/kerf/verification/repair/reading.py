"""A walk through a design that finds every place where something may be changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kerf.verification.design import Design
from kerf.verification.repair.expressions import ExpressionReader
from kerf.verification.repair.source import (
    Always,
    Assignment,
    Branch,
    Case,
    Connection,
    Constant,
    Event,
    If,
    Loop,
    Module,
    Places,
    Process,
    Span,
    Word,
)  # fmt: skip
from kerf.verification.repair.syntax import (
    assigned,
    bodies,
    counters_in,
    events_of,
    first_condition,
    integer,
    names_in,
    names_read,
    surely_assigned,
)  # fmt: skip


def places(design: Design) -> Places:
    """Every place of `design` and of the modules in it."""
    return _Reader(design).read()


class _Reader(ExpressionReader):
    def read(self) -> Places:
        self._module(self.design.root.body, "")
        self._constants()
        for span in self.found.varying:
            self.found.expressions.pop(span, None)
            self.found.assignments.pop(span, None)
        return self.found

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
                self._module(member.body, f"{path}{member.name}.")
                self.module = module
                self._connections(member)

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
        targets: list[str] = []
        for connection in instance.portConnections:
            e = connection.expression
            out = type(e).__name__ == "AssignmentExpression"
            e = e.left if out else e
            targets += names_in(e) if out else ()
            span = self.span(e.sourceRange) if e is not None and e.type.isIntegral else None
            if span:
                ends.append((span, int(e.type.bitWidth)))
        if whole and len(ends) > 1:
            self.found.connections[whole] = Connection(self.module.name, tuple(ends), tuple(targets))

    def _flow(self, body: Any) -> None:
        """What the process at hand assigns depends on what it reads: at once, or a clock edge later."""
        assert self.process
        targets = {(self.module.name, t) for t in self.process.targets}
        flows = self.found.later if self.process.clocked else self.found.flows
        flows |= {((self.module.name, n), t) for n in names_read(body) for t in targets}

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
        self._begin(assignment.sourceRange, False, list(names_in(assignment.left)), None)
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
        known = self.found.modules.get(instance.definition.name)
        clocks = known.clocks if known else set()
        for connection in instance.portConnections:
            e = connection.expression
            if e is None:
                continue
            inner = (instance.definition.name, connection.port.name)
            if type(e).__name__ == "AssignmentExpression":
                outer = [(self.module.name, n) for n in names_in(e.left)]
                self.found.flows |= {(inner, o) for o in outer}
                continue
            self.found.flows |= {((self.module.name, n), inner) for n in names_read(e)}
            if connection.port.name in clocks:  # neither replaced nor read, as in the instance itself
                self.module.clocks |= set(names_read(e))
                continue
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
            events = [e for e in map(self._event, events_of(body.timing)) if e]
            clocked = clocked or any(e.edge for e in events)
            self.module.clocks |= {e.name for e in events if e.edge}
            body = body.stmt
        span = self._whole(body)
        counters = counters_in(body)
        self._begin(body.sourceRange, clocked, [n for n in assigned(body) if n not in counters], span)
        self._flow(body)
        if timing and self.process:
            held = tuple(sorted(set(self.process.targets) - surely_assigned(body)))
            self.found.always[timing] = Always(self.process, timing, tuple(events), tuple(names_read(body)), held, first_condition(body))  # fmt: skip
        # synthesis knows an asynchronous reset by its pattern: the list, and one `if` that is all of the body
        self.pattern = len([e for e in events if e.edge]) > 1
        if span and not self.pattern:
            self._branch(body, span, True)
        hidden, self.own = self.own, {(n, at) for n, at in self.own if n not in counters}
        self._statement(body)
        self.own = hidden
        self.process = None

    def _event(self, event: Any) -> Event | None:
        span = self.span(event.sourceRange)
        if span is None or not hasattr(event, "expr"):
            return None
        edge = {"PosEdge": "posedge", "NegEdge": "negedge"}.get(str(event.edge).rpartition(".")[2], "")
        return Event(edge, next(iter(names_in(event.expr)), ""), span)

    def _loop(self, key: Any, ends: Sequence[Any]) -> None:
        """Literals in what a loop starts and stops at."""
        span, bounds = self.span(key), []

        def look(e: Any) -> None:
            place = self.span(e.sourceRange) if type(e).__name__ == "IntegerLiteral" else None
            number = integer(e.value) if place else None
            if place and number is not None:
                bounds.append((place, number))

        for end in ends:
            if end is not None:
                end.visit(look)
        if span and bounds:
            targets = self.process.targets if self.process else ()
            self.found.loops[span] = Loop(self.module.name, tuple(dict.fromkeys(bounds)), targets)

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
            self._statement(s.body)
        elif kind == "TimedStatement":
            self._statement(s.stmt)

    def _conditional(self, s: Any) -> None:
        pattern, self.pattern = self.pattern, False
        for condition in () if pattern else s.conditions:
            self._condition(condition.expr)
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
        if not pattern and all(spans) and len(s.conditions) == 1 and self.manager.isFileLoc(word.location):
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
        target = next(iter(names_in(e.left)), "")
        if self.process is None or target not in self.process.targets:
            return
        self.target = target
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
        self._mentions(value)
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
            self._index(e)
            self._selects(e.value)
        elif kind == "ConcatenationExpression":
            for part in e.operands:
                self._selects(part)

    # parameters

    def _constants(self) -> None:
        """Parameters whose every use can be given another value."""
        for (module, name), uses in self.uses.items():
            self._constant(module, name, tuple(uses))

    def _constant(self, module: str, name: str, uses: tuple[Span, ...]) -> None:
        for body in bodies(self.design.root.body, module):
            symbol = body.find(name)
            value = getattr(symbol, "initializer", None)
            if type(symbol).__name__ != "ParameterSymbol" or value is None:
                return
            while type(value).__name__ == "ConversionExpression":
                value = value.operand
            span = self.span(value.sourceRange)
            number = integer(getattr(value, "value", None))
            if type(value).__name__ == "IntegerLiteral" and span and number is not None:
                width = int(symbol.type.bitWidth)
                self.found.constants[span] = Constant(
                    module, name, span, width, bool(symbol.type.isSigned), number, uses
                )
            return
