"""The text of a file, by slang's syntax tree: where things stand, what they say, and edits that keep lines where they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kerf.verification.design import Source

APART = ("FunctionDeclarationSyntax", "ClassDeclarationSyntax", "CovergroupDeclarationSyntax")
PROCESSES = ("AlwaysBlock", "AlwaysCombBlock", "AlwaysFFBlock")
COMMENT = re.compile(rb"//[^\n]*|/\*.*?\*/", re.S)


def name_of(node: Any) -> str:
    return type(node).__name__


def processes(root: Any) -> Iterator[Any]:
    """Always blocks and continuous assignments, in order."""
    todo = [root]
    while todo:
        node = todo.pop()
        name = name_of(node)
        kind = str(node.kind).rpartition(".")[2]
        if name == "ContinuousAssignSyntax" or (name == "ProceduralBlockSyntax" and kind in PROCESSES):
            yield node
        elif name not in APART and name != "Token":
            todo += reversed(list(node))


def only(node: Any) -> Any:
    """The one statement in a block of one, any number of blocks deep."""
    while name_of(node) == "BlockStatementSyntax" and len(list(node.items)) == 1:
        node = next(iter(node.items))
    return node


def conditionals(node: Any, path: tuple[tuple[Any, bool], ...] = ()) -> Iterator[tuple[Any, Any]]:
    """Conditional operators below `node`; `path`: the (condition, way) of those that decide whether one is asked at all."""
    if name_of(node) == "Token":
        return
    if name_of(node) == "ConditionalExpressionSyntax":
        yield node, path
        yield from conditionals(node.predicate, path)
        yield from conditionals(node.left, (*path, (node.predicate, True)))
        yield from conditionals(node.right, (*path, (node.predicate, False)))
        return
    for child in node:
        yield from conditionals(child, path)


class Text:
    """A file under edit. Offsets are slang's, in bytes."""

    def __init__(self, source: Source, tree: Any) -> None:
        self.name = source.name
        self._data = source.text.encode("utf-8", "surrogateescape")
        self._buffer = tree.root.sourceRange.start.buffer if len(list(tree.root)) else None
        self._edits: list[tuple[int, int, int, str]] = []  # offset, closing before opening, order, text
        self._order = 0

    def span(self, node: Any) -> tuple[int, int] | None:
        """Where a node (or token) begins and ends; None when a macro or an include made an end of it."""
        if name_of(node) == "Token":
            first = last = node
        else:
            first, last = node.getFirstToken(), node.getLastToken()
        if first.location.buffer != self._buffer or last.location.buffer != self._buffer:
            return None
        return first.location.offset, last.location.offset + len(last.rawText.encode())

    def said(self, node: Any) -> str:
        """The text of a node on one line, without comments; "" where it is not in the file as it stands."""
        tokens = [t for t in _tokens(node) if t.rawText]
        if not tokens or any(t.location.buffer != self._buffer for t in (tokens[0], tokens[-1])):
            return ""
        end = tokens[-1].location.offset + len(tokens[-1].rawText.encode())
        text = COMMENT.sub(b" ", self._data[tokens[0].location.offset : end])
        said = " ".join(text.decode("utf-8", "surrogateescape").split())
        return "" if re.search(r"`(if|else|end|include|define)", said) else said

    def where(self, node: Any) -> str:
        """file:line"""
        return f"{self.name}:{self.line(node)}"

    def line(self, node: Any) -> int:
        found = self.span(node)
        return self._data.count(b"\n", 0, found[0]) + 1 if found else 0

    # Edits

    def blank(self, node: Any) -> None:
        """Spaces for the text of a node; lines and offsets stay."""
        if found := self.span(node):
            at, end = found
            self._data = self._data[:at] + re.sub(rb"[^\n]", b" ", self._data[at:end]) + self._data[end:]

    def place(self) -> int:
        """A place in the order of edits, for text that is known later."""
        self._order += 1
        return self._order

    def before(self, node: Any, text: str, place: int = 0) -> None:
        found = self.span(node)
        assert found
        self._edits.append((found[0], 1, place or self.place(), text))

    def after(self, node: Any, text: str) -> None:
        found = self.span(node)
        assert found
        self._edits.append((found[1], 0, self.place(), text))

    @contextmanager
    def wrapped(self, node: Any, text: str) -> Iterator[None]:
        """`begin text ... end` around a statement; nothing for an empty text."""
        if text:
            self.before(node, f"begin {text} ")
        yield
        if text:
            self.after(node, " end")

    def edited(self) -> str:
        out, at = bytearray(), 0
        for offset, _, _, text in sorted(self._edits, key=lambda e: e[:3]):
            out += self._data[at:offset] + text.encode()
            at = offset
        return (bytes(out) + self._data[at:]).decode("utf-8", "surrogateescape")


def _tokens(node: Any) -> Iterator[Any]:
    if name_of(node) == "Token":
        yield node
    else:
        for child in node:
            yield from _tokens(child)
