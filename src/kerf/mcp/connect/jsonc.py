"""JSON as people keep it, with comments and trailing commas: one member set or removed, and not a byte changed besides.

The dialect is that of VS Code's settings: `//` and `/* */` comments, and a comma before a closing bracket.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kerf.core.types import KerfError

BLANK = re.compile(r"(?:[\s\ufeff]|//[^\n]*|/\*.*?\*/)*", re.S)
STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')
ATOM = re.compile(r"[-+.\w]+")


@dataclass
class Node:
    """A value and where it stands. `members`: of an object, name -> (where the name begins, value); a name said twice is its last."""

    start: int
    end: int = 0
    value: Any = None
    members: dict[str, tuple[int, Node]] | None = None
    items: list[Node] = field(default_factory=list)


def parse(text: str) -> Node:
    """KerfError with line and column where it is no JSON."""
    reader = _Reader(text)
    node = reader.node(reader.blank(0))
    if reader.blank(node.end) != len(text):
        raise reader.error(reader.blank(node.end), "something after the end")
    return node


@dataclass
class _Reader:
    text: str

    def blank(self, at: int) -> int:
        match = BLANK.match(self.text, at)
        return match.end() if match else at

    def error(self, at: int, what: str) -> KerfError:
        line = self.text.count("\n", 0, at) + 1
        return KerfError(f"line {line}, column {at - self.text.rfind(chr(10), 0, at)}: {what}")

    def node(self, at: int) -> Node:
        sign = self.text[at : at + 1]
        if sign == "{":
            return self.object(at)
        if sign == "[":
            return self.array(at)
        match = (STRING if sign == '"' else ATOM).match(self.text, at)
        if not match:
            raise self.error(at, f"expected a value, found {sign!r}" if sign else "it ends too early")
        try:
            return Node(at, match.end(), json.loads(match[0]))
        except ValueError as wrong:
            raise self.error(at, f"{match[0]!r} is no JSON value") from wrong

    def object(self, at: int) -> Node:
        node, place = Node(at, members={}), self.blank(at + 1)
        members = node.members = {}
        while self.text[place : place + 1] != "}":
            name = self.node(place)
            colon = self.blank(name.end)
            if not isinstance(name.value, str) or self.text[colon : colon + 1] != ":":
                raise self.error(place, 'expected "name": value')
            value = self.node(self.blank(colon + 1))
            members[name.value] = (place, value)
            place = self.after(value.end, "}")
        node.end, node.value = place + 1, {k: v.value for k, (_, v) in members.items()}
        return node

    def array(self, at: int) -> Node:
        node, place = Node(at), self.blank(at + 1)
        while self.text[place : place + 1] != "]":
            node.items.append(self.node(place))
            place = self.after(node.items[-1].end, "]")
        node.end, node.value = place + 1, [n.value for n in node.items]
        return node

    def after(self, at: int, close: str) -> int:
        """Where the next member begins, or the closing bracket stands."""
        at = self.blank(at)
        if self.text[at : at + 1] == ",":
            return self.blank(at + 1)
        if self.text[at : at + 1] != close:
            raise self.error(at, f"expected a comma or {close!r}")
        return at


def merged(text: str, path: Sequence[str], value: Mapping[str, Any]) -> str:
    """`text` with every member of `value` at `path`, whose objects are made where they are missing; members that are there besides stay.
    KerfError where something on the way is no object."""
    if not text.strip("\ufeff \t\r\n"):
        text = "{}\n"
    for name, inner in value.items():
        text = _set(text, [*path, name], inner)
    return text


def _set(text: str, path: Sequence[str], value: Any) -> str:
    node, depth = parse(text), 0
    while depth < len(path):
        if node.members is None:
            raise KerfError(f"{'.'.join(path[:depth]) or 'the whole'} is no object: mend it by hand")
        if path[depth] not in node.members:
            for name in reversed(path[depth + 1 :]):
                value = {name: value}
            return _insert(text, node, path[depth], value)
        node, depth = node.members[path[depth]][1], depth + 1
    return text if node.value == value else text[: node.start] + json.dumps(value) + text[node.end :]


def _insert(text: str, parent: Node, name: str, value: Any) -> str:
    """As the object's last member; comments stay beside what they were beside."""
    newline = "\r\n" if "\r\n" in text else "\n"
    outer, unit = _indent(text, parent.start), _unit(text)
    inner = _member_indent(text, parent) or outer + unit
    body = json.dumps(value, indent=unit).replace("\n", newline + inner)
    members = list((parent.members or {}).values())
    last = max((v.end for _, v in members), default=parent.start + 1)
    reader = _Reader(text)
    comma = bool(members) and text[reader.blank(last) : reader.blank(last) + 1] != ","
    closing = parent.end - 1
    seat = max(len(text[:closing].rstrip()), last)
    tail = text[closing:] if "\n" in text[seat:closing] else newline + outer + text[closing:]
    rest = text[seat:closing] if "\n" in text[seat:closing] else ""
    before = text[:last] + ("," if comma else "") + text[last:seat]
    return f"{before}{newline}{inner}{json.dumps(name)}: {body}{rest}{tail}"


def _indent(text: str, at: int) -> str:
    line = text[text.rfind("\n", 0, at) + 1 : at].lstrip("\ufeff")
    return line[: len(line) - len(line.lstrip(" \t"))]


def _member_indent(text: str, parent: Node) -> str:
    starts = [at for at, _ in (parent.members or {}).values()]
    own = [at for at in starts if not text[text.rfind("\n", 0, at) + 1 : at].strip()]
    return _indent(text, own[0]) if own and "\n" in text[parent.start : own[0]] else ""


def _unit(text: str) -> str:
    match = re.search(r"^([ \t]+)\S", text, re.M)
    return match[1] if match else "  "


def removed(text: str, path: Sequence[str]) -> str:
    """`text` without the member at `path`; unchanged where there is none."""
    node = parse(text)
    for name in path[:-1]:
        if name not in (node.members or {}):
            return text
        node = (node.members or {})[name][1]
    members = node.members or {}
    if path[-1] not in members:
        return text
    at, value = members[path[-1]]
    reader, start = _Reader(text), len(text[:at].rstrip())
    comma = reader.blank(value.end)
    if text[comma : comma + 1] == ",":
        return text[:start] + text[comma + 1 :]
    before = max((v.end for p, v in members.values() if p < at), default=None)
    if before is not None:  # it was the last: the comma before it goes too
        comma = reader.blank(before)
        return text[:comma] + text[comma + 1 : start] + text[value.end :]
    return text[:start] + text[value.end :]
