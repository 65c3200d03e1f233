"""Where assertions stand in the source, and the source with wires in their place. Lines keep their numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kerf.core.types import KerfError
from kerf.verification.design import Design
from kerf.verification.sva.wording import DECLARATIONS, Declarations, Unsupported, kind

BLOCKS = ("ModuleDeclaration", "InterfaceDeclaration", "ProgramDeclaration", "GenerateBlock")
ASSERTIONS = ("ConcurrentAssertionMember",)


@dataclass(frozen=True)
class Range:
    """Bytes of a source, by its index in the design."""

    source: int
    start: int
    end: int


@dataclass
class Places:
    """The design's source by slang's buffers. `at` gives the declarations of the place that a piece of syntax takes up."""

    design: Design
    declarations: dict[Range, Declarations] = field(default_factory=dict)
    _wrapped: set[Range] = field(default_factory=set)
    _removed: set[Range] = field(default_factory=set)
    _buffers: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._buffers = buffers(self.design)

    @property
    def manager(self) -> Any:
        return self.design.compilation.sourceManager

    def range(self, syntax: Any) -> Range:
        """Of the source itself: of a macro's use where the syntax comes from a macro. KerfError for included files."""
        first, final = syntax.sourceRange.start, syntax.sourceRange.end
        start, _ = self._in_file(first)
        _, end = self._in_file(final)
        source = self._buffers.get(int(start.buffer.id))
        if source is None:
            raise KerfError(
                f"{self.location(syntax)}: an assertion in an included file: put it into a file of the design itself"
            )
        return Range(source, int(start.offset), int(end.offset))

    def _in_file(self, location: Any) -> tuple[Any, Any]:
        start = end = location
        while self.manager.isMacroLoc(start):
            used = self.manager.getExpansionRange(start)
            start, end = used.start, used.end
        while self.manager.isMacroLoc(end):
            end = self.manager.getExpansionRange(end).end
        return start, end

    def location(self, syntax: Any) -> str:
        """file:line, for messages."""
        start, _ = self._in_file(syntax.sourceRange.start)
        source = self._buffers.get(int(start.buffer.id))
        name = self.design.sources[source].name if source is not None else self.manager.getFileName(start)
        return f"{name}:{self.manager.getLineNumber(start)}"

    def at(self, syntax: Any) -> Declarations:
        """`syntax` is a member of a module or of a generate block, or stands alone as the body of a loop or branch."""
        place = self.range(syntax)
        if kind(syntax.parent) == "CheckerDeclaration":
            raise Unsupported("an assertion in a checker: make it a module")
        if place not in self.declarations:
            self.declarations[place] = Declarations(f"kerf_{place.source}_{place.start}")
            if syntax.parent is not None and kind(syntax.parent) not in BLOCKS:
                self._wrapped.add(place)
        return self.declarations[place]

    def beside(self, procedure: Any, statement: Any) -> Declarations:
        """For an assertion inside a procedure: behind that; the assertion becomes a null statement."""
        if kind(procedure.parent) not in BLOCKS:
            raise Unsupported(
                "a concurrent assertion in a procedure that stands alone in a loop or branch: put begin and end around it"
            )
        self._removed.add(self.range(statement))
        whole = self.range(procedure)
        place = Range(whole.source, whole.end, whole.end)
        return self.declarations.setdefault(place, Declarations(f"kerf_p{place.source}_{place.start}"))

    def texts(self) -> dict[str, str]:
        """The changed sources by name: wires for assertions, nothing for declarations of properties and sequences."""
        edits: dict[Range, str] = dict(self._erased()) | dict.fromkeys(self._removed, ";")
        for place, made in self.declarations.items():
            text = " ".join(made.lines)
            edits[place] = f"begin {text} end" if place in self._wrapped else text
        changed: dict[int, list[tuple[Range, str]]] = {}
        for place, text in edits.items():
            changed.setdefault(place.source, []).append((place, text))
        return {self.design.sources[i].name: self._edited(i, rows) for i, rows in changed.items()}

    def _edited(self, index: int, rows: list[tuple[Range, str]]) -> str:
        text = self.design.sources[index].text.encode("utf-8", "surrogateescape")
        for place, new in sorted(rows, key=lambda row: (row[0].start, row[0].end), reverse=True):
            lines = text[place.start : place.end].count(b"\n")
            text = text[: place.start] + b" " + new.encode() + b"\n" * lines + b" " + text[place.end :]
        return text.decode("utf-8", "surrogateescape")

    def _erased(self) -> Iterator[tuple[Range, str]]:
        """Declarations, which synthesis does not read, and assertions in parts that are not elaborated."""
        for tree in self.design.compilation.getSyntaxTrees():
            for node in _members(tree.root):
                try:
                    place = self.range(node)
                except KerfError:
                    continue
                if place not in self.declarations:
                    yield (
                        place,
                        "begin end" if kind(node) in ASSERTIONS and kind(node.parent) not in BLOCKS else "",
                    )


def buffers(design: Design) -> dict[int, int]:
    """Which source of the design each of slang's buffers is; included files are none."""
    manager, found = design.compilation.sourceManager, {}
    for index, tree in enumerate(design.compilation.getSyntaxTrees()):
        location = tree.root.sourceRange.start
        while manager.isMacroLoc(location):
            location = manager.getExpansionLoc(location)
        while manager.isIncludedFileLoc(location):
            location = manager.getIncludedFrom(location.buffer)
        found[int(location.buffer.id)] = index
    return found


def _members(root: Any) -> list[Any]:
    found: list[Any] = []

    def visit(node: Any) -> bool:
        if kind(node) in (*DECLARATIONS, *ASSERTIONS):
            found.append(node)
        return True

    root.visit(visit)
    return found


def instances(design: Design) -> Iterator[tuple[Any, Any]]:
    """Every concurrent assertion with the procedural block that slang puts around it, in every instance, in the order of the source."""
    from pyslang.ast import VisitAction

    found: list[tuple[Any, Any]] = []

    def visit(node: Any) -> Any:
        if type(node).__name__ == "GenerateBlockSymbol" and node.isUninstantiated:
            return VisitAction.Skip
        if type(node).__name__ == "ProceduralBlockSymbol":
            node.body.visit(lambda s: take(node, s))
            return VisitAction.Skip
        return VisitAction.Advance

    def take(block: Any, node: Any) -> Any:
        if type(node).__name__ == "ConcurrentAssertionStatement":
            found.append((block, node))
        return VisitAction.Advance

    design.root.visit(visit)
    yield from found


def defaults(block: Any) -> Mapping[str, Any]:
    """The default clocking and default disable condition in force: the syntax, or nothing."""
    found: dict[str, Any] = {}
    node = block
    while node is not None:
        for member in getattr(node, "members", ()):
            what = kind(member)
            if what == "DefaultDisableDeclaration":
                found.setdefault("disable", member.expr)
            elif what == "ClockingDeclaration" and "default" in str(member.globalOrDefault):
                found.setdefault("clocking", member.event)
            elif what == "DefaultClockingReference":
                found.setdefault("clocking", _named(node, str(member.name.rawText)))
        node = node.parent
    return found


def _named(block: Any, name: str) -> Any:
    for member in block.members:
        if kind(member) == "ClockingDeclaration" and str(member.blockName.rawText) == name:
            return member.event
    return None
