"""How the result of a contraction is dealt out to threads: ranges of z, m, n or k in whole steps."""

from __future__ import annotations

from math import ceil

from kerf.kernels.codegen.gemm.analysis import Flat, Problem

SPLIT = {"batch": "z", "k": "k"}  # by what is dealt out; else m and n


def ranges(p: Problem, parallel: str, parts: int, mr: int, nr: int, kc: int) -> list[str]:
    """C that declares the bounds of the variable `part`'s share."""
    if parallel == "batch":
        return [_share("z", p.z.extent, 1, parts, "part")]
    if parallel == "k":
        return [_share("k", p.k.extent, kc, parts, "part")]
    rows, columns = _grid(p, parallel, parts, mr, nr)
    return [
        _share("m", p.m.extent, mr, rows, f"part / {columns}"),
        _share("n", p.n.extent, nr, columns, f"part % {columns}"),
    ]


def bounds(p: Problem, parallel: str) -> list[str]:
    """z0, z1, m0, m1, n0, n1, k0, k1 as C: what `ranges` declares, and the whole extent of what is not dealt out."""
    split = SPLIT.get(parallel, "mn")
    return [
        b for v, flat in _loops(p) for b in ((f"{v}0", f"{v}1") if v in split else ("0", str(flat.extent)))
    ]


def everything(p: Problem) -> list[str]:
    """The same bounds where nothing is dealt out."""
    return [b for _, flat in _loops(p) for b in ("0", str(flat.extent))]


def _loops(p: Problem) -> tuple[tuple[str, Flat], ...]:
    return ("z", p.z), ("m", p.m), ("n", p.n), ("k", p.k)


def _grid(p: Problem, parallel: str, total: int, mr: int, nr: int) -> tuple[int, int]:
    """Parts along m and n: as square as the tiles allow."""
    if parallel in ("m", "n"):
        return (total, 1) if parallel == "m" else (1, total)
    m, n = p.m.extent, p.n.extent
    pairs = [(d, total // d) for d in range(1, total + 1) if total % d == 0]
    return min(
        pairs,
        key=lambda g: (ceil(ceil(m / mr) / g[0]) * ceil(ceil(n / nr) / g[1]), m / g[0] + n / g[1]),
    )


def _share(var: str, extent: int, step: int, parts: int, which: str) -> str:
    """Bounds var0..var1 of one share of an extent, in whole steps."""
    steps = ceil(extent / step)
    edge = f"{steps} * ({which} + 1) / {parts} * {step}"
    end = f"({edge} < {extent} ? {edge} : {extent})"
    return f"        const long {var}0 = {steps} * ({which}) / {parts} * {step}, {var}1 = {end};"
