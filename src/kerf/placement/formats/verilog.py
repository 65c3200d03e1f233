"""Structural Verilog: a gate-level netlist, flat or of modules in modules, with LEF and a floorplan in DEF.

The subset that synthesis writes: port and net declarations with ranges, instances with named connections, assigns between nets, selects,
concatenations, constants, escaped names, comments and attributes. Modules within modules are made flat. Behaviour and parameters are refused. The DEF
gives the die, rows, pins and any component already there; an instance that it lacks has no place yet. The netlist is the Verilog's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np

from kerf.core.types import KerfError
from kerf.placement.design import Design, Kind, Placement
from kerf.placement.formats import def_fillers, lef, lefdef, text
from kerf.placement.formats.lef import Library, Master
from kerf.placement.formats.text import END, FormatError
from kerf.placement.formats.verilog_modules import DEEPEST, Bits, Instance, Module, flatten, tops

TOKEN = re.compile(
    r"//[^\n]*|/\*.*?\*/|\(\*.*?\*\)|\\(\S+)|([A-Za-z_][\w$]*)"
    r"|(\d+\s*'\s*[sS]?[bBoOdDhH]\s*[0-9a-fA-FxXzZ?_]+|\d+)|([()\[\]{},;:=.#])|(\S)",
    re.S,
)
DIRECTIONS = ("input", "output", "inout")
NETS = ("wire", "tri", "wand", "wor", "supply0", "supply1")
WIDEST = 1 << 20


class _Reader:
    """Tokens (kind: 1 escaped name, 2 name, 3 number, 4 punctuation) and a place among them."""

    def __init__(self, path: Path) -> None:
        self.path, self.content = path, text.read(path)
        self.tokens = [
            (m.lastindex, m[m.lastindex], m.start()) for m in TOKEN.finditer(self.content) if m.lastindex
        ]
        self.at, self.depth, self.module = 0, 0, Module()

    def refuse_at(self, token: int, expected: str) -> NoReturn:
        self.at = token
        self.refuse(expected)

    def refuse(self, expected: str) -> NoReturn:
        inside = self.at < len(self.tokens)
        start = self.tokens[self.at][2] if inside else len(self.content)
        line = self.content.count("\n", 0, start) + 1
        raise FormatError(self.path, line, expected, self.tokens[self.at][1] if inside else END)

    def peek(self) -> str:
        """The next token's text; "" at the end. An escaped name is never a keyword or punctuation."""
        kind, word, _ = self.tokens[self.at] if self.at < len(self.tokens) else (0, "", 0)
        return "\\" if kind == 1 else word

    def accept(self, word: str) -> bool:
        if self.peek() != word:
            return False
        self.at += 1
        return True

    def expect(self, word: str) -> None:
        if not self.accept(word):
            self.refuse(f"`{word}`")

    def name(self, what: str) -> str:
        if self.at >= len(self.tokens) or self.tokens[self.at][0] not in (1, 2):
            self.refuse(what)
        self.at += 1
        return self.tokens[self.at - 1][1]

    def number(self) -> int:
        word = self.peek()
        if not (word.isascii() and word.isdigit() and len(word) < 9):
            self.refuse("a number")
        self.at += 1
        return int(word)

    def read(self) -> dict[str, Module]:
        """The modules of the file, by name."""
        found: dict[str, Module] = {}
        while self.peek() or not found:
            self.module, begin = Module(), self.at
            self.one()
            if self.module.name in found:
                self.refuse_at(begin, f"a name not used before for the module {self.module.name}")
            found[self.module.name] = self.module
        return found

    def one(self) -> None:
        self.expect("module")
        self.module.name = self.name("the name of a module")
        if self.accept("("):
            self.header()
        self.expect(";")
        while not self.accept("endmodule"):
            self.item()

    def header(self) -> None:
        """`(a, b)` or `(input [3:0] a, output b)`."""
        direction, span = "", None
        while not self.accept(")"):
            if self.peek() in DIRECTIONS:
                direction, span = self.keyword()
            self.declare(self.name("a port"), direction, span)
            if self.peek() != ")":
                self.expect(",")

    def keyword(self) -> tuple[str, tuple[int, int] | None]:
        word = self.name("a keyword")
        for net in (*NETS, "signed"):
            self.accept(net)
        return word, self.span()

    def span(self) -> tuple[int, int] | None:
        if not self.accept("["):
            return None
        first = self.number()
        self.expect(":")
        last = self.number()
        self.expect("]")
        if abs(first - last) > WIDEST:
            self.refuse(f"a range of at most {WIDEST} bits before this")
        return first, last

    def declare(self, name: str, word: str, span: tuple[int, int] | None) -> None:
        if span:
            self.module.ranges[name] = span
            self.module.known.pop(name, None)
        if word in DIRECTIONS:
            self.module.ports[name] = word
        elif word.startswith("supply"):
            self.module.supplies.update(self.module.bits(name))

    def item(self) -> None:
        word = self.peek()
        if word in DIRECTIONS or word in NETS:
            word, span = self.keyword()
            self.declare(self.name("a name"), word, span)
            while self.accept(","):
                self.declare(self.name("a name"), word, span)
        elif self.accept("assign"):
            left = self.expression()
            self.expect("=")
            self.join(left, self.expression())
        else:
            self.instance()
        self.expect(";")

    def join(self, left: Bits, right: Bits) -> None:
        if len(left) != len(right):
            self.refuse(f"two sides of one width before this (they have {len(left)} and {len(right)} bits)")
        for a, b in zip(left, right):
            if a is not None and b is not None:
                self.module.join(a, b)

    def instance(self) -> None:
        at = self.at
        master = self.name("a declaration, an assign, an instance or `endmodule`")
        found = Instance(self.name(f"the name of an instance of {master}"), master, {}, at)
        self.expect("(")
        while not self.accept(")"):
            self.expect(".")
            pin = self.name("the name of a pin")
            self.expect("(")
            found.pins[pin] = [] if self.peek() == ")" else self.expression()
            self.expect(")")
            if self.peek() != ")":
                self.expect(",")
        self.module.instances.append(found)

    def expression(self) -> Bits:
        if self.accept("{"):
            return self.concatenation()
        if self.at < len(self.tokens) and self.tokens[self.at][0] == 3:
            self.at += 1
            width, sized, _ = self.tokens[self.at - 1][1].partition("'")
            constant: Bits = [None]
            return self.repeated(constant, width.strip()) if sized else constant
        name = self.name("a net, a concatenation or a constant")
        if not self.accept("["):
            whole: Bits = [*self.module.bits(name)]
            return whole
        first = self.number()
        last = self.number() if self.accept(":") else first
        self.expect("]")
        low, high = sorted(self.module.ranges.get(name, (0, -1)))
        if name not in self.module.ranges or min(first, last) < low or max(first, last) > high:
            self.refuse(f"a select within the declared range of {name} before this")
        step = -1 if first > last else 1
        return [f"{name}[{i}]" for i in range(first, last + step, step)]

    def repeated(self, bits: Bits, times: str) -> Bits:
        """The bits so many times, as long as a net may be wide."""
        if len(times) > 8 or int(times) * len(bits) > WIDEST:
            self.refuse(f"at most {WIDEST} bits before this")
        return bits * int(times)

    def concatenation(self) -> Bits:
        bits: Bits = []
        self.depth += 1
        if self.depth > DEEPEST:
            self.refuse(f"at most {DEEPEST} nested concatenations before this")
        if self.tokens[self.at : self.at + 1] and self.tokens[self.at + 1 : self.at + 2] and self._repeats():
            times = self.number()
            self.expect("{")
            bits = self.repeated(self.concatenation(), str(times))
        else:
            bits = self.expression()
            while self.accept(","):
                bits += self.expression()
                if len(bits) > WIDEST:
                    self.refuse(f"at most {WIDEST} bits before this")
        self.expect("}")
        self.depth -= 1
        return bits

    def _repeats(self) -> bool:
        return self.tokens[self.at][1].isdigit() and self.tokens[self.at + 1][1] == "{"


