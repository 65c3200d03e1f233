"""Copying an operand into the order in which the micro-kernel reads it, with its prologue and conversion applied.

Rows (A): `dst[row * block + k]`, or micro-panels `dst[(panel) + k * mr + row]` where memory runs along m.
Columns (B): panels of nr columns, `dst[(panel) + k * nr + column]`, the last panel filled up with zeros.
"""

from __future__ import annotations

from kerf.kernels.codegen.blocks import rounded
from kerf.kernels.codegen.expr import CTYPE
from kerf.kernels.codegen.gemm import pairs
from kerf.kernels.codegen.gemm.analysis import Operand, Problem, pointer
from kerf.kernels.codegen.gemm.epilogue import Signature
from kerf.kernels.codegen.gemm.plan import Plan, runs_along_rows
from kerf.kernels.codegen.template import Packed
from kerf.kernels.ir import Group, Load, linear, loads

STRIP = 8  # panels of A: whole cache lines of rows of any even number


def _head(name: str, parameters: str, acc: str, row: str) -> list[str]:
    own = f"{parameters}, " if parameters else ""  # a constant operand reads nothing
    return [
        f"static void {name}({own}{acc} *restrict dst, long z,",
        f"        long {row}0, long {row}1, long k0, long k1) {{",
        "    (void)z;",
    ]


def pack_a(p: Problem, plan: Plan, parameters: str, symbol: str) -> str:
    acc, value = CTYPE[p.acc], p.value(p.left)
    head = _head(f"{symbol}_pack_a", parameters, acc, "m")
    panels = plan.a.row == 1 and plan.a.k == plan.mr and runs_along_rows(p.left)
    if plan.pairs:
        body = pairs.rows(p, symbol, plan.a.block, plan.mr, panels=panels)
    elif panels:
        body = _strips(plan, acc, value)
    else:
        body = [
            "    for (long m = m0; m < m1; ++m)",
            "        for (long k = k0; k < k1; ++k)",
            f"            dst[(m - m0) * {plan.a.block} + k - k0] = {value};",
        ]
    return "\n".join([*head, *body, "}"]) + "\n"


def _strips(plan: Plan, acc: str, value: str) -> list[str]:
    """Memory runs along m: as many panels at once as share cache lines, so that no line is read again for the next panel."""
    mr, strip = plan.mr, STRIP * plan.mr
    return [
        f"    for (long s = m0; s < m1; s += {strip})",
        "        for (long k = k0; k < k1; ++k)",
        f"            for (long q = s; q < m1 && q < s + {strip}; q += {mr}) {{",
        f"                {acc} *restrict row = dst + (q - m0) * {plan.a.block} + (k - k0) * {mr};",
        f"                if (q + {mr} <= m1)",
        f"                    for (long j = 0; j < {mr}; ++j) {{",
        "                        const long m = q + j;",
        f"                        row[j] = {value};",
        "                    }",
        "                else",
        f"                    for (long m = q; m < m1; ++m) row[m - q] = {value};",
        "            }",
    ]


def pack_b(p: Problem, plan: Plan, parameters: str, symbol: str) -> str:
    if turned(p, plan):
        body = _panels(p, plan, _turned(p, plan, symbol))
    elif plan.pairs:
        body = pairs.columns(p, symbol, _panel_head(p, plan, " " * 8), plan.nr)
    elif p.right.stride(p.k) == 1 and p.k.extent > 1:
        body = _panels(p, plan, _gathered(p))
    else:
        body = _streamed(p, plan)
    return "\n".join([*_head(f"{symbol}_pack_b", parameters, CTYPE[p.acc], "n"), *body, "}"]) + "\n"


def _panel_head(p: Problem, plan: Plan, pad: str) -> list[str]:
    nr = plan.nr
    tail = plan.tail_vectors(p.n.extent) * plan.lanes or nr
    return [
        f"{pad}const long width = n1 - q < {nr} ? n1 - q : {nr}, wide = width < {nr} ? {tail} : {nr};",
        f"{pad}{CTYPE[p.acc]} *restrict panel = dst + (q - n0) * {plan.b.block};",
    ]


def _streamed(p: Problem, plan: Plan) -> list[str]:
    """Memory runs along n: whole rows are read in order, and dealt out to the panels. Whole panels have a loop of fixed length,
    which compilers unroll: one of unknown length becomes a call to memcpy for a few vectors."""
    return [
        "    for (long k = k0; k < k1; ++k)",
        f"        for (long q = n0; q < n1; q += {plan.nr}) {{",
        *_panel_head(p, plan, " " * 12),
        f"            if (width == {plan.nr})",
        f"                for (long j = 0; j < {plan.nr}; ++j) {{",
        "                    const long n = q + j;",
        f"                    panel[(k - k0) * {plan.nr} + j] = {p.value(p.right)};",
        "                }",
        "            else",
        "                for (long n = q; n < q + width; ++n)",
        f"                    panel[(k - k0) * wide + n - q] = {p.value(p.right)};",
        "            for (long j = width; j < wide; ++j)",
        "                panel[(k - k0) * wide + j] = 0;",
        "        }",
    ]


def _panels(p: Problem, plan: Plan, copy: list[str]) -> list[str]:
    return [
        f"    for (long q = n0; q < n1; q += {plan.nr}) {{",
        *_panel_head(p, plan, " " * 8),
        *copy,
        f"        for (long k = 0; k < {'(k1 - k0) / 2' if plan.pairs else 'k1 - k0'}; ++k)",
        "            for (long j = width; j < wide; ++j)",
        "                panel[k * wide + j] = 0;",
        "    }",
    ]


