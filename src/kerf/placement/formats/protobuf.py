"""Circuit Training's netlist: a TensorFlow GraphDef in protobuf's text format, `node { name input* attr* }`.

One node is a port, a macro or a pin of a macro; a node's inputs are the pins that it drives. Values keep their text, so that what is
not changed is written as it was read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerf.placement.formats import text
from kerf.placement.formats.text import END, FormatError

STRING = r'"(?:[^"\\\n]|\\.)*"'
TOKEN = re.compile(
    rf"attr\s*\{{\s*key\s*:\s*({STRING})\s*value\s*\{{\s*(\w+)\s*:\s*({STRING}|[^\s{{}}\"#]+)\s*\}}\s*\}}"
    rf"|([\w.]+)\s*:\s*({STRING}|[^\s{{}}\"#]+)|([\w.]+)\s*:?\s*\{{|(\}})|#[^\n]*|(\S)"
)
"""A whole attribute, `key: value`, `key {`, `}`, a comment, or what should not be there. Attributes are nearly all of a file."""
KINDS = {3: "attr", 5: "field", 6: "open", 7: "close", 8: "junk"}


@dataclass
class Node:
    """`attrs`: key -> (field of the value, its text): {"x": ("f", "0.035")}; strings without their quotes."""

    name: str
    inputs: list[str]
    attrs: dict[str, tuple[str, str]]
    line: int

    def value(self, key: str) -> str | None:
        found = self.attrs.get(key)
        return found[1] if found else None


class _Tokens:
    """The tokens of a file, one ahead, counting lines only when an error asks."""

    def __init__(self, path: Path, content: str) -> None:
        self.path, self.content = path, content
        self.found = TOKEN.finditer(content)
        self.kind, self.at = "", 0
        self.groups: tuple[Any, ...] = ()
        self.step()

    def step(self) -> None:
        """`kind`: one of KINDS, "" at the end; `groups`: what the token says."""
        self.kind, self.groups, self.at = "", (), len(self.content)
        for match in self.found:
            if match.lastindex is not None:
                self.kind, self.at = KINDS[match.lastindex], match.start()
                self.groups = match.groups()
                return

    @property
    def line(self) -> int:
        return self.content.count("\n", 0, self.at) + 1

    def refuse(self, expected: str) -> FormatError:
        here = self.content[self.at : self.at + 60].partition("\n")[0]
        return FormatError(self.path, self.line, expected, here or END)


def read(path: Path) -> list[Node]:
    """The nodes in their order. Raises FormatError with the line where the text is no such graph."""
    tokens = _Tokens(path, text.read(path))
    nodes = list(_nodes(tokens))
    if not nodes:
        raise FormatError(path, tokens.line, "`node {`", END)
    return nodes


def _nodes(tokens: _Tokens) -> Iterator[Node]:
    line, counted = 1, 0
    while tokens.kind:
        line += tokens.content.count("\n", counted, tokens.at)
        counted = tokens.at
        if tokens.kind != "open" or tokens.groups[5] != "node":
            raise tokens.refuse("`node {`")
        tokens.step()
        yield _node(tokens, line)


def _node(tokens: _Tokens, line: int) -> Node:
    node = Node("", [], {}, line)
    while tokens.kind != "close":
        groups = tokens.groups
        if tokens.kind == "attr":
            node.attrs[_string(groups[0])] = (groups[1], _string(groups[2]))
        elif tokens.kind == "field" and groups[3] == "input":
            node.inputs.append(_string(groups[4]))
        elif tokens.kind == "field" and groups[3] == "name":
            node.name = _string(groups[4])
        else:
            raise tokens.refuse('`name:`, `input:`, `attr { key: "..." value { ... } }` or `}`')
        tokens.step()
    if not node.name:
        raise tokens.refuse("`name:` in every node")
    tokens.step()
    return node


def _string(value: str) -> str:
    return value[1:-1] if value[0] == '"' else value


def write(path: Path, nodes: list[Node]) -> None:
    text.write(path, "".join(_written(node) for node in nodes))


def _written(node: Node) -> str:
    lines = ["node {", f'  name: "{node.name}"', *(f'  input: "{pin}"' for pin in node.inputs)]
    for key, (kind, value) in node.attrs.items():
        shown = f'"{value}"' if kind in ("placeholder", "s") else value
        lines += ["  attr {", f'    key: "{key}"', "    value {", f"      {kind}: {shown}", "    }", "  }"]
    return "\n".join([*lines, "}", ""])
