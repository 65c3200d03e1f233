"""Contractions of every form against float64 sums."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch

from kerf.kernels.codegen.gemm import TEMPLATE, pairs
from kerf.kernels.codegen.standalone import TORCH_DTYPE, standalone
from kerf.kernels.ir import (
    Axis,
    Buffer,
    Const,
    Contract,
    DType,
    Expr,
    Group,
    Index,
    Load,
    Map,
    Role,
    apply,
)
from kerf.kernels.targets.cpu import Chip, native
from kerf.toolchain.compilers import compile_library, native_flags

I, J, K, B = Index("i"), Index("j"), Index("k"), Index("b")  # noqa: E741


def load(buffer: Buffer, *index: Expr) -> Load:
    return Load(buffer.name, index, buffer.dtype.compute)


def matmul(m: int, n: int, k: int, *, batch: int = 0, ta: bool = False, tb: bool = False, dtype: DType = DType.F32,
           weights: str = "", epilogue: str = "") -> Group:  # fmt: skip
    """out[b, i, j] = sum_k lhs * rhs, either operand transposed; `weights` names the operand that is a parameter."""

    def operand(
        name: str, rows: int, columns: int, index: tuple[Expr, Expr], turned: bool
    ) -> tuple[Buffer, Load]:
        shape = (columns, rows) if turned else (rows, columns)
        role = Role.PARAM if weights == name else Role.INPUT
        buffer = Buffer(
            name, (batch, *shape) if batch else shape, dtype, role, "w" if weights == name else ""
        )
        where = tuple(reversed(index)) if turned else index
        return buffer, load(buffer, *((B, *where) if batch else where))

    x, lhs = operand("x", m, k, (I, K), ta)
    y, rhs = operand("y", k, n, (K, J), tb)
    axes = (*((Axis("b", batch),) if batch else ()), Axis("i", m), Axis("j", n))
    shape = tuple(a.extent for a in axes)
    out = Buffer("s", shape, dtype)
    contract = Contract(out, axes, (Axis("k", k),), lhs, rhs)
    if not epilogue:
        return Group("g", (contract,), (x, y), (out,))
    bias = Buffer("bias", (n,), dtype, Role.PARAM, "bias")
    made, values = Buffer("o", shape, dtype), load(out, *(Index(a.name) for a in axes))
    value = apply("max", apply("add", values, load(bias, J)), Const(0.0, values.dtype))
    if epilogue == "triangle":
        value = apply("select", apply("le", J, I), values, Const(0.0, values.dtype))
    return Group(
        "g", (contract, Map(made, axes, value)), (x, y, bias) if epilogue == "bias" else (x, y), (made,)
    )


def draw(group: Group, seed: int = 0) -> list[torch.Tensor]:
    torch.manual_seed(seed)
    return [
        torch.randn(b.shape, dtype=torch.float64).to(TORCH_DTYPE[b.dtype])
        if b.dtype.is_float
        else torch.randint(-5, 6, b.shape).to(TORCH_DTYPE[b.dtype])
        for b in group.inputs
    ]


def check(group: Group, expected: torch.Tensor, inputs: list[torch.Tensor], k: int, **how: object) -> None:
    got = standalone(group, template=TEMPLATE, **how).call(inputs)[0]  # type: ignore[arg-type]
    unit = {torch.float64: 1e-15, torch.float32: 6e-8, torch.bfloat16: 4e-3, torch.float16: 5e-4}[got.dtype]
    atol = unit * (8 + 4 * k)
    torch.testing.assert_close(got.double(), expected, rtol=unit * 4, atol=atol, equal_nan=True)


def expect(
    group: Group, inputs: list[torch.Tensor], ta: bool = False, tb: bool = False, epilogue: str = ""
) -> torch.Tensor:
    x, y = inputs[0].double(), inputs[1].double()
    out = (x.mT if ta else x) @ (y.mT if tb else y)
    if epilogue == "bias":
        out = torch.relu(out + inputs[2].double())
    return torch.tril(out) if epilogue == "triangle" else out


# Two products an instruction where this machine has it; elsewhere the same pairs, taken apart.
PAIRS = replace(native(), vector_bits=512, features=native().features | {"avx512_bf16"})
SHAPES = [
    (1, 1, 1),
    (7, 13, 5),
    (64, 64, 64),
    (1, 37, 129),
    (53, 1, 77),
    (3, 200, 1),
    (131, 67, 257),
    (29, 97, 31),
    (16, 1050, 300),  # few rows against a large matrix: read in place, in even tiles
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("ta,tb", [(False, False), (True, False), (False, True), (True, True)])
def test_every_transposition(shape: tuple[int, int, int], ta: bool, tb: bool) -> None:
    group = matmul(*shape, ta=ta, tb=tb)
    inputs = draw(group)
    check(group, expect(group, inputs, ta, tb), inputs, shape[2])


@pytest.mark.parametrize("shape", [(53, 67, 257), (29, 100, 600), (7, 40, 2)], ids=str)
@pytest.mark.parametrize("ta,tb", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("how", ["packed in the call", "packed once", "without the instruction"])
def test_pairs_of_bfloat16(
    shape: tuple[int, int, int], ta: bool, tb: bool, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "without the instruction":
        monkeypatch.setattr(pairs, "DOT", pairs.DOT.replace("__AVX512BF16__", "NEVER"))
    group = matmul(*shape, ta=ta, tb=tb, dtype=DType.BF16, weights="y" if how == "packed once" else "")
    inputs = draw(group)
    choices = {"kc": 256, "algorithm": "panel", "pairs": True}
    got = standalone(group, choices, template=TEMPLATE, chip=PAIRS).call(inputs)[0]
    torch.testing.assert_close(got.double(), expect(group, inputs, ta, tb), rtol=4.1e-3, atol=1e-4)


# Matrix registers where this machine has them; elsewhere the same kernel takes its other way.
TILES = replace(
    native(),
    vector_bits=512,
    features=native().features | {"amx_tile", "amx_bf16", "avx512_bf16", "avx512bw"},
)
HERE = {"amx_tile", "amx_bf16"} <= native().features


def tiled(group: Group, inputs: list[torch.Tensor], threads: int = 1) -> torch.Tensor:
    choices = {"algorithm": "amx", "amx_k": 128, "amx_n": 128}
    made = standalone(group, choices, template=TEMPLATE, chip=TILES, threads=threads)
    assert "KF_TILE_MULTIPLY(0," in made.source
    assert "immintrin.h" not in made.source  # compilers read it for longer than the rest
    return made.call(inputs)[0].double()


@pytest.mark.parametrize(
    "shape", [(17, 33, 32), (19, 17, 90), (64, 64, 64), (131, 67, 257), (40, 300, 200)], ids=str
)
@pytest.mark.parametrize("ta,tb", [(False, False), (True, False), (False, True), (True, True)])
def test_matrix_registers_are_as_exact_as_float32(shape: tuple[int, int, int], ta: bool, tb: bool) -> None:
    for how in (
        {},
        {"weights": "x"},
        {"weights": "y"},
        {"batch": 3},
        {"epilogue": "bias"},
        {"epilogue": "triangle"},
    ):
        group = matmul(*shape, ta=ta, tb=tb, **how)  # type: ignore[arg-type]
        inputs = draw(group)
        right = expect(group, inputs, ta, tb, str(how.get("epilogue", "")))
        plain = standalone(group, {"algorithm": "panel"}, template=TEMPLATE).call(inputs)[0].double()
        allowed = (
            3 * (plain - right).abs().max() + 1e-6
        )  # one bfloat16 part less would be off fifty times as far
        assert (tiled(group, inputs) - right).abs().max() <= allowed, how
    threads = matmul(*shape, ta=ta, tb=tb)
    inputs = draw(threads)
    torch.testing.assert_close(
        tiled(threads, inputs, 2), expect(threads, inputs, ta, tb), rtol=1e-5, atol=1e-4
    )


@pytest.mark.parametrize("weights", ["", "x", "y"])
@pytest.mark.parametrize(
    "value",
    [float("inf"), float("nan"), 3e38, 1e30, 1e-30, 1e-42],
    ids=["inf", "nan", "most", "large", "tiny", "subnormal"],
)
def test_values_that_do_not_come_apart_take_the_other_way(weights: str, value: float) -> None:
    group = matmul(40, 48, 64, weights=weights)
    for which in (0, 1):
        inputs = draw(group)
        line = inputs[which][3] if which == 0 else inputs[which][:, 3]
        line[:] = value if abs(value) < 1 else line
        line[5] = value
        plain = standalone(group, {"algorithm": "panel", "pack_weights": False}, template=TEMPLATE)
        assert torch.equal(
            tiled(group, inputs).nan_to_num(7.0), plain.call(inputs)[0].double().nan_to_num(7.0)
        )


def test_zeros_and_small_values_among_others_come_apart() -> None:
    group = matmul(40, 48, 64)
    inputs = draw(group)
    inputs[0][:, ::3] = 0
    inputs[0][5] = 0
    inputs[1][1::3] = 1e-36
    torch.testing.assert_close(tiled(group, inputs), expect(group, inputs), rtol=1e-5, atol=1e-5)
    plain = standalone(group, {"algorithm": "panel"}, template=TEMPLATE).call(inputs)[0].double()
    assert not HERE or not torch.equal(tiled(group, inputs), plain), "the other way was taken"


@pytest.mark.parametrize("dtype", [DType.BF16, DType.F16])
def test_values_of_sixteen_bits_need_fewer_parts(dtype: DType) -> None:
    group = matmul(50, 70, 90, dtype=dtype)
    inputs = draw(group)
    got = tiled(group, inputs)
    unit = 4e-3 if dtype is DType.BF16 else 5e-4
    torch.testing.assert_close(got, expect(group, inputs), rtol=unit * 1.1, atol=1e-4)


def test_matrix_registers_are_the_first_choice_where_they_pay() -> None:
    def default(m: int, n: int, k: int, chip: Chip) -> object:
        group = matmul(m, n, k)
        return next((d.default for d in TEMPLATE.decisions(group, chip, 1) if d.name == "algorithm"), "panel")

    assert default(512, 512, 512, TILES) == "amx"
    assert default(32, 32, 64, TILES) == "panel"
    assert default(512, 512, 512, replace(TILES, features=frozenset())) == "panel"


def test_threads_share_what_each_of_them_would_else_copy() -> None:
    """Weights are copied once: the other operand's rows, or columns, are dealt out."""

    def parallel(m: int, n: int, weights: str) -> object:
        decisions = TEMPLATE.decisions(matmul(m, n, 512, weights=weights), TILES, 2)
        return next(d.default for d in decisions if d.name == "parallel")

    assert parallel(512, 512, "y") == "m" and parallel(512, 512, "x") == "n"
    assert parallel(2048, 512, "") == "m" and parallel(512, 2048, "") == "n"


