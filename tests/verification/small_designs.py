"""Random sequential designs small enough to visit every state, with properties; and two ways of our own to say what is true of them.

A design is a term. `source` writes it as SystemVerilog; `Explicit` visits its states with numpy; `symbolic` is its unrolling for z3. None of them
shares a line with the graph, the monitors or the engines that they judge. Words have one to three bits, and every operator's operands have one width,
so that no rule of Verilog about widths has to be written a second time.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

Term = tuple[Any, ...]  # (operator, width, operand...)
SAME = ("+", "-", "*", "&", "|", "^")
COMPARED = ("<", "<=", "==", "!=")
MOST_STATE, MOST_INPUT = 10, 5  # bits


@dataclass(frozen=True)
class Claim:
    """`form`: "now" (P), "|->", "|=>", "soon" (`P |-> ##[0:1] Q`), "live" (`P |-> s_eventually Q`) or "immediate". `off`: `disable iff`."""

    form: str
    first: Term
    second: Term
    off: Term | None = None


@dataclass(frozen=True)
class SmallDesign:
    """`start`: the values of registers that have one, by reset or initially; `unknowns`: words that the source leaves `x`, one input each.
    A register `m[0]` is a word of the memory `m`."""

    reset: str
    inputs: Mapping[str, int]
    unknowns: Mapping[str, int]
    registers: Mapping[str, int]
    start: Mapping[str, int]
    wires: Mapping[str, Term]
    following: Mapping[str, Term]
    assumed: Term | None
    claims: tuple[Claim, ...]


@dataclass
class Writer:
    """Random terms over `names` (name -> width)."""

    rng: random.Random
    names: dict[str, int] = field(default_factory=dict)
    memory: int = 0

    def term(self, width: int, depth: int) -> Term:
        rng = self.rng
        if depth == 0 or rng.random() < 0.15:
            return self.leaf(width)
        below = lambda w=width: self.term(w, depth - 1)  # noqa: E731
        if width == 1 and rng.random() < 0.5:
            other = rng.randint(1, 3)
            kind = rng.choice([*COMPARED, "signed<", "any", "all", "parity"])
            return (kind, 1, below(other), *([] if kind in ("any", "all", "parity") else [below(other)]))
        kind = rng.choice(
            [*SAME, "~", "?", "<<", ">>", "%", "join", "part", *(["read"] * (width == self.memory))]
        )
        if kind == "~":
            return ("~", width, below())
        if kind == "?":
            return ("?", width, below(1), below(), below())
        if kind in ("<<", ">>"):
            return (kind, width, below(), below(2))
        if kind == "%":
            return ("%", width, below(), ("const", width, rng.randint(1, 2**width - 1)))
        if kind == "join":
            return ("join", width, below(1), below(width - 1)) if width > 1 else below()
        if kind == "part":
            return ("part", width, below(3), rng.randint(0, 3 - width))
        return ("read", width, below(1)) if kind == "read" else (kind, width, below(), below())

    def leaf(self, width: int) -> Term:
        rng = self.rng
        fits = [n for n, w in self.names.items() if w == width]
        wider = [n for n, w in self.names.items() if w > width]
        if fits and rng.random() < 0.75:
            return ("name", width, rng.choice(fits))
        if wider and rng.random() < 0.7:
            name = rng.choice(wider)
            return ("part", width, ("name", self.names[name], name), rng.randint(0, self.names[name] - width))
        return ("const", width, rng.randrange(1 << width))

    def update(self, name: str, width: int) -> Term:
        """What a register takes on: from a plain assignment, an `if` without `else`, or a `case`."""
        hold, rng = ("name", width, name), self.rng
        kind = rng.random()
        if kind < 0.4:
            return self.term(width, 3)
        if kind < 0.7:
            return ("if", width, self.term(1, 2), self.term(width, 2), hold)
        rows = tuple((k, self.term(width, 2)) for k in rng.sample(range(4), 2))
        return ("case", width, self.term(2, 1), rows, hold if rng.random() < 0.5 else self.term(width, 1))

    def claim(self) -> Claim:
        form = self.rng.choice(["now", "|->", "|=>", "soon", "live", "immediate"])
        off = self.term(1, 1) if form in ("|->", "|=>") and self.rng.random() < 0.3 else None
        return Claim(form, self.told(), self.told(), off)

    def told(self) -> Term:
        """A condition that is no constant: a register compared, or more."""
        name = self.rng.choice([n for n in self.names if n.startswith("r")])
        width = self.names[name]
        other = self.term(width, 1)
        plain = (self.rng.choice(COMPARED), 1, ("name", width, name), other)
        return plain if self.rng.random() < 0.5 else (self.rng.choice("&|"), 1, plain, self.term(1, 2))


def small_design(seed: int, claims: int = 6) -> SmallDesign:
    rng = random.Random(seed)
    writer = Writer(rng)
    inputs = {f"i{k}": rng.randint(1, 2) for k in range(rng.randint(1, 2))}
    registers = {f"r{k}": rng.randint(1, 3) for k in range(rng.randint(1, 3))}
    if rng.random() < 0.3 and sum(registers.values()) <= MOST_STATE - 4:
        writer.memory = rng.randint(1, 2)
        registers |= {"m[0]": writer.memory, "m[1]": writer.memory}
    reset = rng.choice(["", "rst", "rst_n"])
    starting = [r for r in registers if r == "r0" or ("[" not in r and rng.random() < 0.8)]
    writer.names = {n: w for n, w in (inputs | registers).items() if "[" not in n}
    unknowns: dict[str, int] = {}
    wires: dict[str, Term] = {}
    for k in range(2):
        width = rng.randint(1, 3)
        made = writer.term(width, 2)
        if rng.random() < 0.25 and sum((inputs | unknowns).values()) + width <= MOST_INPUT:
            unknowns[f"x{k}"] = width
            made = ("?", width, writer.term(1, 1), ("x", width, f"x{k}"), made)
        wires[f"w{k}"] = made
        writer.names[f"w{k}"] = width
    following = {r: writer.update(r, w) for r, w in registers.items() if "[" not in r}
    if writer.memory:
        enabled, place, value = writer.term(1, 2), writer.term(1, 1), writer.term(writer.memory, 2)
        for k in (0, 1):
            here = ("&", 1, enabled, ("==", 1, place, ("const", 1, k)))
            following[f"m[{k}]"] = ("write", writer.memory, here, value, (f"m[{k}]", enabled, place))
    return SmallDesign(
        reset, inputs, unknowns, registers, {r: rng.randrange(1 << registers[r]) for r in starting}, wires, following,
        writer.term(1, 2) if rng.random() < 0.3 else None, tuple(writer.claim() for _ in range(claims)),
    )  # fmt: skip


# As SystemVerilog


def source(d: SmallDesign) -> str:
    edge = " or negedge rst_n" if d.reset == "rst_n" else ""
    memory = max((w for n, w in d.registers.items() if "[" in n), default=0)
    lines = [f"module m(input clk{f', {d.reset}' if d.reset else ''}{''.join(f', input [{w - 1}:0] {n}' for n, w in d.inputs.items())});"]  # fmt: skip
    lines += [f"  reg [{w - 1}:0] {n};" for n, w in d.registers.items() if "[" not in n]
    lines += [f"  reg [{memory - 1}:0] m [0:1];"] if memory else []
    lines += [] if d.reset else [f"  initial {n} = {v};" for n, v in d.start.items()]
    lines += [f"  wire [{t[1] - 1}:0] {n} = {text(t)};" for n, t in d.wires.items()]
    asleep = {"rst": "rst", "rst_n": "!rst_n"}.get(d.reset, "0")
    lines += [f"  always @(posedge clk{edge})", f"    if ({asleep}) begin"]
    lines += [f"      {n} <= {v};" for n, v in d.start.items() if d.reset]
    lines += [
        "    end else begin",
        *(f"      {_assigned(n, t)}" for n, t in d.following.items() if n != "m[1]"),
        "    end",
    ]
    if d.assumed:
        lines.append(f"  assume property (@(posedge clk) {text(d.assumed)});")
    lines += [_asserted(f"c{k}", c) for k, c in enumerate(d.claims)]
    return "\n".join([*lines, "endmodule\n"])


def text(t: Term) -> str:
    kind, width, *rest = t
    if kind == "name":
        return str(rest[0])
    if kind == "const":
        return f"{width}'d{rest[0]}"
    if kind == "x":
        return f"{width}'bx"
    if kind == "part":
        return f"{width}'(({text(rest[0])}) >> {rest[1]})"
    if kind == "read":
        return f"m[{text(rest[0])}]"
    one = [f"({text(r)})" for r in rest]
    if kind in ("any", "all", "parity"):
        return {"any": "|", "all": "&", "parity": "^"}[kind] + one[0]
    if kind == "~":
        return f"~{one[0]}"
    if kind in ("?", "if"):
        return f"{one[0]} ? {one[1]} : {one[2]}"
    if kind == "join":
        return "{" + f"{text(rest[0])}, {text(rest[1])}" + "}"
    if kind == "signed<":
        return f"$signed{one[0]} < $signed{one[1]}"
    return f"{width}'({one[0]} {kind} {one[1]})"


def _assigned(name: str, t: Term) -> str:
    kind, _, *rest = t
    if kind == "if":
        return f"if ({text(rest[0])}) {name} <= {text(rest[1])};"
    if kind == "write":
        _, enabled, place = rest[2]
        return f"if ({text(enabled)}) m[{text(place)}] <= {text(rest[1])};"
    if kind == "case":
        rows = " ".join(f"2'd{k}: {name} <= {text(v)};" for k, v in rest[1])
        return f"case ({text(rest[0])}) {rows} default: {name} <= {text(rest[2])}; endcase"
    return f"{name} <= {text(t)};"


def _asserted(name: str, c: Claim) -> str:
    p, q = f"({text(c.first)})", f"({text(c.second)})"
    if c.form == "immediate":
        return f"  always_comb {name}: assert ({p});"
    said = {"now": p, "|->": f"{p} |-> {q}", "|=>": f"{p} |=> {q}", "soon": f"{p} |-> ##[0:1] {q}",
            "live": f"{p} |-> s_eventually {q}"}[c.form]  # fmt: skip
    off = f"disable iff ({text(c.off)}) " if c.off else ""
    return f"  {name}: assert property (@(posedge clk) {off}{said});"


# What it means: `value` of a term, in numbers (numpy's or Python's) or in z3's terms


class Numbers:
    """Operators on numbers that are masked to their width."""

    def const(self, width: int, value: int) -> Any:
        return value

    def choose(self, condition: Any, then: Any, otherwise: Any) -> Any:
        return np.where(condition != 0, then, otherwise)

    def part(self, width: int, a: Any, low: int) -> Any:
        return a >> low & (1 << width) - 1

    def join(self, high: Any, low: Any, width: int) -> Any:
        return high << width | low

    def apply(self, kind: str, width: int, operands: int, a: Any, b: Any) -> Any:
        full = (1 << operands) - 1
        signed = lambda x: x - ((x >> operands - 1) << operands)  # noqa: E731
        made = {
            "+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b, "&": lambda: a & b, "|": lambda: a | b, "^": lambda: a ^ b, "%": lambda: a % b,
            "<<": lambda: a << b, ">>": lambda: a >> b, "<": lambda: a < b, "<=": lambda: a <= b, "==": lambda: a == b, "!=": lambda: a != b,
            "signed<": lambda: signed(a) < signed(b), "any": lambda: a != 0, "all": lambda: a == full, "~": lambda: ~a,
            "parity": lambda: (a ^ a >> 1 ^ a >> 2) & 1,
        }[kind]()  # fmt: skip
        return np.asarray(made).astype(np.int64) & (1 << width) - 1


class Bits:
    """The same for z3's bit vectors."""

    def const(self, width: int, value: int) -> Any:
        import z3

        return z3.BitVecVal(value, width)

    def choose(self, condition: Any, then: Any, otherwise: Any) -> Any:
        import z3

        return z3.If(condition == 1, then, otherwise)

    def part(self, width: int, a: Any, low: int) -> Any:
        import z3

        return z3.Extract(low + width - 1, low, a)

    def join(self, high: Any, low: Any, width: int) -> Any:
        import z3

        return z3.Concat(high, low)

    def apply(self, kind: str, width: int, operands: int, a: Any, b: Any) -> Any:
        import z3

        bit = lambda x: z3.If(x, z3.BitVecVal(1, 1), z3.BitVecVal(0, 1))  # noqa: E731
        by = lambda: z3.ZeroExt(max(0, width - 2), b) if width >= 2 else b  # noqa: E731
        shifted = lambda f: f(z3.ZeroExt(2 - width, a), b) if width < 2 else f(a, by())  # noqa: E731
        made: dict[str, Callable[[], Any]] = {
            "+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b, "&": lambda: a & b, "|": lambda: a | b, "^": lambda: a ^ b, "%": lambda: z3.URem(a, b),
            "<<": lambda: z3.Extract(width - 1, 0, shifted(lambda x, y: x << y)), ">>": lambda: z3.Extract(width - 1, 0, shifted(z3.LShR)),
            "<": lambda: bit(z3.ULT(a, b)), "<=": lambda: bit(z3.ULE(a, b)), "==": lambda: bit(a == b), "!=": lambda: bit(a != b),
            "signed<": lambda: bit(a < b), "any": lambda: bit(a != 0), "all": lambda: bit(a == -1), "~": lambda: ~a,
            "parity": lambda: z3.Extract(0, 0, a) if operands == 1 else self._sum(a, operands),
        }  # fmt: skip
        return made[kind]()

    def _sum(self, a: Any, operands: int) -> Any:
        import z3

        whole = z3.Extract(0, 0, a)
        for k in range(1, operands):
            whole = whole ^ z3.Extract(k, k, a)
        return whole