def _gathered(p: Problem) -> list[str]:
    return [
        "        for (long n = q; n < q + width; ++n)",
        "            for (long k = k0; k < k1; ++k)",
        f"                panel[(k - k0) * wide + n - q] = {p.value(p.right)};",
    ]


def _turned(p: Problem, plan: Plan, symbol: str) -> list[str]:
    """Memory runs along k: eight columns of values, or of pairs of them, at a time are turned in registers."""
    operand, acc = p.right, CTYPE[p.acc]
    assert operand.load is not None and operand.form is not None
    per, cell = (2, f"{symbol}_pair") if plan.pairs else (1, acc)
    base = f"({pointer(operand.load.buffer)} + ({p.place(operand.form)}))"
    step = (operand.stride(p.n) or 0) // per
    row = f"(k - k0) / {per} * wide + n - q"
    deep = [
        f"            for (; k < k1; k += {per})",
        "                for (long j = 0; j < 8; ++j)",
        f"                    (({cell} *)panel)[{row} + j] = ((const {cell} *){base})[j * {step}L];",
    ]
    narrow = [
        "        for (; n < q + width; ++n)",
        f"            for (long k = k0; k < k1; k += {per})",
        f"                (({cell} *)panel)[{row}] = *(const {cell} *){base};",
    ]
    return [
        "        long n = q;",
        "        for (; n + 8 <= q + width; n += 8) {",
        "            long k = k0;",
        f"            for (; k + {8 * per} <= k1; k += {8 * per})",
        f"                {symbol}_transpose8((const {acc} *){base}, {step}L, panel + {row}, wide);",
        *_remainder(deep, 8 * per, plan.kc, p.k.extent),
        "        }",
        *_remainder(narrow, 8, plan.nr, p.n.extent),
    ]


def _remainder(loop: list[str], step: int, block: int, extent: int) -> list[str]:
    """Nothing where every block of the extent is a multiple of the step: gcc takes the count of a loop that cannot run for a huge
    one, and warns that it overflows."""
    return loop if block % step or extent % step else []


def needs_transpose(p: Problem) -> bool:
    r = p.right
    return r.plain and r.stride(p.k) == 1 and p.k.extent > 1 and r.stride(p.n) is not None


def turned(p: Problem, plan: Plan) -> bool:
    """Is B copied by transposing blocks in registers, of values or of pairs of them?"""
    return pairs.runs_along_k(p, p.right) if plan.pairs else needs_transpose(p)


def copies(operand: Operand) -> int:
    """How many separate matrices a batched operand holds, given the batch extent: 1 when it does not vary with z."""
    return 2 if operand.batched else 1


def weights_a(p: Problem, plan: Plan) -> tuple[int, int]:
    """Elements of one k block and of one matrix of A packed once."""
    block = rounded(p.m.extent, plan.mr) * plan.a.block
    return block, block * -(-p.k.extent // plan.kc)


def weights_b(p: Problem, plan: Plan) -> tuple[int, int]:
    block = plan.padded(p.n.extent) * plan.b.block
    return block, block * -(-p.k.extent // plan.kc)


def once(p: Problem, plan: Plan, symbol: str, which: str) -> tuple[str, Packed]:
    """C that packs a parameter for good, block after block, and its description."""
    operand, row = (p.left, p.m) if which == "a" else (p.right, p.n)
    block, matrix = weights_a(p, plan) if which == "a" else weights_b(p, plan)
    layers = p.z.extent if operand.batched else 1
    names = tuple(dict.fromkeys(ld.buffer for ld in loads(operand.expr)))
    group, acc = p.group, CTYPE[p.acc]
    casts = [
        f"    const {CTYPE[group.buffer(n).dtype]} *restrict {pointer(n)} = sources[{i}];"
        for i, n in enumerate(names)
    ]
    code = [
        f"static void {symbol}_pack_{which}_once(const void *const *sources, void *packed) {{",
        *casts,
        f"    {acc} *restrict dst = packed;",
        f"    for (long z = 0; z < {layers}; ++z)",
        f"        for (long k = 0; k < {p.k.extent}; k += {plan.kc}, dst += {block})",
        f"            {symbol}_pack_{which}({', '.join(pointer(n) for n in names)}, dst, z, 0, {row.extent}, k,",
        f"                k + {plan.kc} < {p.k.extent} ? k + {plan.kc} : {p.k.extent});",
        "}",
    ]
    size = layers * matrix * p.acc.bytes
    return "\n".join(code) + "\n", Packed(names[0], f"{symbol}_pack_{which}_once", size, acc, names)


def own_parameters(p: Problem, operand: Operand) -> str:
    """Declarations of just the pointers one operand reads, for packing without the rest of the kernel."""
    names = dict.fromkeys(ld.buffer for ld in loads(operand.expr))
    return ", ".join(f"const {CTYPE[p.group.buffer(n).dtype]} *restrict {pointer(n)}" for n in names)


def own_arguments(operand: Operand) -> str:
    return ", ".join(pointer(n) for n in dict.fromkeys(ld.buffer for ld in loads(operand.expr)))


def affine_load(group: Group, load: Load) -> bool:
    return linear(load, group.buffer(load.buffer)) is not None


def signature(p: Problem, plan: Plan) -> Signature:
    packed = {}
    for operand, layout in ((p.left, plan.a), (p.right, plan.b)):
        if layout.kind == "weights":
            packed[next(ld.buffer for ld in loads(operand.expr))] = CTYPE[p.acc]
    return Signature(p, packed)
