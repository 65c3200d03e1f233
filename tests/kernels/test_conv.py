"""The convolution generator against float64 PyTorch, on sizes that fit no vector, tile or block."""

from __future__ import annotations

import ctypes
import mmap
import random
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from conv_cases import Case, bound_on_error, check, with_maps

from kerf.kernels.codegen.conv import TEMPLATE
from kerf.kernels.codegen.conv.geometry import geometry
from kerf.kernels.codegen.conv.toom import transform
from kerf.kernels.codegen.standalone import Standalone, standalone
from kerf.kernels.ir import Buffer, Const, DType, Index, Load, Role, apply
from kerf.kernels.schedule import Value
from kerf.kernels.targets.cpu import native

FORMS = {
    "ragged": Case((2, 5, 13, 17), 37, (3, 3), padding=(1, 0)),
    "one of everything": Case((1, 1, 1, 1), 1, (1, 1)),
    "large kernel, stride": Case((1, 3, 35, 33), 20, (11, 11), stride=(4, 4), padding=(2, 2)),
    "pointwise": Case((2, 19, 9, 7), 35, (1, 1)),
    "pointwise, few filters": Case((1, 8, 9, 7), 3, (1, 1), bias=False),
    "1-D, dilated": Case((3, 6, 53), 10, (3,), dilation=(4,), stride=(3,)),
    "3-D": Case((1, 3, 5, 6, 7), 5, (3, 2, 3), padding=(1, 0, 2)),
    "grouped": Case((2, 6, 9, 11), 14, (3, 5), groups=2, padding=(1, 1), stride=(1, 2), dilation=(2, 1)),
    "depthwise": Case((2, 5, 13, 37), 5, (3, 3), padding=(1, 1), groups=5),
    "depthwise, multiplied, strided": Case((1, 3, 13, 37), 6, (5, 3), padding=(1, 2), groups=3, stride=(2, 2)),
    "depthwise, 3-D": Case((1, 3, 5, 6, 7), 3, (3, 3, 3), padding=(1, 0, 2), groups=3),
    "transposed": Case((2, 6, 9, 8), 4, (3, 3), transposed=True, padding=(2, 0)),
    "transposed, strided": Case((1, 4, 3, 4, 5), 6, (3, 3, 3), transposed=True, stride=(2, 2, 2), padding=(1, 1, 1), groups=2, output_padding=(1, 0, 1)),
    "transposed, taps missing": Case((2, 4, 7), 3, (2,), transposed=True, stride=(5,), output_padding=(4,)),
    "transposed, dilated": Case((2, 6, 9, 8), 4, (2, 3), transposed=True, stride=(3, 4), groups=2, dilation=(2, 3)),
    "transposed depthwise": Case((1, 6, 9, 8), 12, (4, 3), transposed=True, groups=6, padding=(1, 2), stride=(2, 3), output_padding=(0, 1)),
    "padding beyond the kernel": Case((1, 2, 3, 4), 3, (2, 2), padding=(5, 4)),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_forms(name: str) -> None:
    check(FORMS[name])


# Matrix registers where this machine has them; elsewhere the same kernel takes its other way.
TILES = replace(
    native(),
    vector_bits=512,
    features=native().features | {"amx_tile", "amx_bf16", "avx512_bf16", "avx512bw"},
)
HERE = {"amx_tile", "amx_bf16"} <= native().features
WIDE = {
    "ragged": Case((2, 40, 13, 19), 37, (3, 3), padding=(1, 0)),
    "odd channels": Case((1, 17, 13, 17), 16, (5, 3), padding=(2, 1)),
    "pointwise": Case((3, 48, 9, 7), 70, (1, 1)),
    "pointwise, strided": Case((1, 32, 9, 7), 32, (1, 1), stride=(2, 2)),
    "large kernel, stride": Case((1, 32, 35, 33), 48, (7, 7), stride=(4, 4), padding=(2, 2)),
    "1-D, dilated": Case((3, 36, 153), 50, (3,), dilation=(4,), stride=(3,)),
    "3-D": Case((1, 32, 5, 6, 7), 33, (3, 2, 3), padding=(1, 0, 2)),
    "grouped": Case((2, 48, 9, 11), 64, (3, 5), groups=2, padding=(1, 1), stride=(1, 2), dilation=(2, 1)),
    "transposed": Case((2, 32, 9, 8), 40, (3, 3), transposed=True, padding=(2, 0)),
    "transposed, strided": Case((1, 64, 3, 4, 5), 64, (3, 3, 3), transposed=True, stride=(2, 2, 2), padding=(1, 1, 1), groups=2, output_padding=(1, 0, 1)),
    "transposed, taps missing": Case((2, 32, 7), 30, (2,), transposed=True, stride=(5,), output_padding=(4,)),
    "bfloat16": Case((2, 32, 9, 11), 32, (3, 3), padding=(1, 1), dtype=DType.BF16),
}  # fmt: skip


def registers(case: Case, threads: int = 1, **choices: Value) -> Standalone:
    made = standalone(
        case.group(), {"algorithm": "amx", **choices}, template=TEMPLATE, chip=TILES, threads=threads
    )
    assert "KF_TILE_MULTIPLY(0," in made.source
    return made


@pytest.mark.parametrize("name", WIDE)
def test_matrix_registers(name: str) -> None:
    case = WIDE[name]
    tensors = case.tensors()
    wide = [t.double() for t in tensors]
    want = case.torch(wide[0], wide[1], wide[2])
    for threads, kb in ((1, 64), (2, 256)):
        (got,) = registers(case, threads, amx_kb=kb, amx_columns=kb // 2).call(tensors)
        assert ((got.double() - want).abs() <= bound_on_error(case, tensors, False)).all(), (threads, kb)


@pytest.mark.parametrize(
    "value", [float("inf"), float("nan"), 3e38, 1e-30], ids=["inf", "nan", "most", "tiny"]
)
@pytest.mark.parametrize("which", [0, 1], ids=["input", "weight"])
def test_values_that_do_not_come_apart_take_the_other_way(which: int, value: float) -> None:
    case = Case((2, 32, 9, 11), 40, (3, 3), padding=(1, 1))
    tensors = case.tensors()
    if value < 1:
        (tensors[0][1, :, 3, 3] if which == 0 else tensors[1][5])[:] = value
    else:
        (tensors[0][1, 4, 3] if which == 0 else tensors[1][5, 3, 1])[2] = value
    direct = standalone(case.group(), {"algorithm": "direct"}, template=TEMPLATE).call(tensors)[0]
    assert torch.equal(registers(case).call(tensors)[0].nan_to_num(7.0), direct.nan_to_num(7.0))
    (calm,) = registers(case).call(case.tensors())
    plain = standalone(case.group(), {"algorithm": "direct"}, template=TEMPLATE).call(case.tensors())[0]
    assert not HERE or not torch.equal(calm, plain), "the other way was taken for ordinary values"


@pytest.mark.parametrize("tiling", ["rows", "linear", "panel"])
@pytest.mark.parametrize("algorithm", ["direct", "winograd"])
def test_algorithms_and_tilings(algorithm: str, tiling: str) -> None:
    choices: dict[str, Value] = {"algorithm": algorithm, "tiling": tiling, "band_kb": 64}
    check(Case((2, 7, 14, 19), 9, (3, 3), padding=(1, 1)), choices)


@pytest.mark.parametrize(
    "case",
    [
        Case((1, 3, 7, 6, 7), 5, (3, 3, 3), padding=(1, 0, 2), stride=(2, 1, 1), dilation=(2, 1, 1)),
        Case((2, 6, 13, 17), 7, (3, 5), padding=(1, 1), transposed=True, bias=False),
        Case((3, 4, 50), 5, (3,), padding=(1,), groups=1),
        Case((5, 4, 3, 2), 3, (2, 1), role=Role.INPUT),
        Case((1, 3, 35, 33), 20, (11, 7), stride=(4, 3), padding=(2, 5)),
        Case((2, 3, 20, 25), 9, (3, 5), padding=(2, 2), dilation=(2, 1), groups=3),
        Case((1, 2, 9, 14, 13), 5, (2, 1, 9), stride=(1, 2, 1), padding=(0, 0, 4), transposed=False),
        Case((1, 4, 6, 7, 8), 3, (2, 3, 7), transposed=True),
    ],
    ids=[
        "3-D, strided depth", "transposed 3x5", "1-D", "2x1, weight not a parameter", "strided in pieces", "dilated height",
        "3-D, long row", "transposed in pieces",
    ],
)  # fmt: skip
def test_every_cut_into_minimal_filters(case: Case) -> None:
    decisions = {d.name: d.choices for d in TEMPLATE.decisions(case.group(), native(), 1)}
    for cut in decisions["filtering"][:2]:
        check(case, {"algorithm": "winograd", "filtering": cut})


def test_any_combination_of_choices_is_right() -> None:
    """A sample of the space, as a search would draw it."""
    rng = random.Random(5)
    for name in ("ragged", "grouped", "transposed, strided", "depthwise, multiplied, strided", "pointwise"):
        decisions = TEMPLATE.decisions(FORMS[name].group(), native(), 1)
        check(FORMS[name], {d.name: rng.choice(d.choices) for d in decisions})


@pytest.mark.parametrize("name", [name for name in FORMS if "depthwise" in name])
def test_depthwise_past_the_caches(name: str) -> None:
    """Streamed where the form allows; rows of 37 outputs share lines of memory."""
    check(FORMS[name], {"algorithm": "depthwise", "stream": True, "slide_rows": 3}, threads=2)


def test_depthwise_rows_of_whole_lines() -> None:
    choices = {"algorithm": "depthwise", "stream": True, "slide_vectors": 3}
    check(Case((2, 3, 14, 112), 6, (3, 3), padding=(1, 1), groups=3), choices, threads=2)
    check(Case((1, 3, 4, 9, 32), 3, (3, 3, 3), padding=(1, 0, 1), groups=3), choices)


@pytest.mark.parametrize("width", [13, 96])
def test_streamed_depthwise_epilogue(width: int) -> None:
    """Rows of whole lines leave from registers, a strip and a ragged one; others through a stage."""
    case, at = Case((2, 6, 9, width), 6, (3, 3), padding=(1, 1), groups=6, dtype=DType.BF16), _axes(4)
    residual = Buffer("residual", case.out_shape(), DType.BF16, Role.INPUT)
    added = apply("add", Load("y", at, DType.BF16), Load("residual", at, DType.BF16))
    tensors = [*case.tensors(), torch.randn(case.out_shape()).bfloat16()]
    group = with_maps(case, [added], (residual,))
    (got,) = standalone(group, {"algorithm": "depthwise", "stream": True}, template=TEMPLATE).call(tensors)
    want = case.torch(*(t.double() for t in tensors[:3])) + tensors[3].double()
    torch.testing.assert_close(got.double(), want, rtol=3e-2, atol=3e-2)


@pytest.mark.parametrize("bits", [128, 256])
def test_narrower_vectors(bits: int) -> None:
    chip = replace(native(), vector_bits=bits)
    case = Case((1, 5, 11, 13), 17, (3, 3), padding=(1, 1))
    kernel = standalone(case.group(), {"algorithm": "direct"}, chip=chip, template=TEMPLATE)
    tensors = case.tensors()
    torch.testing.assert_close(kernel.call(tensors)[0], case.torch(*tensors), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [DType.F64, DType.BF16, DType.F16])
def test_storage_types(dtype: DType) -> None:
    check(Case((2, 5, 9, 11), 7, (3, 3), padding=(1, 1), dtype=dtype))
    check(Case((1, 5, 9, 11), 7, (1, 1), dtype=dtype))


@pytest.mark.parametrize("name", ["ragged", "pointwise", "depthwise", "transposed, strided"])
def test_two_threads(name: str) -> None:
    check(FORMS[name], threads=2)


def _axes(count: int) -> tuple[Index, ...]:
    return tuple(Index(f"a{i}") for i in range(count))


@pytest.mark.parametrize("algorithm", ["direct", "winograd"])
def test_epilogue_residual_and_columns(algorithm: str) -> None:
    """relu(y) * scale[o] + residual, then times a row vector over the last dimension; both results are kept."""
    case = Case((2, 6, 9, 13), 8, (3, 3), padding=(1, 1))
    at, f32 = _axes(4), DType.F32
    relu = apply("max", Load("y", at, f32), Const(0.0, f32))
    scaled = apply("mul", relu, Load("scale", (at[1],), f32))
    first = apply("add", scaled, Load("residual", at, f32))
    second = apply("mul", Load("m0", at, f32), Load("columns", (at[3],), f32))
    extra = (
        Buffer("scale", (8,), f32, Role.PARAM), Buffer("residual", case.out_shape(), f32, Role.INPUT),
        Buffer("columns", (13,), f32, Role.INPUT),
    )  # fmt: skip
    group = with_maps(case, [first, second], extra, outputs=(0, 1, 2))
    tensors = [*case.tensors(), torch.randn(8), torch.randn(case.out_shape()), torch.randn(13)]
    y = case.torch(*(t.double() for t in tensors[:3]))
    want = torch.relu(y) * tensors[3].view(1, 8, 1, 1) + tensors[4]
    got = standalone(group, {"algorithm": algorithm}, template=TEMPLATE).call(tensors)
    for result, expected in zip(got, (y, want, want * tensors[5]), strict=True):
        torch.testing.assert_close(result.double(), expected, rtol=2e-4, atol=2e-4)


def test_flat_epilogue_spans_rows() -> None:
    """A pointwise convolution runs over the plane as one row; a residual must follow it."""
    case = Case((2, 5, 7, 9), 40, (1, 1))
    at = _axes(4)
    value = apply("add", Load("y", at, DType.F32), Load("residual", at, DType.F32))
    group = with_maps(case, [value], (Buffer("residual", case.out_shape(), DType.F32, Role.INPUT),))
    tensors = [*case.tensors(), torch.randn(case.out_shape())]
    (got,) = standalone(group, template=TEMPLATE).call(tensors)
    torch.testing.assert_close(got, case.torch(*tensors[:3]) + tensors[3], rtol=1e-4, atol=1e-4)


def test_a_map_that_reads_a_neighbour_is_refused() -> None:
    case = Case((1, 2, 5, 6), 3, (3, 3))
    at = _axes(4)
    shifted = (*at[:3], apply("min", apply("add", at[3], Const(1, DType.I64)), Const(3, DType.I64)))
    assert not TEMPLATE.accepts(with_maps(case, [Load("y", shifted, DType.F32)], ()))
    assert TEMPLATE.accepts(with_maps(case, [Load("y", at, DType.F32)], ()))


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [("ragged", "direct"), ("ragged", "winograd"), ("depthwise", "depthwise"), ("pointwise", "direct")],
)
def test_nan_and_infinity_reach_exactly_their_taps(name: str, algorithm: str) -> None:
    case = FORMS[name]
    tensors = case.tensors()
    tensors[0].view(-1)[[3, 40, 101]] = torch.tensor([torch.nan, torch.inf, -torch.inf])
    (got,) = standalone(case.group(), {"algorithm": algorithm}, template=TEMPLATE).call(tensors)
    want = case.torch(*(t.double() for t in tensors))
    torch.testing.assert_close(got.double(), want, rtol=1e-3, atol=1e-3, equal_nan=True)


def _before_a_wall(shape: tuple[int, ...]) -> tuple[torch.Tensor, mmap.mmap]:
    """A float32 tensor that ends where memory does: reading one element more kills the process."""
    size = 4 * torch.Size(shape).numel()
    assert size % 64 == 0
    pages = -(-size // mmap.PAGESIZE) + 1
    memory = mmap.mmap(-1, pages * mmap.PAGESIZE)
    view = torch.frombuffer(memory, dtype=torch.float32)
    wall = view.data_ptr() + (pages - 1) * mmap.PAGESIZE
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(wall), ctypes.c_size_t(mmap.PAGESIZE), 0) == 0
    end = (pages - 1) * mmap.PAGESIZE // 4
    return view[end - size // 4 : end].view(shape), memory


@pytest.mark.parametrize("tiling", ["rows", "linear", "panel"])
@pytest.mark.parametrize(
    "case", [Case((1, 16, 3, 7), 5, (1, 1)), Case((1, 16, 5, 7), 5, (3, 3)), Case((1, 16, 6, 7), 8, (3, 3), stride=(2, 2), groups=16 // 2)],
    ids=["pointwise", "3x3", "strided"],
)  # fmt: skip
def test_never_reads_beyond_its_input(case: Case, tiling: str) -> None:
    tensors = case.tensors()
    guarded, memory = _before_a_wall(case.x)
    guarded.copy_(tensors[0])
    (got,) = standalone(case.group(), {"algorithm": "direct", "tiling": tiling}, template=TEMPLATE).call(
        [guarded, *tensors[1:]]
    )
    torch.testing.assert_close(got, case.torch(*tensors), rtol=1e-4, atol=1e-4)
    assert len(memory)


@pytest.mark.parametrize(("outputs", "taps"), [(2, 3), (4, 3), (2, 5), (3, 4), (5, 2), (1, 1)])
def test_minimal_filtering_is_exact(outputs: int, taps: int) -> None:
    t = transform(outputs, taps)
    x = [Fraction(7 * i * i - 3, 5) for i in range(t.points)]
    w = [Fraction(2 * i + 1, 3) for i in range(taps)]
    dot = [sum(a * b for a, b in zip(row, x, strict=True)) for row in t.data]
    mul = [d * sum(a * b for a, b in zip(row, w, strict=True)) for d, row in zip(dot, t.weight, strict=True)]
    got = [sum(a * b for a, b in zip(row, mul, strict=True)) for row in t.output]
    assert got == [sum(w[k] * x[i + k] for k in range(taps)) for i in range(outputs)]


def test_winograd_rounds_little_more_than_the_direct_sum() -> None:
    """On normal inputs the six-point tiles stay within 16 times the error of PyTorch's own float32 result."""
    case = Case((1, 64, 24, 24), 32, (3, 3), padding=(1, 1), bias=False)
    tensors = case.tensors()
    want = case.torch(tensors[0].double(), tensors[1].double(), None)
    (got,) = standalone(
        case.group(), {"algorithm": "winograd", "filtering": "F(4,3)xF(4,3)"}, template=TEMPLATE
    ).call(tensors)
    honest = (case.torch(tensors[0], tensors[1], None).double() - want).abs().max()
    assert (got.double() - want).abs().max() <= 16 * honest


@pytest.mark.parametrize("role", [Role.PARAM, Role.INPUT])
def test_winograd_does_not_round_by_a_large_neighbour(role: Role) -> None:
    """Outputs whose taps miss an enormous input are as exact as if it were not there."""
    case = Case((1, 8, 24, 24), 16, (5, 5), padding=(2, 2), stride=(2, 2), bias=False, role=role)
    tensors = case.tensors()
    tensors[0][0, 3, 11, 11] = 1e6
    want = case.torch(tensors[0].double(), tensors[1].double(), None)
    (got,) = standalone(case.group(), {"algorithm": "winograd"}, template=TEMPLATE).call(tensors)
    far = torch.ones(want.shape, dtype=torch.bool)
    far[:, :, 5:7, 5:7] = False
    assert (got.double() - want).abs()[far].max() < 1e-4


def test_strides_and_transposes_cover_every_output_once() -> None:
    """Each phase's taps partition the kernel's."""
    g = geometry(FORMS["transposed, dilated"].group())
    flat = sorted(t.flat for p in g.phases for t in p.taps)
    per_row = {t.flat for p in g.phases for t in p.taps}
    assert per_row == set(range(g.taps)) and len(flat) == len(per_row)
    assert len(g.phases) == 12