def value(d: SmallDesign, t: Term, words: Mapping[str, Any], made: Numbers | Bits) -> Any:
    kind, width, *rest = t
    of = lambda below: value(d, below, words, made)  # noqa: E731
    if kind == "const":
        return made.const(width, rest[0])
    if kind in ("name", "x"):
        return of(d.wires[rest[0]]) if rest[0] in d.wires else words[rest[0]]
    if kind == "part":
        return made.part(width, of(rest[0]), rest[1])
    if kind == "join":
        return made.join(of(rest[0]), of(rest[1]), rest[1][1])
    if kind == "read":
        return made.choose(of(rest[0]), words["m[1]"], words["m[0]"])
    if kind in ("?", "if"):
        return made.choose(of(rest[0]), of(rest[1]), of(rest[2]))
    if kind == "write":
        return made.choose(of(rest[0]), of(rest[1]), words[rest[2][0]])
    if kind == "case":
        subject, found = of(rest[0]), of(rest[2])
        for k, row in reversed(rest[1]):
            found = made.choose(made.apply("==", 1, 2, subject, made.const(2, k)), of(row), found)
        return found
    a = of(rest[0])
    return made.apply(kind, width, rest[0][1], a, of(rest[1]) if len(rest) > 1 else None)


def pair(c: Claim) -> tuple[str, Term | None, Term | None]:
    """What violates: in one cycle ("one", condition, _), in two that follow each other ("two", first, then), or for ever ("live", begun, waiting)."""
    no = lambda t: ("~", 1, t)  # noqa: E731
    both = lambda *ts: ts[0] if len(ts) == 1 else ("&", 1, ts[0], both(*ts[1:]))  # noqa: E731
    awake = [no(c.off)] if c.off else []
    if c.form in ("now", "immediate"):
        return "one", both(no(c.first), *awake), None
    if c.form == "|->":
        return "one", both(c.first, no(c.second), *awake), None
    if c.form == "|=>":
        return "two", both(c.first, *awake), both(no(c.second), *awake)
    return ("two" if c.form == "soon" else "live"), both(c.first, no(c.second)), no(c.second)


