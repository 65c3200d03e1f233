"""Modules of a structural netlist, and modules in modules made one flat module whose instances are named PATH/NAME."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

DEEPEST = 100
MOST = 1 << 24
"""Instances in all: a few lines of modules in modules can ask for any number."""
Bits = list[str | None]
"""Nets, most significant first; None for a constant."""
Refuse = Callable[[int, str], NoReturn]
"""Says, of the token with this number, what was expected there."""


@dataclass
class Instance:
    """`at`: the number of its first token."""

    name: str
    master: str
    pins: dict[str, Bits]
    at: int


@dataclass
class Module:
    """`ports`: name -> direction. `joined`: a net -> one that it is the same as (see `root`)."""

    name: str = ""
    ports: dict[str, str] = field(default_factory=dict)
    ranges: dict[str, tuple[int, int]] = field(default_factory=dict)
    supplies: set[str] = field(default_factory=set)
    instances: list[Instance] = field(default_factory=list)
    joined: dict[str, str] = field(default_factory=dict)
    known: dict[str, list[str]] = field(default_factory=dict)

    def bits(self, name: str) -> list[str]:
        """The bits of a net, the same list each time: a wide bus is named often."""
        if name not in self.ranges:
            return [name]
        first, last = self.ranges[name]
        if name not in self.known:
            step = 1 if last >= first else -1
            self.known[name] = [f"{name}[{i}]" for i in range(first, last + step, step)]
        return self.known[name]

    def root(self, bit: str) -> str:
        """The net that a bit is joined to; paths are halved on the way, so that long chains of assigns stay cheap."""
        while bit in self.joined:
            above = self.joined[bit]
            self.joined[bit] = self.joined.get(above, above)
            bit = above
        return bit

    def join(self, bit: str, other: str) -> None:
        """One net from now on, by the other's name."""
        mine, theirs = self.root(bit), self.root(other)
        if mine != theirs:
            self.joined[mine] = theirs


def tops(modules: Mapping[str, Module], leaves: Collection[str]) -> list[str]:
    """The modules that no other instantiates, models of `leaves` (macros of the LEF) aside."""
    used = {made.master for module in modules.values() for made in module.instances}
    return [name for name in modules if name not in used and name not in leaves]


def flatten(modules: Mapping[str, Module], top: str, leaves: Collection[str], refuse: Refuse) -> Module:
    """The top with every instance of a module replaced by what is in it, down to instances of `leaves`. A net that goes through ports
    has the name that it has highest up; what a constant drives is a supply."""
    above = modules[top]
    _weigh(_Weights(modules, leaves, refuse), top)
    flat = _Flat(modules, leaves, refuse, Module(above.name, above.ports, above.ranges))
    flat.expand(above, "")
    return flat.made


@dataclass
class _Weights:
    """`found`: the instances in a module, at all depths."""

    modules: Mapping[str, Module]
    leaves: Collection[str]
    refuse: Refuse
    found: dict[str, int] = field(default_factory=dict)


def _weigh(w: _Weights, name: str, path: tuple[str, ...] = ()) -> int:
    """Refuse what is no hierarchy, or one that no memory holds, before any of it is made."""
    if name not in w.found:
        total = 0
        for made in w.modules[name].instances:
            total += 1
            if made.master in w.leaves:
                continue
            if made.master not in w.modules:
                w.refuse(made.at, "a MACRO of the LEF or a module of this file")
            if made.master in (*path, name) or len(path) > DEEPEST:
                w.refuse(made.at, f"modules within modules, at most {DEEPEST} deep and none within itself")
            total += _weigh(w, made.master, (*path, name))
            if not path and total > MOST:
                w.refuse(made.at, f"at most {MOST:,} instances in all, not {total:,}")
        w.found[name] = total
    return w.found[name]


@dataclass
class _Flat:
    modules: Mapping[str, Module]
    leaves: Collection[str]
    refuse: Refuse
    made: Module

    def expand(self, module: Module, prefix: str) -> None:
        for bit, other in list(module.joined.items()):
            self.made.join(prefix + bit, prefix + other)
        self.made.supplies |= {prefix + bit for bit in module.supplies}
        for instance in module.instances:
            pins = {pin: [bit and prefix + bit for bit in bits] for pin, bits in instance.pins.items()}
            found = Instance(prefix + instance.name, instance.master, pins, instance.at)
            if instance.master in self.leaves:
                self.made.instances.append(found)
            else:
                self._enter(found)

    def _enter(self, instance: Instance) -> None:
        inner, prefix = self.modules[instance.master], instance.name + "/"
        self.expand(inner, prefix)
        for port, bits in instance.pins.items():
            inside = inner.bits(port)
            if port not in inner.ports:
                self.refuse(instance.at, f"a port of module {inner.name} instead of {port}")
            constant = not any(bits)
            if not constant and len(bits) != len(inside):
                self.refuse(
                    instance.at, f"{len(inside)} bits at port {port} of module {inner.name}, not {len(bits)}"
                )
            if bits and constant:
                self.made.supplies |= {prefix + bit for bit in inside}
            for own, outer in zip(inside, [] if constant else bits):
                if outer is None:
                    self.made.supplies.add(prefix + own)
                else:
                    self.made.join(prefix + own, outer)
