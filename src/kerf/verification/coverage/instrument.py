"""Source text with wires that say which statements run: `kerf_p3[2]` is 1 when the third branch of process 3 is taken.

Lines keep their numbers. Text that a macro made is left alone, and so are functions, classes, initial blocks and latches; what is left out is counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from kerf.verification.coverage.covergroups import Groups, read_groups
from kerf.verification.coverage.syntax import Text, conditionals, name_of, only, processes
from kerf.verification.design import Design

LOOPS = ("ForLoopStatementSyntax", "LoopStatementSyntax", "ForeachLoopStatementSyntax")
GENERATES = ("IfGenerateSyntax", "ElseClauseSyntax", "LoopGenerateSyntax", "StandardCaseItemSyntax", "DefaultCaseItemSyntax")  # fmt: skip


@dataclass(frozen=True)
class Point:
    """Bit `bit` of the wire `wire` (in every instance). `clocked`: it is a register, which shows a cycle later what happened."""

    wire: str
    bit: int
    clocked: bool


Guard = Point | None  # None: whenever the process runs


@dataclass(frozen=True)
class Mark:
    """Something that happens when one of `points` does. `kind`: line or branch."""

    name: str
    kind: str
    source: str
    points: tuple[Guard, ...]


Tree = int | tuple[str, Any, Any]  # an atom's place, or ("&&" | "||", left, right)


@dataclass(frozen=True)
class Decision:
    """A condition made of several. `atoms`: their texts and where their values are to be seen, when `when` happens."""

    source: str
    when: Point
    atoms: tuple[tuple[str, Point], ...]
    tree: Tree


@dataclass
class Instrumented:
    """`texts` by the sources' names. `left_out`: processes and statements that are not instrumented."""

    texts: dict[str, str] = field(default_factory=dict)
    marks: list[Mark] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    groups: Groups = field(default_factory=Groups)
    left_out: int = 0
    wires: int = 0

    def wire(self, kind: str) -> str:
        """A name that no other wire has, in any file."""
        self.wires += 1
        return f"kerf_{kind}{self.wires}"


def instrument(design: Design) -> Instrumented:
    """Rewrite each source of `design`."""
    made = Instrumented()
    trees = design.compilation.getSyntaxTrees()
    texts = [Text(source, tree) for source, tree in zip(design.sources, trees, strict=True)]
    made.groups = read_groups(design, texts, made.wire)
    for text, tree in zip(texts, trees, strict=True):
        writer = _Writer(text, made)
        for node in processes(tree.root):
            writer.process(node)
        made.texts[text.name] = writer.finish()
    return made


