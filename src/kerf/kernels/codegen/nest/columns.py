"""Sweeps that reduce into a run of columns: the innermost axis is kept, and rows are added to partial results in a near cache.

Rows are read in the order of memory, whole: hardware prefetchers follow long runs, and every page is visited once. Where partial
results and a row stay in the first-level cache, one row is added at a time, in loops that start on a cache line; where they do not,
several rows are added at once, so that partial results move less often. Long sums go to double totals in runs.

Sums of squared deviations ("sqdev") take one sweep: mean and deviations of the rows at hand, in registers, joined with those of the rows
before (T. F. Chan, G. H. Golub, R. J. LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from kerf.kernels.codegen.expr import CTYPE, ctype
from kerf.kernels.codegen.nest import reduction
from kerf.kernels.codegen.nest.ahead import fetched, looked_up, onward
from kerf.kernels.codegen.nest.cnames import CHUNK, LINE, affine_c, arg_update, indented, nested
from kerf.kernels.codegen.nest.domain import Step
from kerf.kernels.codegen.nest.index import form
from kerf.kernels.codegen.nest.sweep import Sweep
from kerf.kernels.codegen.nest.writer import Writer
from kerf.kernels.ir import Affine, Axis, DType, Load, loads

RUN = 64  # additions to one partial result before it goes to the total


@dataclass
class Columns:
    """One sweep. `update`: how a reduction takes a value into the variables of its column; `point`: statements for one element;
    `stream`: the statement that sends a finished run of a result past the caches."""

    w: Writer
    sweep: Sweep
    point: Callable[[Callable[[Step, str], list[str]]], list[str]]
    streamed: Sequence[Step]
    stream: Callable[[Step], str]

    def lines(self) -> list[str]:
        out = [
            f"{CTYPE[s.out.dtype]} q_{s.out.name}[{self.w.block}] __attribute__((aligned(64)));"
            for s in self.streamed
        ]
        out += [line for s in self.reduces for line in self._arrays(s)]
        out += ["long done = 0;"] if self._squares else []
        out += self._each([line for s in self.reduces for line in (*self._reset(s), *self._total_reset(s))])
        out += self._walk()
        ends = [line for s in self.reduces for line in self._finish(s)]
        return [*out, *(self._each(ends) if ends else [])]

    # ------------------------------------------------------------ what is kept

    @property
    def reduces(self) -> list[Step]:
        return [s for s in self.sweep.steps if s.reduces]

    @property
    def _squares(self) -> list[Step]:
        return [s for s in self.reduces if s.kind == "sqdev"]

    @property
    def inner(self) -> Axis:
        return self.sweep.axes[-1]

    @property
    def group(self) -> int:
        """Rows taken at once."""
        return 1 if self.streamed or self.sweep.kept else min(self.w.choices.unroll, self.inner.extent)

    def _totals(self, s: Step) -> bool:
        steps = prod(a.extent for a in self.sweep.axes) // self.group
        return s.kind in ("sum", "prod") and s.out.dtype.compute is DType.F32 and steps >= 2 * RUN

    def _arrays(self, s: Step) -> list[str]:
        name, made = s.out.name, []
        if s.kind.startswith("arg"):
            made.append((ctype(s.value.dtype), f"x_{name}"))
        if s.kind == "sqdev":
            made += [(ctype(s.out.dtype), f"m_{name}"), ("double", f"t_{name}")]
        if self._totals(s):
            made.append(("double", f"t_{name}"))
        return [f"{kind} {array}[{self.w.block}] __attribute__((aligned(64)));" for kind, array in made]

    def _reset(self, s: Step) -> list[str]:
        name = s.out.name
        if s.kind.startswith("arg"):
            return [f"x_{name}[l] = {reduction.start(s.kind, s.value.dtype)};", f"r_{name}[l] = 0;"]
        if s.kind == "sqdev":
            return [f"m_{name}[l] = 0;", f"t_{name}[l] = 0;"]
        return [f"r_{name}[l] = {reduction.start(s.kind, s.out.dtype)};"]

    def _total_reset(self, s: Step) -> list[str]:
        return [f"t_{s.out.name}[l] = {reduction.start(s.kind, DType.F64)};"] if self._totals(s) else []

    def _finish(self, s: Step) -> list[str]:
        return [f"r_{s.out.name}[l] = t_{s.out.name}[l];"] if s.kind == "sqdev" or self._totals(s) else []

    def _each(self, body: Sequence[str]) -> list[str]:
        return ["#pragma omp simd", f"for (long l = 0; l < {self.w.count}; l++) {{", *indented(body), "}"]

    # ------------------------------------------------------------ over the rows

    def _walk(self) -> list[str]:
        axes, outer, group = self.sweep.axes, self.sweep.axes[:-1], self.group
        summed = [s for s in self.reduces if self._totals(s)]
        if not summed:
            return nested(outer, self._rows("0", str(self.inner.extent)))
        flush = self._each([line for s in summed for line in self._flush(s)])
        if self.inner.extent >= 2 * RUN * group:
            return nested(outer, self._cut(flush))
        at = next(
            k for k in range(len(outer), -1, -1) if prod(a.extent for a in axes[k:]) >= RUN * group or k == 0
        )
        return nested(outer[:at], [*nested(outer[at:], self._rows("0", str(self.inner.extent))), *flush])

    def _flush(self, s: Step) -> list[str]:
        total = f"t_{s.out.name}[l]"
        return [
            f"{total} = {reduction.combine(s.kind, DType.F64, total, f'r_{s.out.name}[l]')};",
            *self._reset(s),
        ]

    def _cut(self, flush: Sequence[str]) -> list[str]:
        """The rows of the inner axis in runs."""
        a, size = self.inner, RUN * self.group
        end = f"{a.name}_r + {size} < {a.extent} ? {a.name}_r + {size} : {a.extent}"
        body = [f"const long {a.name}_e = {end};", *self._rows(f"{a.name}_r", f"{a.name}_e"), *flush]
        return [
            f"for (long {a.name}_r = 0; {a.name}_r < {a.extent}; {a.name}_r += {size}) {{",
            *indented(body),
            "}",
        ]

    def _rows(self, start: str, end: str) -> list[str]:
        """The rows from `start` to `end`, in groups; what is left one by one."""
        a, group = self.inner, self.group
        if group == 1:
            return [
                f"for (long {a.name}_0 = {start}; {a.name}_0 < {end}; {a.name}_0++) {{",
                *indented(self._taken(1)),
                "}",
            ]
        out = [f"long {a.name}_0 = {start};",
               f"for (; {a.name}_0 + {group} <= {end}; {a.name}_0 += {group}) {{", *indented(self._taken(group)), "}"]  # fmt: skip
        if a.extent % group:
            out += [f"for (; {a.name}_0 < {end}; {a.name}_0++) {{", *indented(self._taken(1)), "}"]
        return ["{", *indented(out), "}"]

    def _taken(self, count: int) -> list[str]:
        """`count` rows from the one called NAME_0, into the partial results of the block."""
        out = [f"const long {self.inner.name} = {self.inner.name}_0;"] if count == 1 else []
        if self._squares:
            out += [f"const double old_w = (double)done * {count} / (done + {count}), new_w = (double){count} / (done + {count});",
                    f"done += {count};"]  # fmt: skip
        body = self._column(count)
        if count == 1 and self._runs_on():
            out += self._aligned(body)
        else:
            out += [*self._fetched(count), *self._each(body)]
        return [*out, *(self.stream(s) for s in self.streamed)]

    def _fetched(self, count: int) -> list[str]:
        """The same rows of the next tile, and those to be looked up soon."""
        ahead = [*fetched(self.w, self.sweep), *looked_up(self.w, self.sweep)]
        a = self.inner.name
        if count == 1 or not ahead:
            return ahead
        return [f"for (long {a} = {a}_0; {a} < {a}_0 + {count}; {a}++) {{", *indented(ahead), "}"]

    # ------------------------------------------------------------ along the columns

    def _first(self) -> Load | None:
        """A load that runs along the columns: the loop is aligned to it."""
        for s in self.sweep.steps:
            for load in loads(s.value):
                f = form(load.index[0], {})
                if load.buffer not in self.w.phase.made and f is not None and f.of(self.w.vector.name) == 1:
                    return load
        return None

    def _runs_on(self) -> bool:
        return self._first() is not None and self.w.block >= 4 * CHUNK

    def _aligned(self, body: Sequence[str]) -> list[str]:
        """The loop over the block, from the first cache line of the row on in whole vectors."""
        count, first = self.w.count, self._first()
        assert first is not None
        f = form(first.index[0], {})
        assert f is not None
        size = self.w.buffer(first.buffer).dtype.bytes
        start = Affine(f.offset, {a: c for a, c in f.coefficients.items() if a != self.w.vector.name})
        loop = indented(body)
        head, begin = list[str](), "0"
        if any(c * size % LINE for c in (start.offset, *start.coefficients.values())):
            place = affine_c(start) + (f" + {self.w.vector.name}_0" if self.w.splits else "")
            head = [f"long head = (long)(-(uintptr_t)(p_{first.buffer} + {place}) % {LINE} / {size});",
                    f"head = head < {count} ? head : {count};", "#pragma omp simd", "for (long l = 0; l < head; l++) {", *loop, "}"]  # fmt: skip
            begin = "head"
        ahead = fetched(self.w, self.sweep, "from", f"from + {CHUNK}")  # between loads, not in a burst
        ahead = indented(ahead or self._onward())
        return ["{", *indented([*head, f"long from = {begin};", f"for (; from + {CHUNK} <= {count}; from += {CHUNK}) {{",
                *ahead, "    #pragma omp simd", f"    for (long l = from; l < from + {CHUNK}; l++) {{", *indented(loop), "    }", "}",
                *fetched(self.w, self.sweep, "from"), "#pragma omp simd", f"for (long l = from; l < {count}; l++) {{", *loop, "}"]), "}"]  # fmt: skip

    def _onward(self) -> list[str]:
        """What the first sweep, if none fetches for it, reads of whole rows that follow each other."""
        w, rows = self.w, self.inner.name
        if w.splits or w.fetching or self.sweep is not w.found[0]:
            return []
        return onward(w, self.sweep.steps, w.vector.name, "from", CHUNK, after=(rows, w.vector.extent))

    def _column(self, count: int) -> list[str]:
        """One column of `count` rows: their values, joined, then joined with the partial result."""
        out = [line for s in self.reduces for line in self._read(s, count)]
        for u in range(count):
            row = [f"const long {self.inner.name} = {self.inner.name}_0 + {u};"] if count > 1 else []
            here = [
                *row,
                f"const long {self.w.vector.name} = {self.w.vector_index};",
                *self.point(_update(u)),
            ]
            out += ["{", *indented(here), "}"]
        return [*out, *(line for s in self.reduces for line in self._write(s, count))]

    def _read(self, s: Step, count: int) -> list[str]:
        name = s.out.name
        if s.kind.startswith("arg"):
            place = reduction.position_type(s.value.dtype)
            return [f"{ctype(s.value.dtype)} best_{name} = x_{name}[l];", f"{place} at_{name} = r_{name}[l];"]
        kind = reduction.accumulator(s.kind, s.out.dtype)
        return [f"{kind} " + ", ".join(f"y{u}_{name}" for u in range(count)) + ";"]

    def _write(self, s: Step, count: int) -> list[str]:
        name = s.out.name
        if s.kind.startswith("arg"):
            return [f"x_{name}[l] = best_{name};", f"r_{name}[l] = at_{name};"]
        values = [f"y{u}_{name}" for u in range(count)]
        if s.kind == "sqdev":
            return _joined(s, values)
        return [
            f"r_{name}[l] = {reduction.combine(s.kind, s.out.dtype, f'r_{name}[l]', _tree(s.kind, s.out.dtype, values))};"
        ]


def _update(u: int) -> Callable[[Step, str], list[str]]:
    def update(s: Step, value: str) -> list[str]:
        name = s.out.name
        if s.kind.startswith("arg"):
            return arg_update(s, value, f"best_{name}", f"at_{name}")
        return [f"y{u}_{name} = {value};"]

    return update


def _tree(kind: str, dtype: DType, values: Sequence[str]) -> str:
    """Pairwise: short chains, and small errors."""
    if len(values) == 1:
        return values[0]
    half = len(values) // 2
    return f"({reduction.combine(kind, dtype, _tree(kind, dtype, values[:half]), _tree(kind, dtype, values[half:]))})"


def _joined(s: Step, values: Sequence[str]) -> list[str]:
    """Mean and squared deviations of these rows, joined with those of the rows before."""
    name, kind, n = s.out.name, ctype(s.out.dtype), len(values)
    squares = [f"({v} - mean_{name}) * ({v} - mean_{name})" for v in values] if n > 1 else ["0"]
    return [f"const {kind} mean_{name} = {_tree('sum', s.out.dtype, values)} * ({kind})({1 / n!r});",
            f"const {kind} off_{name} = mean_{name} - m_{name}[l];",
            f"m_{name}[l] += off_{name} * ({kind})new_w;",
            f"t_{name}[l] += {_tree('sum', s.out.dtype, squares)} + off_{name} * off_{name} * ({kind})old_w;"]  # fmt: skip
