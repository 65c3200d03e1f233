"""The math functions of generated code: accurate over all of float32, right at the edges, and vectorized."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from kerf.kernels.codegen.mathlib import helpers, prelude
from kerf.kernels.ir import BOOL_OPS, OPS
from kerf.toolchain.compilers import compile_library

FLAGS = ["-O3", "-std=gnu11", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fopenmp"]
LIMITS = {
    "exp": 1.5, "exp2": 1.5, "expm1": 2, "log": 1.5, "log2": 2.5, "log10": 2.5, "log1p": 2, "tanh": 2.5, "erf": 5.5, "sigmoid": 2.5,
    "sinh": 2.5, "cosh": 2, "atan": 2, "erfc": 1, "sin": 1.6, "cos": 1.6, "tan": 1, "asin": 1, "acos": 1, "asinh": 1, "acosh": 1,
    "atanh": 1, "sqrt": 0.51, "rsqrt": 1.5,
}  # fmt: skip
EXACT = ("abs", "sign", "floor", "ceil", "trunc", "round")
REFERENCE = {"sigmoid": torch.sigmoid, "rsqrt": torch.rsqrt}


def compiled(call: str, source: str = "float", target: str = "float", flags=("-march=native",)):
    body = (
        f"void go(const {source} *restrict x, const {source} *restrict y, {target} *restrict out, long n) {{\n"
        f"#pragma omp simd\n    for (long i = 0; i < n; i++) out[i] = {call};\n    (void)y;\n}}\n"
    )
    build = compile_library(prelude(body) + body, [*FLAGS, *flags])
    assert build.library, build.log
    library = ctypes.CDLL(str(build.library))

    def run(x: torch.Tensor, y: torch.Tensor | None = None, dtype: torch.dtype | None = None) -> torch.Tensor:
        out = torch.empty(x.shape, dtype=dtype or x.dtype)
        pointers = [ctypes.c_void_p(t.data_ptr()) for t in (x, x if y is None else y, out)]
        library.go(*pointers, ctypes.c_long(x.numel()))
        return out

    return run


def points(n: int = 200_000) -> torch.Tensor:
    """Random bit patterns (every exponent, subnormals, NaNs), values of ordinary size, and edges."""
    g = torch.Generator().manual_seed(1)
    bits = (
        torch.randint(-(2**31), 2**31 - 1, (n,), generator=g, dtype=torch.int64)
        .to(torch.int32)
        .view(torch.float32)
    )
    usual = torch.randn(n, generator=g) * torch.tensor([0.1, 1.0, 10.0, 60.0]).repeat(n // 4)
    inf, nan = float("inf"), float("nan")
    edges = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        inf,
        -inf,
        nan,
        1e-45,
        -1e-45,
        88.72,
        88.73,
        -103.9,
        -104.1,
        3.4e38,
        -3.4e38,
        0.5,
        9.02,
        -9.02,
        128.0,
        -150.0,
    ]
    return torch.cat([torch.tensor(edges), bits, usual])


def error(got: torch.Tensor, exact: torch.Tensor) -> float:
    """Largest error in units in the last place; infinities and NaNs must agree."""
    want = exact.float()
    finite = torch.isfinite(want) & torch.isfinite(got)
    assert torch.equal(got[~finite].nan_to_num(nan=7.5), want[~finite].nan_to_num(nan=7.5))
    want, got, exact = want[finite], got[finite], exact[finite]
    step = torch.nextafter(want.abs(), torch.tensor(float("inf"))) - want.abs()
    step = torch.where(step.isfinite(), step, torch.tensor(2.0**104)).double().clamp_min(2.0**-149)
    return float(((got.double() - exact).abs() / step).max())


@pytest.mark.parametrize("name", LIMITS)
def test_functions_are_within_their_error_bound_over_all_of_float32(name):
    x = points()
    if name == "sigmoid":  # results below 2^-126 may be flushed: torch's own are
        x = x[~(x < -86)]
    exact = getattr(torch, name)(x.double())
    assert error(compiled(f"kf_{name}(x[i])")(x), exact) <= LIMITS[name]


@pytest.mark.parametrize("name", EXACT)
def test_rounding_is_exact(name):
    x = points(20_000)
    assert error(compiled(f"kf_{name}(x[i])")(x), getattr(torch, name)(x.double())) == 0


@pytest.mark.parametrize("name", ["pow", "atan2"])
def test_functions_of_two_values_match_float64_at_signs_zeros_and_infinities(name):
    inf, nan = float("inf"), float("nan")
    ends = torch.tensor([0.0, -0.0, 1, -1, inf, -inf, nan, 2, -2, 3, -3, 0.5, -0.5, 1e-45, -1e-45, 3e38])
    x = points(40_000) * 1.0  # a signalling NaN would not survive the way to float64
    y = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(2))]
    y[::3] = y[::3].round().clamp(-9, 9)
    x, y = torch.cat([ends.repeat_interleave(len(ends)), x]), torch.cat([ends.repeat(len(ends)), y])
    got, exact = compiled(f"kf_{name}(x[i], y[i])")(x, y), getattr(torch, name)(x.double(), y.double())
    assert error(got, exact) <= 1
    zero = (got == 0) & (exact.float() == 0)
    assert torch.equal(got.signbit()[zero], exact.signbit()[zero])


@pytest.mark.parametrize(
    ("name", "like"), [("mod", torch.remainder), ("fmod", torch.fmod), ("floordiv", torch.floor_divide)]
)
def test_division_with_remainder_follows_torch(name, like):
    g = torch.Generator().manual_seed(3)
    x, y = torch.randn(5000, generator=g) * 50, torch.randn(5000, generator=g).round() * 1.5
    torch.testing.assert_close(
        compiled(f"kf_{name}(x[i], y[i])")(x, y), like(x, y), rtol=0, atol=0, equal_nan=True
    )
    i, j = (
        torch.randint(-50, 50, (999,), generator=g),
        torch.randint(1, 9, (999,), generator=g) * torch.tensor([1, -1, 1]).repeat(333),
    )
    got = compiled(f"kf_{name}_i64(x[i], y[i])", "int64_t", "int64_t")(i, j)
    assert torch.equal(got, like(i, j))


def test_max_and_min_let_nan_through():
    x, y = points(3000), points(3000).flip(0)
    for name, like in (("max", torch.maximum), ("min", torch.minimum)):
        torch.testing.assert_close(
            compiled(f"kf_{name}(x[i], y[i])")(x, y), like(x, y), rtol=0, atol=0, equal_nan=True
        )


@pytest.mark.parametrize(("name", "dtype"), [("bf16", torch.bfloat16), ("f16", torch.float16)])
def test_half_precision_storage_converts_as_torch_does(name, dtype):
    every = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16)
    up = compiled(f"kf_from_{name}(x[i])", f"kf_{name}")(every, dtype=torch.float32)
    assert torch.equal(up.nan_to_num(nan=1.25), every.view(dtype).float().nan_to_num(nan=1.25))
    x = torch.cat([points(), up, torch.nextafter(up, torch.tensor(0.0)), (up + up.roll(1)) / 2])
    down = compiled(f"kf_to_{name}(x[i])", target=f"kf_{name}")(x, dtype=torch.int16).view(dtype)
    torch.testing.assert_close(down, x.to(dtype), rtol=0, atol=0, equal_nan=True)


def test_every_op_of_the_ir_has_its_helpers():
    infix = {
        "add",
        "sub",
        "mul",
        "div",
        "lt",
        "le",
        "gt",
        "ge",
        "eq",
        "ne",
        "and",
        "or",
        "xor",
        "bitand",
        "bitor",
        "bitxor",
        "shl",
        "shr",
        "neg",
        "not",
        "bitnot",
        "cast",
        "select",
        "recip",
    }
    known = helpers()
    for op in set(OPS) - infix:
        assert f"kf_{op}" in known and f"kf_{op}_f64" in known, op
    for op in ("abs", "sign", "floordiv", "mod", "fmod", "pow", "max", "min", "div"):
        assert f"kf_{op}_i64" in known
    assert {"isnan", "isinf"} <= BOOL_OPS


def test_only_what_is_named_is_included():
    text = prelude("y = kf_sigmoid(x);")
    assert (
        "kf_exp_twice" in text
        and "extern const float kf_unseen" in text
        and "kf_log" not in text
        and "typedef" not in text
    )
    with pytest.raises(KeyError, match="kf_nonsense"):
        prelude("kf_nonsense(1)")


@pytest.mark.skipif(shutil.which("gcc") is None, reason="asks gcc what it vectorized")
@pytest.mark.parametrize(
    "flags", [("-march=x86-64-v4", "-mprefer-vector-width=512"), ("-march=x86-64-v3",), ("-march=x86-64",)]
)
def test_compilers_vectorize_them_at_every_width(flags, tmp_path: Path):
    if subprocess.run(["uname", "-m"], capture_output=True, text=True).stdout.strip() != "x86_64":
        pytest.skip("flags of x86-64")
    names = [
        "exp",
        "exp2",
        "expm1",
        "log",
        "log1p",
        "tanh",
        "erf",
        "sigmoid",
        "atan",
        "sinh",
        "cosh",
        "sqrt",
        "rsqrt",
        "from_bf16",
        "from_f16",
    ]
    if flags[0] != "-march=x86-64":  # which cannot round to whole numbers
        names += ["sin", "cos", "tan", "asin", "acos", "asinh", "acosh", "atanh", "erfc"]
    body = "".join(
        f"void go_{n}(const {'kf_' + n[5:] if n.startswith('from') else 'float'} *restrict x, float *restrict out, long n) {{\n"
        f"#pragma omp simd\nfor (long i = 0; i < n; i++) out[i] = kf_{n}(x[i]); }}\n"
        for n in names
    )
    body += "void go_to(const float *restrict x, kf_bf16 *restrict out, long n) {\n#pragma omp simd\nfor (long i = 0; i < n; i++) out[i] = kf_to_bf16(x[i]); }\n"
    body += (  # what is stored between two uses of a bound changes none
        "void go_twice(const float *restrict x, float *restrict out, float *restrict c, long n) {\n#pragma omp simd\n"
        "for (long i = 0; i < n; i++) { out[i] = kf_sigmoid(x[i]) * c[i]; c[i] = kf_sigmoid(x[i]) * c[i]; } }\n"
    )
    if flags[0] != "-march=x86-64":
        names += ["pow"]
        body += "void go_pow(const float *restrict x, float *restrict out, long n) {\n#pragma omp simd\nfor (long i = 0; i < n; i++) out[i] = kf_pow(x[i], 2.4f); }\n"
    source = tmp_path / "all.c"
    source.write_text(prelude(body) + body)
    said = subprocess.run(
        ["gcc", *FLAGS, *flags, "-fopt-info-vec", "-c", str(source), "-o", "/dev/null"],
        capture_output=True,
        text=True,
    )
    loops = {line.split(":")[1] for line in said.stderr.splitlines() if "loop vectorized" in line}
    assert len(loops) >= len(names) + 2, said.stderr


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_sines_of_small_arguments_are_as_accurate_as_of_all(name):
    g = torch.Generator().manual_seed(3)
    scale = torch.tensor([1.0, 30.0, 1000.0, 131071.0]).repeat(50_000)
    x = (torch.rand(200_000, generator=g) * 2 - 1) * scale
    quarters = torch.randint(-83_000, 83_000, (100_000,), generator=g).double() * (torch.pi / 2)
    x = torch.cat([x, quarters.float(), torch.tensor([0.0, -0.0, 1e-45, -1e-45])])
    exact = getattr(torch, name)(x.double())
    assert error(compiled(f"kf_{name}_near(x[i])")(x), exact) <= LIMITS[name]


def test_softplus_and_its_tanh_are_accurate_over_all_of_float32():
    x = points()
    x = x[~(x < -86)]  # results below 2^-126 may be flushed
    soft = torch.nn.functional.softplus(x.double(), threshold=1000)
    soft = torch.where(x > 700, x.double(), soft)
    assert error(compiled("kf_softplus(x[i])")(x), soft) <= 3
    assert error(compiled("kf_tanh_softplus(x[i])")(x), soft.tanh()) <= 4


@pytest.mark.parametrize(
    ("call", "low", "high"),
    [("kf_clip(x[i], -2.5f, 1.5f)", -2.5, 1.5), ("kf_clip(x[i], 0.0f, 6.0f)", 0.0, 6.0), ("kf_clip(x[i], 2.0f, -1.0f)", 2.0, -1.0),
     ("kf_at_least(x[i], 0.0f)", 0.0, None), ("kf_at_most(x[i], -1.0f)", None, -1.0),
     ("kf_min(kf_max(x[i], 0.5f), 2.0f)", 0.5, 2.0)],
)  # fmt: skip
def test_clamps_let_nan_through(call, low, high):
    x = points()
    torch.testing.assert_close(compiled(call)(x), x.clamp(low, high), rtol=0, atol=0, equal_nan=True)
