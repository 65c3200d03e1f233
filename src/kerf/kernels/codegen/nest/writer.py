"""C for one phase: loops over K in parallel, and per point (or block of points) of K the sweeps over R."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kerf.kernels.codegen.blocks import rounded
from kerf.kernels.codegen.expr import CTYPE, bound, ctype, loaded, render, stored
from kerf.kernels.codegen.nest import fission, reduction
from kerf.kernels.codegen.nest.cnames import Own, affine_c, indented, padded, simd
from kerf.kernels.codegen.nest.domain import Step
from kerf.kernels.codegen.nest.fission import Part
from kerf.kernels.codegen.nest.index import form, span
from kerf.kernels.codegen.nest.near import brought_near, far
from kerf.kernels.codegen.nest.phase import Phase, sweeping
from kerf.kernels.codegen.nest.staged import Staged
from kerf.kernels.codegen.nest.sweep import Sweep, cost, sweeps
from kerf.kernels.codegen.strength import flushed
from kerf.kernels.ir import Affine, Apply, Axis, Buffer, Expr, Load, loads

LINE = 64  # elements: a whole number of cache lines, for any type


@dataclass(frozen=True)
class Choices:
    """block: elements of the innermost kept axis done together. lanes: partial results of a trailing reduction. prefetch: fetch the next row
    or tile while this one is computed. unroll: steps of the innermost reduced loop done together. keep: store costly values for later sweeps. stream: outputs past the
    cache. tile: rows of a transposing map done together (0: no tiling). cut: vector instructions after which a long expression goes on in a
    loop of its own (0: never). ahead: bytes by which streams through memory are fetched before they are read (0: never)."""

    block: int
    lanes: int
    prefetch: bool
    unroll: int
    keep: bool
    stream: frozenset[str]
    tile: int = 0
    cut: int = 0
    ahead: int = 0


@dataclass
class Writer:
    """One phase on its way to C. `memory`: names of buffers that live in memory; `scalars`: C names of single values."""

    phase: Phase
    buffer: Callable[[str], Buffer]
    stored: frozenset[str]
    scalars: Mapping[str, str]
    choices: Choices
    threads: int
    scratch_base: int = 0
    symbol: str = "kernel"
    lines: list[str] = field(default_factory=list)
    scratch: list[tuple[str, str, int]] = field(default_factory=list)
    found: tuple[Sweep, ...] = ()

    # ------------------------------------------------------------ shape of the nest

    @property
    def blocked(self) -> bool:
        """Is the innermost axis kept (then it is done in blocks), or reduced?"""
        return bool(self.phase.axes) and self.phase.axes[-1].name not in self.phase.reduced

    @property
    def vector(self) -> Axis:
        return self.phase.axes[-1]

    @property
    def block(self) -> int:
        """The chosen width, made even over the axis."""
        if not self.blocked:
            return 1
        extent, wanted = self.vector.extent, self.choices.block
        if self.phase.unit > 1:
            return min(extent, max(1, wanted // self.phase.unit) * self.phase.unit)
        even = -(-extent // -(-extent // wanted))
        return min(extent, -(-even // LINE) * LINE if wanted >= LINE else wanted)

    @property
    def outer(self) -> tuple[Axis, ...]:
        return tuple(a for a in self.phase.kept if not (self.blocked and a is self.vector))

    @property
    def splits(self) -> bool:
        """Is there more than one block?"""
        return self.blocked and self.block < self.vector.extent

    @property
    def tiled(self) -> Axis | None:
        """The kept axis along which a transposing map reads contiguously: done in tiles, so that what is read stays in cache."""
        if not self.choices.tile or not self.blocked or self.phase.reduced:
            return None
        return transposed(self.phase)

    def at(self, name: str) -> str:
        return f"r_{name}[l]" if self.blocked else f"r_{name}"

    # ------------------------------------------------------------ the phase

    def write(self) -> list[str]:
        found = self.found = sweeps(self.phase, self.stored, self.choices.keep)
        self.scratch = [
            (n, ctype(self.phase.step(n).out.dtype), self.phase.depth * self.block)
            for s in found
            for n in sorted(s.kept)
        ]
        for s in self._at_level("before"):
            self._scalar(s)
        for o in self.phase.staged:
            self.lines += [f"    {line}" for line in self.operand(o)] if o.once else []
        body = self._body(found)
        self._region(body)
        for s in self._at_level("after"):
            self._scalar(s)
        return self.lines

    def operand(self, o: Staged) -> list[str]:
        """The array of a staged operand, filled for this block, or for all."""
        first = affine_c(o.base)
        if self.splits and not o.once:
            first += f" + {self.vector.name}_0 / {self.phase.unit}L * {o.step}L"
        size, count = rounded(self.block, self.phase.unit), str(self.block) if o.once else self.count
        source = (
            f"p_{o.buffer} + {first}, {self.buffer(o.buffer).size}L - ({first})" if o.buffer else "NULL, 0"
        )
        return [
            f"{o.ctype} {o.array}[{size}] __attribute__((aligned(64)));",
            f"{self.symbol}_{o.name}({source}, {o.array}, {count});",
        ]

    @property
    def globals(self) -> list[Step]:
        return [s for s in self.phase.steps if self.phase.level[s.out.name] == "global"]

    def _at_level(self, level: str) -> list[Step]:
        return [s for s in self.phase.steps if self.phase.level[s.out.name] == level]

    def _scalar(self, s: Step) -> None:
        statements, result = bound(s.value, {}, self.load(set()), "    ", f"{s.out.name}_")
        self.lines += [*statements, f"    const {ctype(s.out.dtype)} v_{s.out.name} = {result};"]
        if s.out.name in self.stored:
            self.lines.append(f"    p_{s.out.name}[0] = {stored(f'v_{s.out.name}', s.out.dtype)};")

    def _region(self, body: list[str]) -> None:
        heads = self._heads()
        parallel = self.threads > 1 and bool(heads)
        for g in self.globals:
            kind, dtype = g.kind, g.out.dtype
            count = f"[{self.threads}]" if parallel else ""
            self.lines.append(f"    {reduction.wide(kind, dtype)} g_{g.out.name}{count};")
            if not parallel:
                self.lines.append(f"    g_{g.out.name} = {reduction.start(kind, dtype)};")
        if parallel:
            self._parallel(heads, body)
        else:
            self.lines += self._scratch_lines("    ", "0")
            self._loops(heads, body, "    ")
        self._finish_globals(parallel)

    def _parallel(self, heads: list[str], body: list[str]) -> None:
        for g in self.globals:
            self.lines.append(
                f"    for (int t = 0; t < {self.threads}; t++) g_{g.out.name}[t] = {reduction.start(g.kind, g.out.dtype)};"
            )
        self.lines += [
            "    #pragma omp parallel num_threads(threads)",
            "    {",
            *self._scratch_lines("        ", "omp_get_thread_num()"),
        ]
        mine = [(g, f"m_{g.out.name}") for g in self.globals]
        for g, name in mine:
            self.lines.append(
                f"        {reduction.wide(g.kind, g.out.dtype)} {name} = {reduction.start(g.kind, g.out.dtype)};"
            )
        self.lines.append(
            f"        #pragma omp for schedule(static) nowait{f' collapse({len(heads)})' if len(heads) > 1 else ''}"
        )
        self._loops(heads, [line.replace("g_acc_", "m_") for line in body], "        ")
        self.lines += [f"        g_{g.out.name}[omp_get_thread_num()] = {name};" for g, name in mine]
        self.lines.append("    }")

    def _loops(self, heads: list[str], body: list[str], indent: str) -> None:
        for head in heads:
            self.lines.append(f"{indent}{head} {{")
            indent += "    "
        self.lines += [indent + line.replace("g_acc_", "g_") for line in body]
        for _ in heads:
            indent = indent[:-4]
            self.lines.append(indent + "}")

    def _heads(self) -> list[str]:
        tiled, size = self.tiled, self.choices.tile
        heads = [
            f"for (long {a.name} = 0; {a.name} < {a.extent}; {a.name}++)"
            for a in self.outer
            if a is not tiled
        ]
        if tiled:
            heads.append(
                f"for (long {tiled.name}_0 = 0; {tiled.name}_0 < {tiled.extent}; {tiled.name}_0 += {size})"
            )
        if self.splits:
            v = self.vector
            heads.append(f"for (long {v.name}_0 = 0; {v.name}_0 < {v.extent}; {v.name}_0 += {self.block})")
        return heads

    def _scratch_lines(self, indent: str, thread: str) -> list[str]:
        out, at = [], 0
        for name, ctype_, count in self.scratch:
            out.append(
                f"{indent}{ctype_} *restrict k_{name} = ({ctype_} *)(scratch + {self.scratch_base}L + {self.per_thread}L * {thread} + {at}L);"
            )
            at += padded(count * 8)
        return out

    @property
    def per_thread(self) -> int:
        return sum(padded(count * 8) for _, _, count in self.scratch)

    def _finish_globals(self, parallel: bool) -> None:
        for g in self.globals:
            kind, dtype, name = g.kind, g.out.dtype, g.out.name
            if parallel:
                self.lines.append(
                    f"    for (int t = 1; t < {self.threads}; t++) g_{name}[0] = {reduction.combine(kind, dtype, f'g_{name}[0]', f'g_{name}[t]')};"
                )
            whole = f"g_{name}[0]" if parallel else f"g_{name}"
            self.lines.append(f"    const {ctype(dtype)} v_{name} = ({ctype(dtype)}){whole};")
            if name in self.stored:
                self.lines.append(f"    p_{name}[0] = {stored(f'v_{name}', dtype)};")

    # ------------------------------------------------------------ one point, or one block of points, of K

    def _body(self, found: Sequence[Sweep]) -> list[str]:
        out: list[str] = []
        if self.splits:
            v = self.vector
            whole = v.extent % self.block == 0
            count = (
                str(self.block)
                if whole
                else f"{v.extent} - {v.name}_0 < {self.block} ? {v.extent} - {v.name}_0 : {self.block}"
            )
            out.append(f"const long n = {count};")
        for o in self.phase.staged:
            out += [] if o.once else self.operand(o)
        if self.blocked:
            out += [
                f"{ctype_} r_{name}[{self.block}] __attribute__((aligned(64)));"
                for name, ctype_ in self._row_arrays()
            ]
        if self.tiled:
            return [*out, *self._tile(self._rows(0))]
        last = max([len(found) - 1, *(self.phase.sweep[s.out.name] for s in self._row_steps())], default=0)
        for number in range(last + 1):
            if number < len(found):
                out += self._sweep(found[number])
            out += self._rows(number)
        return out

    def _tile(self, body: list[str]) -> list[str]:
        a = self.tiled
        assert a is not None
        end = f"{a.name}_0 + {self.choices.tile}"
        limit = end if a.extent % self.choices.tile == 0 else f"({end} < {a.extent} ? {end} : {a.extent})"
        return [
            f"for (long {a.name} = {a.name}_0; {a.name} < {limit}; {a.name}++) {{",
            *("    " + line for line in body),
            "}",
        ]

    def _row_steps(self) -> list[Step]:
        """Steps done once a row: row maps, reductions over K, and the row's share of reductions over everything."""
        return [
            s
            for s in self.phase.steps
            if not self._sweeps(s) and self.phase.level[s.out.name] in ("row", "global")
        ]

    def _sweeps(self, s: Step) -> bool:
        return sweeping(s, self.phase.level[s.out.name], self.phase.reduced)

    def _row_arrays(self) -> list[tuple[str, str]]:
        """Row values that are kept in an array over the block: reduced ones, and maps that a later loop reads."""
        out = []
        for s in self.phase.steps:
            name = s.out.name
            if self._sweeps(s) and s.reduces:
                arg = s.kind.startswith("arg")
                out.append(
                    (
                        name,
                        reduction.position_type(s.value.dtype)
                        if arg
                        else reduction.accumulator(s.kind, s.out.dtype),
                    )
                )
            elif self.phase.level[name] == "row" and not self._sweeps(s) and self._read_later(s):
                out.append((name, ctype(s.out.dtype)))
        return out

    def _read_later(self, s: Step) -> bool:
        mine = self.phase.sweep[s.out.name]
        readers = [t for t in self.phase.steps if s.out.name in t.reads]
        return any(self._sweeps(t) or self.phase.sweep[t.out.name] != mine for t in readers)

    @property
    def count(self) -> str:
        return "n" if self.splits else str(self.block)

    @property
    def vector_index(self) -> str:
        return f"{self.vector.name}_0 + l" if self.splits else "l"

    def _rows(self, number: int) -> list[str]:
        steps = [s for s in self._row_steps() if self.phase.sweep[s.out.name] == number]
        shares = [s for s in self.globals if self._sweeps(s) and self.phase.sweep[s.out.name] == number]
        results = [s for s in self.phase.steps if self._result(s) and self.phase.sweep[s.out.name] == number]
        if not steps and not shares and not results:
            return []
        return (
            self._row_block(steps, shares, results)
            if self.blocked
            else self._row_scalar(steps, shares, results)
        )

    def _result(self, s: Step) -> bool:
        """Is it a reduction's result that goes to memory?"""
        return (
            s.reduces
            and self._sweeps(s)
            and self.phase.level[s.out.name] == "row"
            and s.out.name in self.stored
        )

    def _store_result(self, s: Step) -> str:
        return f"p_{s.out.name}[{affine_c(s.store)}] = {stored(self.at(s.out.name), s.out.dtype)};"

    def _row_scalar(
        self, steps: Sequence[Step], shares: Sequence[Step], results: Sequence[Step]
    ) -> list[str]:
        out = [self._store_result(s) for s in results]
        for s in shares:
            out.append(
                f"g_acc_{s.out.name} = {reduction.combine(s.kind, s.out.dtype, f'g_acc_{s.out.name}', self.at(s.out.name))};"
            )
        for s in steps:
            statements, result = bound(s.value, Own(), self.load(set()), "", f"{s.out.name}_")
            out += statements
            if s.reduces:
                out.append(
                    f"g_acc_{s.out.name} = {reduction.combine(s.kind, s.out.dtype, f'g_acc_{s.out.name}', result)};"
                )
                continue
            out.append(f"const {ctype(s.out.dtype)} r_{s.out.name} = {result};")
            if s.out.name in self.stored:
                out.append(f"p_{s.out.name}[{affine_c(s.store)}] = {stored(f'r_{s.out.name}', s.out.dtype)};")
        return out

    def _row_block(self, steps: Sequence[Step], shares: Sequence[Step], results: Sequence[Step]) -> list[str]:
        """One loop over the block: row maps, their stores, and this block's part of reductions over everything."""
        sums = [*shares, *(s for s in steps if s.reduces)]
        out = [
            f"{reduction.accumulator(s.kind, s.out.dtype)} b_{s.out.name} = {reduction.start(s.kind, s.out.dtype)};"
            for s in sums
        ]
        streamed = [
            s
            for s in steps
            if s.out.name in self.choices.stream
            and s.out.name in self.stored
            and s.store.of(self.vector.name) == 1
        ]
        out += [
            f"{CTYPE[s.out.dtype]} q_{s.out.name}[{self.block}] __attribute__((aligned(64)));"
            for s in streamed
        ]
        out += self._ahead(steps)
        out += self.row_loops(steps, shares, results, {s.out.name for s in streamed})
        for s in streamed:
            first = Affine(
                s.store.offset, {a: c for a, c in s.store.coefficients.items() if a != self.vector.name}
            )
            start = affine_c(first) + (f" + {self.vector.name}_0" if self.splits else "")
            out.append(
                f"kf_stream(p_{s.out.name} + {start}, q_{s.out.name}, {self.count} * sizeof *q_{s.out.name});"
            )
        out += [
            f"g_acc_{s.out.name} = {reduction.combine(s.kind, s.out.dtype, f'g_acc_{s.out.name}', f'b_{s.out.name}')};"
            for s in sums
        ]
        return ["{", *("    " + line for line in out), "}"] if sums or streamed else out

    def _ahead(self, steps: Sequence[Step]) -> list[str]:
        from kerf.kernels.codegen.nest.ahead import onward

        start = f"{self.vector.name}_0" if self.splits else "0"
        return onward(self, steps, self.vector.name, start, self.block)

    def row_loops(
        self, steps: Sequence[Step], shares: Sequence[Step], results: Sequence[Step], streamed: set[str]
    ) -> list[str]:
        found = fission.loops(steps, self.choices.cut) or [[]]
        passed = fission.passed(found)
        out = [
            f"{ctype(dtype)} f_{name}[{self.block}] __attribute__((aligned(64)));"
            for name, dtype in passed.items()
        ]
        for number, parts in enumerate(found):
            first = number == 0
            rest = (shares if first else (), results if first else (), streamed, passed)
            asked = far(parts)
            if asked is None:
                out += self._row_loop(parts, *rest)
                continue
            near = self._row_loop([brought_near(p) for p in parts], *rest)
            both = ["if (far) {", *indented(self._row_loop(parts, *rest)), "} else {", *indented(near), "}"]
            out += ["{", *indented([*self._asked(asked, passed), *both]), "}"]
        return out

    def _asked(self, test: Expr, passed: Collection[str]) -> list[str]:
        """Whether some element of the block passes a test."""
        statements, result = bound(test, Own(), self._passed(set(), passed), "    ", "far_", self.inside)
        return [
            "int far = 0;",
            "#pragma omp simd reduction(| : far)",
            f"for (long l = 0; l < {self.count}; l++) {{",
            f"    const long {self.vector.name} = {self.vector_index};",
            *statements,
            f"    far |= {result};",
            "}",
        ]

    def _row_loop(
        self,
        parts: Sequence[Part],
        shares: Sequence[Step],
        results: Sequence[Step],
        streamed: set[str],
        passed: Collection[str],
    ) -> list[str]:
        sums = [*shares, *(p.step for p in parts if p.step and p.step.reduces)]
        return [
            simd([(s.kind, s.out.dtype, [f"b_{s.out.name}"]) for s in sums]),
            f"for (long l = 0; l < {self.count}; l++) {{",
            f"    const long {self.vector.name} = {self.vector_index};",
            *("    " + self._store_result(s) for s in results),
            *("    " + line for line in self._row_point(parts, shares, streamed, passed)),
            "}",
        ]

    def _row_point(
        self, parts: Sequence[Part], shares: Sequence[Step], streamed: set[str], passed: Collection[str]
    ) -> list[str]:
        out, arrays = [], {name for name, _ in self._row_arrays()}
        for s in shares:
            out.append(
                f"b_{s.out.name} = {reduction.combine(s.kind, s.out.dtype, f'b_{s.out.name}', f'r_{s.out.name}[l]')};"
            )
        local: set[str] = set()

        def safe(load: Load) -> bool:
            return load.buffer in local or load.buffer in passed or self.inside(load)

        for p in parts:
            name, step = p.name, p.step
            statements, result = bound(p.value, Own(), self._passed(local, passed), "", f"{name}_", safe)
            out += statements
            if step and step.reduces:
                out.append(f"b_{name} = {reduction.combine(step.kind, step.out.dtype, f'b_{name}', result)};")
                continue
            out.append(f"const {ctype(step.out.dtype if step else p.value.dtype)} v_{name} = {result};")
            local.add(name)
            if name in passed:
                out.append(f"f_{name}[l] = v_{name};")
            if name in arrays:
                out.append(f"r_{name}[l] = v_{name};")
            if step and name in self.stored:
                target = f"q_{name}[l]" if name in streamed else f"p_{name}[{affine_c(step.store)}]"
                out.append(f"{target} = {stored(f'v_{name}', step.out.dtype)};")
        return out

    def _passed(self, local: set[str], passed: Collection[str]) -> Callable[[Load], str]:
        other = self.load(local)
        return lambda ld: f"f_{ld.buffer}[l]" if ld.buffer in passed and ld.buffer not in local else other(ld)

    # ------------------------------------------------------------ loads

    def load(self, local: Iterable[str], sweep: Sweep | None = None) -> Callable[[Load], str]:
        """Render a load: a value at hand, a row value, a kept value, a staged operand, or memory."""
        staged = {o.name: o for o in self.phase.staged}

        def one(load: Load) -> str:
            name = load.buffer
            if name in local:
                return f"v_{name}"
            if name in staged:
                return loaded(f"{staged[name].array}[l]", staged[name].dtype)
            level = self.phase.level.get(name)
            if level in ("before", "after", "global"):
                return f"v_{name}"
            if level == "row":
                return self.at(name)
            if level == "full":
                assert sweep is not None
                if sweep.taken[name] == "scratch":
                    return f"k_{name}[{self.kept_index(sweep)}]"
                step = sweep.taken_steps[name]
                return loaded(f"p_{name}[{affine_c(step.store)}]", step.out.dtype)
            if name in self.scalars:
                return self.scalars[name]
            index = render(load.index[0], Own(), one)
            return loaded(f"p_{name}[{index}]", self.buffer(name).dtype)

        return one

    def inside(self, load: Load) -> bool:
        """Does the load lie within its buffer at every point of the loops?"""
        if any(load.buffer == o.name for o in self.phase.staged):
            return True
        if load.buffer in self.phase.made or load.buffer in self.scalars:
            return False
        extents = {a.name: a.extent for a in self.phase.axes}
        place = form(load.index[0], extents)
        if place is None or not place.coefficients.keys() <= extents.keys():
            return False
        low, high = span(place, extents)
        return low >= 0 and high < self.buffer(load.buffer).size

    def written(self, value: Expr) -> Expr:
        """`value` with weights relative to a row's largest element (as in softmax) free of subnormal results."""
        return flushed(value, self._weight)

    def _weight(self, e: Expr) -> str | None:
        """The form of exp for something less the largest element of its row; also where an infinite one is replaced, as in log-sum-exp: what
        is not flushed is infinite then."""
        largest = e.args[1] if isinstance(e, Apply) and e.op == "sub" else None
        if not isinstance(largest, Load) or largest.buffer not in self.phase.made:
            return None
        step = self.phase.step(largest.buffer)
        within = [self.phase.step(b).kind for b in step.reads if b in self.phase.made]
        replaced = isinstance(step.value, Apply) and step.value.op == "select" and within == ["max"]
        if step.kind == "max":
            return "exp_fade"
        return "exp_flush" if step.kind == "map" and replaced else None

    def kept_index(self, sweep: Sweep) -> str:
        step, total = self.block, Affine(0, {})
        for axis in reversed(sweep.axes):
            total = Affine(0, {**total.coefficients, axis.name: step})
            step *= axis.extent
        return affine_c(total) + (" + l" if self.blocked else "")

    # ------------------------------------------------------------ sweeps

    @property
    def fetching(self) -> Sweep | None:
        """The sweep that fetches the next row while it computes: not the first, which reads this row from memory, nor one that streams
        results past the caches, if there is another; the costliest of the rest."""
        if not self.choices.prefetch or not (self.outer or self.splits) or len(self.found) < 2:
            return None
        quiet = [f for f in self.found[1:] if not any(s.out.name in self.choices.stream for s in f.steps)]
        return max(quiet or self.found[1:], key=lambda f: sum(cost(s.value) for s in f.steps))

    def _sweep(self, sweep: Sweep) -> list[str]:
        from kerf.kernels.codegen.nest.loops import block_lines
        from kerf.kernels.codegen.nest.rows import row_lines

        return (block_lines if self.blocked else row_lines)(self, sweep)


def transposed(phase: Phase) -> Axis | None:
    """A kept axis, other than the innermost, that some load runs along contiguously while it strides along the innermost."""
    vector = phase.axes[-1].name
    for s in phase.steps:
        for load in loads(s.value):
            f = form(load.index[0], {})
            if load.buffer in phase.made or f is None or f.of(vector) in (0, 1):
                continue
            found = next((a for a in phase.kept if a.name != vector and f.of(a.name) == 1), None)
            if found:
                return found
    return None