def read(path: Path, beside: Sequence[Path] = ()) -> Design:
    """A netlist with the LEF and the floorplan (.def) in `beside`, or in its folder: of its name or, of LEF, all."""
    reader = _Reader(path)
    modules = reader.read()
    lefs = lefdef.lefs_of(path, beside)
    chip = lefdef.read(_floorplan(path, beside), lefs)
    library = lef.read(lefs)
    top = _top(path, tops(modules, library.masters), chip.name)
    module = flatten(modules, top, library.masters, reader.refuse_at)
    notes = _leave_out_fillers(module, library, chip)
    index = {name.replace("\\", ""): i for i, name in enumerate(chip.cell_names)}
    added = [made for made in module.instances if made.name not in index]
    masters = {made.name: library.masters[made.master] for made in module.instances}
    if len(masters) != len(module.instances):
        uses = Counter(made.name for made in module.instances)
        twice = next(made for made in reversed(module.instances) if uses[made.name] > 1)
        reader.refuse_at(twice.at, f"a name not used before for the instance {twice.name}")
    index |= {made.name: chip.cells + k for k, made in enumerate(added)}
    nets = _nets(reader, module, chip, index, masters)
    design = _design(chip, module, [(made, masters[made.name]) for made in added], nets)
    return replace(design, notes=(*chip.notes, *notes))


def _top(path: Path, found: list[str], floorplan: str) -> str:
    """The one module that none instantiates; of several, the one that the floorplan is named after."""
    if floorplan in found or len(found) == 1:
        return floorplan if floorplan in found else found[0]
    named = ", ".join(found[:5]) or "none"
    raise KerfError(
        f"{path}: which module is the chip? Those in no other are: {named}; the floorplan's DESIGN is {floorplan}: it should name one of them"
    )