class Explicit:
    """Every state and every input of a design at once: arrays (states, inputs)."""

    def __init__(self, d: SmallDesign) -> None:
        self.design = d
        self.state, self.free = _fields(d.registers), _fields({**d.inputs, **d.unknowns})
        states, inputs = 1 << sum(d.registers.values()), 1 << sum({**d.inputs, **d.unknowns}.values())
        s, i = np.meshgrid(np.arange(states), np.arange(inputs), indexing="ij")
        self.words = {n: s >> low & (1 << w) - 1 for n, (low, w) in self.state.items()}
        self.words |= {n: i >> low & (1 << w) - 1 for n, (low, w) in self.free.items()}
        self.allowed = self.of(d.assumed) if d.assumed else np.ones_like(s, bool)
        self.next = sum(self.of(t, np.int64) << self.state[r][0] for r, t in d.following.items())
        self.distance = self._distances()

    def of(self, t: Term, kind: type = bool) -> np.ndarray:
        shape = next(iter(self.words.values())).shape
        return np.broadcast_to(value(self.design, t, self.words, Numbers()), shape).astype(kind)

    def _distances(self) -> np.ndarray:
        """Cycles from the start to each state; -1 for those that are never reached."""
        now = np.ones(len(self.next), bool)
        for n, v in self.design.start.items():
            now &= self.words[n][:, 0] == v
        found, cycle = np.full(len(self.next), -1), 0
        while now.any():
            found[now] = cycle
            reached = np.unique(self.next[now][self.allowed[now]])
            now, cycle = np.zeros(len(found), bool), cycle + 1
            now[reached] = True
            now &= found < 0
        return found

    def depth(self, c: Claim) -> int | None:
        """The first cycle in which a claim can be seen to fail (of a live one: in which waiting for ever can begin); None where it holds."""
        how, first, then = pair(c)
        begun = self.allowed & self.of(first)
        if how != "one":
            later = self.allowed & self.of(then)
            again = later.any(axis=1) if how == "two" else self._for_ever(later)
            begun &= again[self.next]
        hit = self.distance[begun.any(axis=1) & (self.distance >= 0)]
        return int(hit.min()) + (how == "two") if len(hit) else None

    def _for_ever(self, later: np.ndarray) -> np.ndarray:
        """The states from which some infinite run stays in `later`."""
        kept = np.ones(len(later), bool)
        while True:
            now = (later & kept[self.next]).any(axis=1)
            if (now == kept).all():
                return kept
            kept = now

    def explains(self, rows: list[Mapping[str, int]], c: Claim) -> bool:
        """Whether a run (registers and inputs by name, cycle by cycle) is one of the design's, and fails the claim in its last cycle; not for live claims."""
        how, first, then = pair(c)
        fits = [self._where(row) for row in rows]
        last = fits[-1] & self.of(then if how == "two" else first)
        steps = [f & self.allowed for f in fits]
        if how == "two":
            steps[-2] = steps[-2] & self.of(first)
        begins = all(rows[0][n] == v for n, v in self.design.start.items() if n in rows[0])
        moves = all((a & self._to(b)).any() for a, b in pairwise(steps))
        return bool(begins and moves and (last & steps[-1]).any())

    def _where(self, row: Mapping[str, int]) -> np.ndarray:
        found = np.ones_like(self.allowed)
        for n, v in row.items():
            found &= self.words[n] == v
        return found

    def _to(self, wanted: np.ndarray) -> np.ndarray:
        return wanted.any(axis=1)[self.next]


def _fields(widths: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    low, made = 0, {}
    for n, w in widths.items():
        made[n] = (low, w)
        low += w
    return made


def first_failure(d: SmallDesign, c: Claim, cycles: int) -> int | None:
    """z3's word: the first of `cycles` cycles in which a claim (no live one) can fail."""
    import z3

    how, first, then = pair(c)
    solver, bits = z3.Solver(), Bits()
    words: dict[str, Any] = {
        r: z3.BitVecVal(d.start[r], w) if r in d.start else z3.BitVec(f"{r}@0", w)
        for r, w in d.registers.items()
    }
    before = None
    for t in range(cycles):
        words |= {n: z3.BitVec(f"{n}@{t}", w) for n, w in {**d.inputs, **d.unknowns}.items()}
        of = lambda term: value(d, term, words, bits)  # noqa: B023, E731
        if d.assumed:
            solver.add(of(d.assumed) == 1)
        wrong = [of(first) == 1] if how == "one" else [of(then) == 1, before] if t else [z3.BoolVal(False)]
        if solver.check(*wrong) == z3.sat:
            return t
        before = of(first) == 1
        words |= {r: of(term) for r, term in d.following.items()}
    return None