class _Writer:
    """What is written into one file, and what it will show."""

    def __init__(self, text: Text, made: Instrumented) -> None:
        self._text, self._made = text, made
        self._lines: dict[int, dict[Guard, None]] = {}
        self._wire, self._bits, self._clocked, self._looping = "", 0, False, False

    def finish(self) -> str:
        for line, guards in sorted(self._lines.items()):
            where = f"{self._text.name}:{line}"
            self._made.marks.append(Mark(where, "line", where, tuple(guards)))
        return self._text.edited()

    def process(self, node: Any) -> None:
        self._bits, self._clocked = 0, False
        if self._text.span(node) is None:
            self._made.left_out += 1
        elif name_of(node) == "ContinuousAssignSyntax":
            self._assignment(node)
        else:
            self._always(node)

    def _always(self, node: Any) -> None:
        self._wire = self._made.wire("p")
        body, control = node.statement, ""
        if name_of(body) == "TimingControlStatementSyntax":
            body, control = body.statement, str(body.timingControl)
        edges = control.count("posedge") + control.count("negedge")
        if self._text.span(body) is None or not (control or "comb" in node.keyword.rawText):
            self._made.left_out += 1
            return
        self._clocked = edges > 0
        reset = only(body) if edges > 1 else None
        if reset is not None and not self._splits(reset):
            self._made.left_out += 1
            return
        place = self._text.place()
        if reset is not None:
            self._with_reset(reset)
        else:
            with self._text.wrapped(body, f"{self._wire} = '0;"):
                self._statement(body, None)
        self._declare(node, place, f"(* keep *) reg [{max(self._bits, 1) - 1}:0] {self._wire};")

    def _declare(self, node: Any, place: int, text: str) -> None:
        """Before `node`; in a block of its own where only one item may stand."""
        if name_of(node.parent) in GENERATES:
            self._text.before(node, f"begin {text} ", place)
            self._text.after(node, " end")
        else:
            self._text.before(node, text + " ", place)

    def _splits(self, top: Any) -> bool:
        branches = [top.statement, top.elseClause.clause] if name_of(top) == "ConditionalStatementSyntax" and top.elseClause else []  # fmt: skip
        return bool(branches) and all(self._text.span(b) is not None for b in branches)

    def _with_reset(self, top: Any) -> None:
        """`if (reset) A else B`: the wire gets its value in each branch, or the reset would not be seen for what it is."""
        for branch, said in ((top.statement, "true"), (top.elseClause.clause, "false")):
            point = self._point()
            self._mark(top, f"if {said}", point)
            with self._text.wrapped(branch, f"{self._wire} = '0; {_set(point)}"):
                self._statement(branch, point)

    # Statements

    def _statement(self, node: Any, guard: Guard) -> None:
        name = name_of(node)
        if name == "BlockStatementSyntax":
            for item in node.items:
                if "Statement" in name_of(item):
                    self._statement(item, guard)
        elif name == "EmptyStatementSyntax":
            return
        elif self._text.span(node) is None:
            self._made.left_out += 1
        else:
            self._lines.setdefault(self._text.line(node), {})[guard] = None
            if name == "ConditionalStatementSyntax":
                self._conditional(node)
            elif name == "CaseStatementSyntax":
                self._case(node)
            elif name in LOOPS:
                self._loop(node)
            elif name == "ExpressionStatementSyntax" and not self._looping:
                self._ternaries(node)

    def _loop(self, node: Any) -> None:
        outer, self._looping = self._looping, True
        self._branch(node, "", node.statement)
        self._looping = outer

    def _conditional(self, node: Any) -> None:
        told = self._decision(node)
        with self._text.wrapped(node, told):
            self._branch(node, "if true", node.statement)
            if node.elseClause is not None:
                self._branch(node, "if false", node.elseClause.clause)
            elif self._text.span(node.statement) is None:
                self._made.left_out += 1
            elif not (node.uniqueOrPriority and node.uniqueOrPriority.rawText):
                # an else would take away what `unique` promises
                false = self._point()
                self._mark(node, "if false", false)
                self._text.after(node.statement, f" else {_set(false)}")

    def _case(self, node: Any) -> None:
        items = list(node.items)
        if not all(hasattr(item, "clause") for item in items):
            self._made.left_out += 1  # patterns
            return
        for item in items:
            label = self._text.said(item.expressions) if hasattr(item, "expressions") else "default"
            self._branch(item, f"case {label or '?'}", item.clause)
        unique = node.uniqueOrPriority and node.uniqueOrPriority.rawText
        if not unique and all(hasattr(item, "expressions") for item in items):
            point = self._point()
            self._mark(node, "case without a match", point)
            self._text.before(node.endcase, f"default: {_set(point)} ")

    def _branch(self, node: Any, what: str, body: Any) -> None:
        """A bin for one way out of `node`, and all that is in it; none where `body` is a macro's text, in which nothing can be written."""
        if self._text.span(body) is None:
            self._made.left_out += 1
            return
        point = self._point()
        if what:
            self._mark(node, what, point)
        with self._text.wrapped(body, _set(point)):
            self._statement(body, point)

    # Conditions

    def _assignment(self, node: Any) -> None:
        """A wire for the ways that the conditional operators of a continuous assignment go."""
        self._wire, values = self._made.wire("e"), []
        for n, texts in self._ways(node):
            for said, text in zip(("true", "false"), texts, strict=True):
                self._mark(n, f"? {said}", self._point())
                values.append(text)
        if values:
            told = ", ".join(reversed(values))
            wire = f"(* keep *) wire [{len(values) - 1}:0] {self._wire}; assign {self._wire} = {{{told}}};"
            self._declare(node, self._text.place(), wire)

    def _ternaries(self, statement: Any) -> None:
        told = []
        for n, texts in self._ways(statement):
            for said, text in zip(("true", "false"), texts, strict=True):
                point = self._point()
                self._mark(n, f"? {said}", point)
                told.append(_set(point, text))
        with self._text.wrapped(statement, " ".join(told)):
            pass

    def _ways(self, node: Any) -> Iterator[tuple[Any, tuple[str, str]]]:
        """Conditional operators, and for each the conditions under which it is asked and true, asked and false."""
        for n, path in conditionals(node):
            texts = [self._text.said(p) for p, _ in path] + [self._text.said(n.predicate)]
            if all(texts):
                signs = [sign for _, sign in path]
                asked = [("" if s else "!") + f"(|({t}))" for s, t in zip(signs, texts)]
                own = f"(|({texts[-1]}))"
                yield n, (" && ".join([*asked, own]), " && ".join([*asked, f"!{own}"]))

    def _decision(self, node: Any) -> str:
        """What shows the parts of a condition made of several, where it stands; "" for other conditions."""
        parts = [c for c in node.predicate.conditions if name_of(c) == "ConditionalPatternSyntax"]
        if self._looping or len(parts) != 1 or parts[0].matchesClause is not None:
            return ""
        texts: list[str] = []
        tree = self._tree(parts[0].expr, texts)
        if len(texts) < 2 or not all(texts):
            return ""
        when = self._point()
        atoms = tuple((text, self._point()) for text in texts)
        where = self._text.where(node)
        self._made.decisions.append(Decision(where, when, atoms, tree))
        return " ".join([_set(when), *(_set(p, f"|({text})") for text, p in atoms)])

    def _tree(self, node: Any, texts: list[str]) -> Tree:
        if name_of(node) == "ParenthesizedExpressionSyntax":
            return self._tree(node.expression, texts)
        kind = str(node.kind).rpartition(".")[2]
        if kind in ("LogicalAndExpression", "LogicalOrExpression"):
            sign = "&&" if kind == "LogicalAndExpression" else "||"
            return (sign, self._tree(node.left, texts), self._tree(node.right, texts))
        texts.append(self._text.said(node))
        return len(texts) - 1

    def _point(self) -> Point:
        self._bits += 1
        return Point(self._wire, self._bits - 1, self._clocked)

    def _mark(self, node: Any, what: str, point: Point) -> None:
        where = self._text.where(node)
        self._made.marks.append(Mark(f"{where} {what}", "branch", where, (point,)))


def _set(point: Point, value: str = "1'b1") -> str:
    return f"{point.wire}[{point.bit}] = {value};"
