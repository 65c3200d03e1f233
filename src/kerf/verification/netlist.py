"""A netlist that Yosys mapped to ANDs, inverters and flip-flops (its JSON) as a graph with named signals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from kerf.core.types import KerfError
from kerf.verification.graph import FALSE, FREE, TRUE, Graph, Signal

FLIP_FLOPS = ("$_DFF_P_", "$_DFF_N_", "$_FF_")
CHECKS = {"$assert": "assert", "$assume": "assume", "$cover": "cover"}
FREE_CELLS = ("$anyseq", "$anyconst", "$allconst", "$allseq")

Bit = int | str


class CombinationalLoop(KerfError):
    """A net that depends on itself with no register between."""


@dataclass(frozen=True)
class Check:
    """An immediate assertion of the source: `holds` is true in the cycles in which it is not violated (for a cover: reached)."""

    kind: str
    name: str
    holds: int
    source: str


@dataclass(frozen=True)
class Netlist:
    """`undriven`: names of signals that nothing drives (they are free inputs of the graph); `clocks`: (net name, edge) of the flip-flops, or of what they
    were where every clock became an input."""

    graph: Graph
    checks: tuple[Check, ...] = ()
    clocks: tuple[tuple[str, str], ...] = ()
    undriven: tuple[str, ...] = ()


def netlist(module: Mapping[str, Any]) -> Netlist:
    """`module`: one module of `write_json`. KerfError for cells that are no gates and for combinational loops."""
    return _Reader(module).read()


@dataclass
class _Reader:
    module: Mapping[str, Any]
    graph: Graph = field(default_factory=Graph)
    literal: dict[Bit, int] = field(default_factory=lambda: {"0": FALSE, "1": TRUE})
    driver: dict[Bit, Mapping[str, Any]] = field(default_factory=dict)
    shared: dict[Bit, list[Mapping[str, Any]]] = field(default_factory=dict)  # nets of tri-state drivers
    undriven: list[Bit] = field(default_factory=list)

    def read(self) -> Netlist:
        flops, checks, clock_bits = [], [], set()
        self._inputs()
        initial = dict(self._initial_values())
        for name, cell in self.module["cells"].items():
            kind, pins = cell["type"], cell["connections"]
            if kind in FLIP_FLOPS:
                flops.append((self._latch(pins["Q"][0], initial), pins["D"][0]))
                clock_bits |= {(c, kind[-2]) for c in pins.get("C", [])}
            elif kind in CHECKS:
                checks.append((name, cell))
            elif kind in ("$_AND_", "$_NOT_"):
                self.driver[pins["Y"][0]] = cell
            elif kind == "$_TBUF_":
                self.shared.setdefault(pins["Y"][0], []).append(pins)
            elif kind in FREE_CELLS:
                for bit in pins["Y"]:
                    constant = "const" in kind
                    self.literal[bit] = self.graph.add_latch(FREE) if constant else self.graph.add_input()
                    self.undriven.append(bit)
            elif kind == "$initstate":
                begun = self.graph.add_latch(0)
                self.graph.set_next(begun, TRUE)
                self.literal[pins["Y"][0]] = begun ^ 1
            elif kind != "$scopeinfo":
                raise KerfError(f"cell {name} of type {kind} is no gate: a black box or an unsupported cell")
        self._inouts()
        for latch, data in flops:
            self.graph.set_next(latch, self._value(data))
        made = tuple(self._check(n, c) for n, c in checks)
        self._name_signals()
        return Netlist(self.graph, made, tuple(sorted(self._named(clock_bits))), self._names_of_undriven())

    def _inputs(self) -> None:
        for port in self.module["ports"].values():
            if port["direction"] == "input":
                for bit in port["bits"]:
                    if bit not in self.literal:
                        self.literal[bit] = self.graph.add_input()

    def _inouts(self) -> None:
        """What the design does not drive itself is an input."""
        for port in self.module["ports"].values():
            for bit in port["bits"] if port["direction"] == "inout" else ():
                if not any(bit in known for known in (self.literal, self.driver, self.shared)):
                    self.literal[bit] = self.graph.add_input()

    def _initial_values(self) -> Iterator[tuple[Bit, int]]:
        for net in self.module["netnames"].values():
            text = net["attributes"].get("init")
            if text is not None:
                for bit, value in zip(net["bits"], reversed(str(text))):
                    if value in "01":
                        yield bit, int(value)

    def _latch(self, bit: Bit, initial: Mapping[Bit, int]) -> int:
        self.literal[bit] = latch = self.graph.add_latch(initial.get(bit, FREE))
        return latch

    def _value(self, bit: Bit) -> int:
        """The literal of a net, its cone built first; iterative, because cones are deeper than Python's stack."""
        todo, entered = [bit], set()
        while todo:
            top = todo[-1]
            if self._ready(top):
                todo.pop()
                continue
            sources = self._sources(top)
            missing = [s for s in sources if s not in self.literal]
            if not missing:
                values = [self.literal[s] for s in sources]
                self.literal[top] = self._resolved(values) if top in self.shared else self._gate(values)
                todo.pop()
                continue
            if top in entered:
                raise CombinationalLoop(f"combinational loop through {self._name(top)}")
            entered.add(top)
            todo += missing
        return self.literal[bit]

    def _sources(self, bit: Bit) -> list[Bit]:
        if bit in self.shared:
            return [pins[name][0] for pins in self.shared[bit] for name in ("A", "E")]
        pins = self.driver[bit]["connections"]
        return [pins["A"][0], *pins.get("B", [])]

    def _gate(self, values: Sequence[int]) -> int:
        return self.graph.conjunction(*values) if len(values) == 2 else values[0] ^ 1

    def _resolved(self, values: Sequence[int]) -> int:
        """A net of tri-state drivers, given as data and enable of each: what those that are on agree upon; any value where they do not, or none is on."""
        graph, one, zero = self.graph, FALSE, FALSE
        for data, on in zip(values[::2], values[1::2], strict=True):
            one = graph.disjunction(one, graph.conjunction(on, data))
            zero = graph.disjunction(zero, graph.conjunction(on, data ^ 1))
        return graph.choose(graph.exclusive_or(one, zero), one, graph.add_input())

    def _ready(self, bit: Bit) -> bool:
        """Whether its literal is known; a net that nothing drives and an `x` get a free input."""
        if bit in self.literal:
            return True
        if bit in self.driver or bit in self.shared:
            return False
        self.literal[bit] = self.graph.add_input()
        self.undriven.append(bit)
        return True

    def _check(self, name: str, cell: Mapping[str, Any]) -> Check:
        pins = cell["connections"]
        value, enabled = self._value(pins["A"][0]), self._value(pins["EN"][0])
        kind = CHECKS[cell["type"]]
        join = self.graph.conjunction if kind == "cover" else lambda v, e: self.graph.disjunction(v, e ^ 1)
        return Check(kind, name, join(value, enabled), str(cell["attributes"].get("src", "")))

    def _name_signals(self) -> None:
        ports = self.module["ports"]
        for name, net in self.module["netnames"].items():
            if net["hide_name"]:
                continue
            bits = tuple(self._value(b) for b in net["bits"])
            direction = ports.get(name, {}).get("direction", "")
            state = bool(bits) and all(self.graph.kind[b >> 1] == 2 for b in bits)
            kind = direction or ("register" if state else "wire")
            source = str(net["attributes"].get("src", ""))
            self.graph.signals[name] = Signal(name, bits, kind, source, bool(net.get("signed")))

    def _named(self, clock_bits: set[tuple[Bit, str]]) -> Iterator[tuple[str, str]]:
        for bit, edge in clock_bits:
            yield self._name(bit), "posedge" if edge == "P" else "negedge"

    def _name(self, bit: Bit) -> str:
        """A net's name: an input's where it is one, else the shortest public one."""
        return self._names.get(bit) or str(bit)

    @cached_property
    def _names(self) -> dict[Bit, str]:
        nets, ports = self.module["netnames"], self.module["ports"]
        driven = {n for n, port in ports.items() if port["direction"] != "output"}
        order = sorted(
            nets, key=lambda n: (nets[n]["hide_name"], n not in driven, n.count("."), len(n), n), reverse=True
        )
        return {bit: name for name in order for bit in nets[name]["bits"]}

    def _names_of_undriven(self) -> tuple[str, ...]:
        nets = self.module["netnames"]
        names = {self._name(b) for b in self.undriven}
        return tuple(sorted(n for n in names if n in nets and not nets[n]["hide_name"]))
