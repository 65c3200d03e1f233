"""Generated pooling against torch: random windows, odd sizes, every schedule legal, NaN and infinities."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from kerf.kernels.codegen.pool import TEMPLATE
from kerf.kernels.codegen.standalone import standalone
from kerf.kernels.ir import Axis, Buffer, DType, Group, Index, Load, Map, Pool, Role, apply
from kerf.kernels.targets.cpu import native

KINDS = {
    torch.float32: DType.F32,
    torch.float64: DType.F64,
    torch.bfloat16: DType.BF16,
    torch.float16: DType.F16,
    torch.int64: DType.I64,
}
MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVG = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def pooled(x, kind, k, s, p, d, *, ceil=False, pad=True, divisor=None, indices=False, tail=False, last=False):
    """The group, and what torch gives; with `last`, of channels that lie side by side."""
    if kind == "max":
        expected = MAX[len(k)](x, k, s, p, d, ceil, return_indices=indices)
    else:
        override = {} if len(k) == 1 else {"divisor_override": divisor}
        expected = AVG[len(k)](x, k, s, p, ceil, pad, **override)
    expected = list(expected) if indices else [expected]
    if last:
        x, *expected = (t.movedim(1, -1) for t in (x, *expected))
    t, shape = KINDS[x.dtype], tuple(expected[0].shape)
    out = Buffer("o", shape, t, Role.OUTPUT)
    where = Buffer("n", shape, DType.I64, Role.OUTPUT) if indices else None
    ops = [
        Pool(
            out,
            "i",
            kind,
            tuple(k),
            tuple(s),
            tuple(p),
            tuple(d),
            ceil,
            pad,
            divisor if len(k) > 1 else None,
            where,
            last,
        )
    ]
    if tail:
        axes = tuple(Axis(f"a{j}", n) for j, n in enumerate(shape))
        here = tuple(Index(a.name) for a in axes)
        out = Buffer("h", shape, t, Role.OUTPUT)
        step = apply("cast", Index(axes[-1].name), dtype=t.compute)
        ops.append(Map(out, axes, apply("add", Load("o", here, t.compute), step)))
        expected[0] = expected[0].float().add(torch.arange(shape[-1])).to(x.dtype)
    outs = (out, where) if where else (out,)
    return Group("g", tuple(ops), (Buffer("i", tuple(x.shape), t, Role.INPUT),), outs), expected


def lying(x, last):
    return x.movedim(1, -1).contiguous() if last else x


@st.composite
def windows(draw):
    n = draw(st.sampled_from([1, 2, 3]))
    kind = draw(st.sampled_from(["max", "avg"]))
    k = [draw(st.sampled_from([1, 2, 3, 5, 13])) for _ in range(n)]
    d = [draw(st.sampled_from([1, 1, 2, 3])) if kind == "max" else 1 for _ in range(n)]
    s = [draw(st.sampled_from([1, 2, 3, 4])) for _ in range(n)]
    p = [draw(st.integers(0, kk // 2)) for kk in k]
    size = [(kk - 1) * dd + 1 + draw(st.sampled_from([0, 1, 6, 17])) for kk, dd in zip(k, d)]
    lead = draw(st.sampled_from([(1, 1), (2, 3), (1, 19)]))
    return kind, k, s, p, d, (*lead, *size)


@settings(max_examples=32, deadline=None, derandomize=True)
@given(windows(), st.data())
def test_any_window_under_any_schedule(drawn, data):
    kind, k, s, p, d, shape = drawn
    dtypes = (
        [torch.float32, torch.float64]
        if kind == "avg" and len(k) == 3
        else [torch.float32, torch.float64, torch.bfloat16]
    )
    dtype = data.draw(st.sampled_from(dtypes if kind == "avg" else [*dtypes, torch.float16]))
    flags = {n: data.draw(st.booleans()) for n in ("ceil", "pad", "tail", "last")}
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    group, (expected,) = pooled(x, kind, k, s, p, d, divisor=data.draw(st.sampled_from([None, 3])), **flags)
    threads = data.draw(st.sampled_from([1, 2]))
    choices = {
        c.name: data.draw(st.sampled_from(c.choices)) for c in TEMPLATE.decisions(group, native(), threads)
    }
    (out,) = standalone(group, choices, threads=threads, template=TEMPLATE).call([lying(x, flags["last"])])
    torch.testing.assert_close(out, expected)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("k", [3, 9])
def test_nan_and_infinities_spread_as_in_torch(k, last):
    x = torch.randn(2, 3, 23, 37)
    x[0, 0, 5, 5], x[0, 1, 7, 3], x[1, 2, 0, 0], x[1, 0] = torch.nan, torch.inf, -torch.nan, -torch.inf
    group, (expected,) = pooled(x, "max", [k, k], [2, 1], [1, 1], [1, 2], last=last)
    (out,) = standalone(group, template=TEMPLATE).call([lying(x, last)])
    torch.testing.assert_close(out, expected, equal_nan=True, rtol=0, atol=0)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(
    "shape, k, d",
    [((2, 3, 41), [4], [3]), ((2, 2, 13, 18), [3, 2], [2, 1]), ((1, 2, 7, 9, 8), [2, 3, 3], [1, 1, 2])],
)
def test_positions_of_the_maxima_with_ties_and_nan(shape, k, d, last):
    x = torch.randn(shape).mul(2).round()
    x.view(-1)[7] = torch.nan
    ones = [1] * len(k)
    group, (values, where) = pooled(x, "max", k, [2] * len(k), ones, d, ceil=True, indices=True, last=last)
    out, n = standalone(group, template=TEMPLATE).call([lying(x, last)])
    torch.testing.assert_close(out, values, equal_nan=True, rtol=0, atol=0)
    assert torch.equal(n, where)


def test_integers_are_exact():
    x = torch.randint(-(2**60), 2**60, (2, 3, 19, 21))
    group, (expected,) = pooled(x, "max", [3, 3], [2, 2], [1, 1], [1, 1])
    assert torch.equal(standalone(group, template=TEMPLATE).call([x])[0], expected)
