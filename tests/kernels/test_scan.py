"""Generated scans against torch in float64: every kind, axis and direction, odd lengths, NaN and infinities."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kerf.kernels.codegen.scan import TEMPLATE
from kerf.kernels.codegen.standalone import standalone
from kerf.kernels.ir import Axis, Buffer, Const, DType, Group, Index, Load, Map, Role, Scan, apply
from kerf.kernels.targets.cpu import native

KINDS = {
    torch.float32: DType.F32,
    torch.float64: DType.F64,
    torch.bfloat16: DType.BF16,
    torch.int64: DType.I64,
    torch.int32: DType.I32,
}
TOLERANCE = {
    torch.float32: 6e-6,
    torch.float64: 1e-12,
    torch.bfloat16: 1.6e-2,
    torch.int64: 0,
    torch.int32: 0,
}
TORCH = {"sum": torch.cumsum, "prod": torch.cumprod, "logsumexp": torch.logcumsumexp,
         "max": lambda x, d: torch.cummax(x, d)[0], "min": lambda x, d: torch.cummin(x, d)[0]}  # fmt: skip
FIRST = {"sum": 0.0, "prod": 1.0, "logsumexp": -torch.inf, "max": -torch.inf, "min": torch.inf}


def scanned(x, kind, dim, reverse=False, exclusive=False, doubled=False, tail=False):
    """The group, and the exact result."""
    t, shape = KINDS[x.dtype], tuple(x.shape)
    axes = tuple(Axis(f"a{k}", n) for k, n in enumerate(shape))
    here = tuple(Index(a.name) for a in axes)
    value = Load("i", here, t.compute)
    wide = x.double() if t.is_float else x
    if doubled:
        value, wide = apply("mul", value, Const(2, t.compute)), wide * 2
    out = Buffer("o", shape, t, Role.OUTPUT)
    ops = [Scan(out, axes, axes[dim].name, kind, value, reverse, exclusive)]
    expected = _reference(wide, kind, dim, reverse, exclusive)
    if tail:
        out = Buffer("h", shape, t, Role.OUTPUT)
        step = apply("cast", Index(axes[-1].name), dtype=t.compute)
        ops.append(Map(out, axes, apply("add", Load("o", here, t.compute), step)))
        expected = expected + torch.arange(shape[-1])
    return Group("g", tuple(ops), (Buffer("i", shape, t, Role.INPUT),), (out,)), expected


def _reference(x, kind, dim, reverse, exclusive):
    x = x.flip(dim) if reverse else x
    y = TORCH[kind](x, dim)
    if exclusive:
        first = torch.full_like(
            y.narrow(dim, 0, 1), FIRST[kind] if y.is_floating_point() else int(FIRST[kind])
        )
        y = torch.cat([first, y.narrow(dim, 0, y.shape[dim] - 1)], dim)
    return y.flip(dim) if reverse else y


def check(x, group, expected, choices=None, threads=1):
    (out,) = standalone(group, choices, threads=threads, template=TEMPLATE).call([x])
    size = expected.nan_to_num(0, 0, 0).abs().max().item() if expected.is_floating_point() else 1
    tolerance = TOLERANCE[x.dtype]
    torch.testing.assert_close(
        out.to(expected.dtype), expected, rtol=tolerance, atol=tolerance * max(size, 1), equal_nan=True
    )


@settings(max_examples=26, deadline=None, derandomize=True)
@given(st.data())
def test_any_scan_under_any_schedule(data):
    kind = data.draw(st.sampled_from(list(TORCH)))
    dtype = data.draw(
        st.sampled_from(
            [
                torch.float32,
                torch.float64,
                torch.bfloat16,
                *([torch.int64, torch.int32] if kind == "sum" else []),
            ]
        )
    )
    shape = data.draw(
        st.sampled_from([(1,), (2111,), (3, 769), (31, 5, 17), (100, 1, 3), (5, 64, 1), (2, 9, 131)])
    )
    dim = data.draw(st.integers(0, len(shape) - 1))
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    x = (1 + x * 0.01 if kind == "prod" else x * 3).to(dtype)
    flags = {n: data.draw(st.booleans()) for n in ("reverse", "exclusive", "tail")}
    group, expected = scanned(x, kind, dim, doubled=kind != "prod" and data.draw(st.booleans()), **flags)
    threads = data.draw(st.sampled_from([1, 2]))
    choices = {
        c.name: data.draw(st.sampled_from(c.choices)) for c in TEMPLATE.decisions(group, native(), threads)
    }
    check(x, group, expected, choices, threads)


@pytest.mark.parametrize("kind", list(TORCH))
@pytest.mark.parametrize("dim", [0, 1])
def test_nan_and_infinities_spread_as_in_torch(kind, dim):
    x = torch.rand(41, 67) + 0.5
    x[3, 5], x[20, 40], x[11, 13] = torch.nan, torch.inf, -torch.inf
    check(x, *scanned(x, kind, dim))


def test_a_long_float_sum_stays_as_close_as_a_double_carry():
    x = torch.rand(1, 300_001)
    group, expected = scanned(x, "sum", 1)
    (out,) = standalone(group, template=TEMPLATE).call([x])
    assert ((out - expected).abs() / expected).max() < 2.5e-7


def test_products_that_overflow_only_in_part() -> None:
    """Small first, large later: the running product is finite, a product of the later values alone is not."""
    x = torch.tensor([[1e-30, 1e-8, *[1e5] * 9, 1e-12, *[0.5] * 30]])
    group, exact = scanned(x, "prod", 1)
    (got,) = standalone(group, template=TEMPLATE).call([x])
    torch.testing.assert_close(got, exact.float(), rtol=1e-5, atol=0)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shape, dim", [((11, 1100), 0), ((300, 2048), 1)])
def test_streamed_stores_are_ordered_once_and_not_in_every_row(shape, dim, threads):
    group, _ = scanned(torch.zeros(shape), "sum", dim)
    made = standalone(group, {"stream": True, "rows": 4}, threads=threads, template=TEMPLATE)
    calls = [line for line in made.source.splitlines() if line.strip() == "kf_stream_end();"]
    assert calls == ["    kf_stream_end();"]  # outside of all loops


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("shape, dim", [((11, 1100), 0), ((2, 9, 37), 1), ((3, 2050), 1), ((3, 2048), 1)])
def test_streamed_results_and_rows_together_are_the_same(shape, dim, stream, threads):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(3)) * 0.2 + 1
    for kind in ("sum", "prod"):
        for reverse in (False, True):
            choices = {"stream": stream, "rows": 4, "chunk": 1024, "ahead": 2048 * stream}
            check(x, *scanned(x, kind, dim, reverse), choices=choices, threads=threads)