def _leave_out_fillers(module: Module, library: Library, chip: Design) -> list[str]:
    """As of a DEF (see `def_fillers`): spacers that no signal joins are no instances. Returns what to tell of those not told of yet."""
    supplies = {module.root(bit) for bit in module.supplies}

    def fills(made: Instance) -> bool:
        if not def_fillers.is_spacer(library.masters[made.master]):
            return False
        return all(bit is None or module.root(bit) in supplies for bits in made.pins.values() for bit in bits)

    out = [made for made in module.instances if fills(made)]
    gone = {made.name for made in out}
    module.instances = [made for made in module.instances if made.name not in gone]
    new = [made.master for made in out if made.name not in chip.source.fillers]
    return [def_fillers.note(new)] if new else []


def _floorplan(path: Path, beside: Sequence[Path]) -> Path:
    given = [p for p in beside if p.name.removesuffix(".gz").endswith(".def")]
    try:
        return (
            given[0]
            if given
            else text.present(path.with_name(path.name.removesuffix(".gz").removesuffix(".v") + ".def"))
        )
    except KerfError:
        raise KerfError(
            f"{path}: a netlist needs a floorplan: give a DEF with its die, rows and pins"
        ) from None


End = tuple[int, float, float, bool]


def _nets(
    reader: _Reader, module: Module, chip: Design, index: dict[str, int], masters: dict[str, Master]
) -> dict[str, list[End]]:
    """Net -> (cell, offset in the DEF's unit, whether it drives), in the order of first use; supply nets left out."""
    scale = chip.per_um or 1.0
    supplies = {module.root(bit) for bit in module.supplies}
    nets: dict[str, list[End]] = {}
    for port, direction in module.ports.items():
        for bit in module.bits(port):
            if bit not in index or chip.kind[index[bit]] != Kind.PORT:
                raise KerfError(f"{reader.path}: the floorplan has no pin for the port {bit}")
            nets.setdefault(module.root(bit), []).append((index[bit], 0.0, 0.0, direction == "input"))
    for made in module.instances:
        master = masters[made.name]
        for pin, bit in _connections(reader, made, master):
            end = (index[made.name], *lefdef.offset(master, pin, scale), pin in master.drivers)
            nets.setdefault(module.root(bit), []).append(end)
    return {net: ends for net, ends in nets.items() if net not in supplies}


def _connections(reader: _Reader, made: Instance, master: Master) -> list[tuple[str, str]]:
    """(pin of the LEF, net) of an instance; a bus `A` connects to the pins `A[i]`, highest first."""
    found = []
    for pin, bits in made.pins.items():
        pins = [pin]
        if pin not in master.pins:
            inside = re.compile(re.escape(pin) + r"[\[<](\d+)[\]>]$")
            numbered = {int(m[1]): name for name in master.pins if (m := inside.match(name))}
            pins = [numbered[i] for i in sorted(numbered, reverse=True)]
        if not pins or (bits and len(bits) != len(pins)):
            reader.refuse_at(
                made.at, f"a pin {pin} of macro {master.name} with {len(bits)} bits, at instance {made.name}"
            )
        found += [(one, bit) for one, bit in zip(pins, bits) if bit is not None]
    return found


def _design(
    chip: Design, module: Module, added: list[tuple[Instance, Master]], nets: dict[str, list[End]]
) -> Design:
    ordered = [sorted(ends, key=lambda end: not end[3]) for ends in nets.values()]
    pins = np.array([end[:3] for ends in ordered for end in ends], dtype=np.float64).reshape(-1, 3).T
    scale = chip.per_um or 1.0
    sizes = np.array([[round(m.width * scale), round(m.height * scale)] for _, m in added], dtype=np.float64)
    sizes = sizes.reshape(-1, 2)
    nowhere, north = np.full(len(added), np.nan), np.zeros(len(added), np.int64)
    first = chip.initial
    initial = Placement(
        *(np.concatenate(p) for p in ((first.x, nowhere), (first.y, nowhere), (first.orient, north)))
    )
    source = replace(chip.source, added=[(chip.cells + k, m.name) for k, (_, m) in enumerate(added)])
    return replace(
        chip,
        name=module.name,
        format="verilog",
        cell_names=chip.cell_names + [made.name for made, _ in added],
        width=np.concatenate([chip.width, sizes[:, 0]]),
        height=np.concatenate([chip.height, sizes[:, 1]]),
        kind=np.concatenate([chip.kind, [lefdef.kind_of(m) for _, m in added]]).astype(np.int8),
        fixed=np.concatenate([chip.fixed, np.zeros(len(added), np.bool_)]),
        net_names=list(nets),
        net_start=np.concatenate([[0], np.cumsum([len(ends) for ends in ordered])]).astype(np.int64),
        net_weight=np.ones(len(nets)),
        pin_cell=pins[0].astype(np.int64),
        pin_x=pins[1].copy(),
        pin_y=pins[2].copy(),
        initial=initial,
        source=source,
    )