@pytest.mark.parametrize("shape", [(64, 40, 1024), (5, 10, 1000)], ids=str)
def test_whole_blocks_compile_without_a_warning(shape: tuple[int, int, int]) -> None:
    group = matmul(*shape, tb=True, weights="y")
    inputs = draw(group)
    made = standalone(group, {"algorithm": "panel"}, template=TEMPLATE)
    torch.testing.assert_close(
        made.call(inputs)[0].double(), expect(group, inputs, tb=True), rtol=1e-4, atol=1e-3
    )
    flags = [*native_flags(native().machine, native().vector_bits), "-Werror=aggressive-loop-optimizations"]
    assert compile_library(made.source, flags).library is not None


@pytest.mark.parametrize("seed", range(24))
def test_any_choice_is_right(seed: int) -> None:
    rng = random.Random(seed)
    m, n, k = (rng.choice([1, 2, 5, 17, 33, 61, 97, 130]) for _ in range(3))
    ta, tb = rng.random() < 0.5, rng.random() < 0.5
    epilogue, weights = rng.choice(["", "bias", "triangle"]), rng.choice(["", "x", "y"])
    batch, threads = rng.choice([0, 0, 3]), rng.choice([1, 2, 3])
    dtype = rng.choice([DType.F32, DType.F32, DType.F64, DType.BF16, DType.F16])
    group = matmul(m, n, k, batch=batch, ta=ta, tb=tb, dtype=dtype, weights=weights, epilogue=epilogue)
    decisions = TEMPLATE.decisions(group, native(), threads)
    chosen = {d.name: rng.choice(d.choices) for d in decisions} | {"kc": 128 if k > 128 else 16384}
    inputs = draw(group, seed)
    check(group, expect(group, inputs, ta, tb, epilogue), inputs, k, choices=chosen, threads=threads)


def test_infinities_and_nans_come_through() -> None:
    group = matmul(19, 45, 23, epilogue="")
    x, y = draw(group)
    x[3, 4], x[5, 6], y[7, 8] = float("nan"), float("inf"), float("-inf")
    y[6, 9] = 0.0
    expected = x.double() @ y.double()
    check(group, expected, [x, y], 23)


@pytest.mark.parametrize("dtype", [DType.I64, DType.I32], ids=str)
def test_integers_are_exact(dtype: DType) -> None:
    group = matmul(9, 11, 13, dtype=dtype)
    x, y = draw(group)
    assert torch.equal(standalone(group, template=TEMPLATE).call([x, y])[0], x @ y)


@pytest.mark.parametrize("bits", [128, 256])
def test_narrower_vectors_give_the_same_sums(bits: int) -> None:
    chip = replace(native(), vector_bits=bits)
    group = matmul(43, 77, 59, tb=True, epilogue="bias")
    inputs = draw(group)
    check(group, expect(group, inputs, tb=True, epilogue="bias"), inputs, 59, chip=chip)


def test_several_row_and_column_axes_are_one() -> None:
    """b l d, d h e -> b l h e, and the transposed b h l e, which attention projections ask for."""
    extents = {"b": 3, "l": 5, "h": 2, "e": 19, "d": 33}
    x, w = Buffer("x", (3, 5, 33), DType.F32), Buffer("w", (33, 2, 19), DType.F32, Role.PARAM, "w")
    lhs, rhs = (load(x, *map(Index, "bld")), load(w, *map(Index, "dhe")))
    for order in ("blhe", "bhle", "hebl"):
        axes = tuple(Axis(a, extents[a]) for a in order)
        out = Buffer("s", tuple(a.extent for a in axes), DType.F32)
        group = Group("g", (Contract(out, axes, (Axis("d", 33),), lhs, rhs),), (x, w), (out,))
        inputs = draw(group)
        expected = torch.einsum(f"bld,dhe->{order}", *(t.double() for t in inputs))
        check(group, expected, inputs, 33)


def test_prologue_and_masked_operand() -> None:
    """tril(x) scaled, times a gathered and exponentiated row: whatever the operands are, packing evaluates them."""
    x, y = Buffer("x", (21, 21), DType.F32), Buffer("y", (40, 37), DType.F32)
    rows = Buffer("rows", (21,), DType.I64)
    masked = apply("select", apply("le", K, I), load(x, I, K), Const(0.0, DType.F32))
    lhs = apply("mul", masked, Const(0.5, DType.F32))
    rhs = apply("exp", load(y, load(rows, K), J))
    out = Buffer("s", (21, 37), DType.F32)
    group = Group(
        "g",
        (Contract(out, (Axis("i", 21), Axis("j", 37)), (Axis("k", 21),), lhs, rhs),),
        (x, rows, y),
        (out,),
    )
    a, b = torch.randn(21, 21), torch.randn(40, 37)
    index = torch.randint(0, 40, (21,))
    expected = (torch.tril(a.double()) * 0.5) @ torch.exp(b.double())[index]
    check(group, expected, [a, index, b], 200)


def test_epilogue_reads_and_writes_several_buffers() -> None:
    """A residual and both the sum and the activation kept; the second map reads the first."""
    group = matmul(26, 50, 300, epilogue="")
    contract = group.ops[0]
    assert isinstance(contract, Contract)
    sums, res = contract.out, Buffer("res", (26, 50), DType.BF16)
    mid, top = Buffer("mid", (26, 50), DType.F32), Buffer("top", (26, 50), DType.BF16)
    p, q = Axis("p", 26), Axis("q", 50)
    at = (Index("p"), Index("q"))
    first = Map(mid, (p, q), apply("add", load(sums, *at), load(res, *at)))
    second = Map(top, (p, q), apply("max", load(mid, *at), load(sums, *at)))
    group = Group("g", (contract, first, second), (*group.inputs, res), (sums, top))
    x, y = torch.randn(26, 300), torch.randn(300, 50)
    r = torch.randn(26, 50).bfloat16()
    got = standalone(group, {"kc": 128}, template=TEMPLATE).call([x, y, r])
    want = x.double() @ y.double()
    torch.testing.assert_close(got[0].double(), want, rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(got[1].double(), torch.maximum(want, want + r.double()), rtol=1e-2, atol=1e-2)


def test_neighbours_of_the_result_are_left_to_others() -> None:
    """A map that reads the sums anywhere but at its own element is not this kernel's."""
    group = matmul(8, 8, 8)
    contract = group.ops[0]
    assert isinstance(contract, Contract)
    turned = Map(Buffer("o", (8, 8), DType.F32), contract.axes, load(contract.out, J, I))
    assert not TEMPLATE.accepts(Group("g", (contract, turned), group.inputs, (turned.out,)))


@pytest.mark.parametrize("dtype", [DType.F32, DType.F64], ids=str)
@pytest.mark.parametrize("parallel", ["m", "n", "grid", "k", "batch"])
def test_threads_share_the_work_not_the_scratch(dtype: DType, parallel: str) -> None:
    group = matmul(37, 41, 150, batch=2, ta=True, dtype=dtype, epilogue="bias")
    inputs = draw(group)
    choices = {"parallel": parallel, "algorithm": "panel", "mr": 4, "nv": 1, "pack_a": True, "pack_b": True}
    want = expect(group, inputs, ta=True, epilogue="bias")
    check(group, want, inputs, 150, choices=choices, threads=3)


@pytest.mark.parametrize(
    "shape,expected",
    [
        ((40, 200, 8192), {"algorithm": "panel", "pack_a": False, "pack_b": False, "kc": 512}),  # few rows: B is not copied
        ((40, 4096, 2048), {"pack_a": True, "pack_b": False, "kc": 64}),  # rows of B far apart
        ((2048, 2048, 32), {"algorithm": "panel"}),  # stores outweigh the products
        ((2048, 2048, 128), {"algorithm": "amx", "amx_k": 512}),
        ((96, 80, 65536), {"algorithm": "amx", "amx_k": 1024}),  # all sums wait for the next block of k
    ],
    ids=str,
)  # fmt: skip
def test_first_choices_by_shape(shape: tuple[int, int, int], expected: dict[str, object]) -> None:
    chip = replace(TILES, l1_bytes=48 << 10, l2_bytes=2 << 20, l3_bytes=64 << 20)
    chosen = {d.name: d.default for d in TEMPLATE.decisions(matmul(*shape), chip, 1)}
    assert {name: chosen[name] for name in expected} == expected
