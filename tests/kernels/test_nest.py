"""Loop nests against torch: odd sizes, NaN and infinity, narrow storage, two threads, every decision."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from kerf.kernels.codegen.nest import TEMPLATE
from kerf.kernels.codegen.nest.index import expression, form
from kerf.kernels.codegen.nest.phase import phases
from kerf.kernels.codegen.standalone import TORCH_DTYPE, standalone
from kerf.kernels.fuse import fuse
from kerf.kernels.interpret import bind
from kerf.kernels.ir import Affine, Axis, Buffer, DType, Group, Index, Load, Reduce, apply, const_index
from kerf.kernels.lower import lower_module
from kerf.kernels.targets.cpu import native

FEW = settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


class Of(nn.Module):
    def __init__(self, f, *parts):
        super().__init__()
        self.f, self.parts = f, nn.ModuleList(parts)

    def forward(self, *inputs):
        return self.f(*inputs, *self.parts)


def ours(module, inputs, threads=1, choices=None):
    """The module's results by generated kernels alone."""
    program = lower_module(module, inputs)
    memory = bind(program, module, inputs)
    for group in fuse(program):
        kernel = standalone(group, choices or {}, threads=threads, template=TEMPLATE)
        outputs = [torch.full(b.shape, 77, dtype=TORCH_DTYPE[b.dtype]) for b in group.outputs]
        kernel.bind([memory[b.name].contiguous() for b in group.inputs], outputs)()
        memory.update({b.name: t for b, t in zip(group.outputs, outputs, strict=True)})
    return [memory[name] for name in program.outputs]


def agree(f, inputs, *parts, threads=1, choices=None, **tolerance):
    module = Of(f, *parts)
    with torch.no_grad():
        got = ours(module, inputs, threads, choices)
        want = module(*inputs)
    for g, w in zip(got, [want] if isinstance(want, torch.Tensor) else want, strict=True):
        torch.testing.assert_close(g.reshape(w.shape), w, equal_nan=True, **tolerance)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


CASES = {
    "gelu": (F.gelu, [(9, 101)]),
    "mish": (lambda x: F.mish(x * 9), [(9, 101)]),
    "softmax over a middle dimension": (lambda x: x.softmax(1), [(3, 17, 5, 7)]),
    "log softmax": (lambda x: F.log_softmax(x, -1), [(5, 130)]),
    "log-sum-exp": (lambda x: torch.logsumexp(x, 1), [(5, 37, 3)]),
    "layer norm": (lambda x, m: m(x), [(4, 6, 10, 11)], lambda: nn.LayerNorm((6, 10, 11))),
    "rms norm over channels": (
        lambda x: x / torch.sqrt((x**2).mean(1, keepdim=True) + 1e-5),
        [(3, 17, 5, 7)],
    ),
    "batch norm": (lambda x, m: m(x), [(3, 5, 7, 9)], lambda: nn.BatchNorm2d(5)),
    "batch norm of columns": (lambda x, m: m(x), [(33, 70)], lambda: nn.BatchNorm1d(70)),
    "group norm": (lambda x, m: m(x), [(3, 8, 7, 9)], lambda: nn.GroupNorm(4, 8)),
    "instance norm": (lambda x, m: m(x), [(3, 8, 7, 9)], lambda: nn.InstanceNorm2d(8)),
    "Frobenius norm": (lambda x: x / torch.norm(x, p="fro"), [(3, 8, 7, 9)]),
    "mean squared error": (lambda x, y: torch.mean((x - y) ** 2), [(9, 1031), (9, 1031)]),
    "cosine loss": (lambda x, y: torch.mean(1 - F.cosine_similarity(x, y, dim=1)), [(9, 101), (9, 101)]),
    "hinge with a broadcast target": (lambda x, y: torch.clamp(1 - x * y, min=0).mean(), [(9, 7), (7,)]),
    "triplet": (lambda a, p, n: F.triplet_margin_loss(a, p, n), [(9, 101), (9, 101), (9, 101)]),
    "argmax of everything": (lambda x: torch.argmax(x), [(3, 17, 150)]),
    "maximum and where": (lambda x: (x.max(1)[0], x.argmin(2)), [(5, 33, 70)]),
    "variance": (lambda x: x.var((0, 2)), [(5, 33, 7)]),
    "product": (lambda x: x.prod(1), [(3, 17, 9)]),
    "any and all": (lambda x: ((x > 1).any(1), (x < 2).all(2)), [(3, 17, 9)]),
    "transposed sum": (lambda x, y: x.permute(2, 0, 1) + y, [(3, 17, 9), (9, 3, 17)]),
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", CASES)
def test_nests_agree_with_torch(name, threads):
    f, shapes, *part = CASES[name]
    agree(f, [randn(*s, seed=i) for i, s in enumerate(shapes)], *(p() for p in part), threads=threads)


def test_cross_entropy_gathers_its_targets():
    agree(lambda x, y: F.cross_entropy(x, y), [randn(9, 101), torch.arange(9) * 11])


@FEW
@given(st.lists(st.sampled_from([1, 2, 3, 7, 16, 37, 65]), min_size=1, max_size=3), st.data())
def test_softmax_of_any_shape_over_any_dimension(shape, data):
    dim = data.draw(st.integers(0, len(shape) - 1))
    agree(lambda x: x.softmax(dim), [randn(*shape) * 3])


@FEW
@given(st.lists(st.sampled_from([1, 2, 5, 31, 67]), min_size=1, max_size=3), st.data())
def test_arguments_of_extremes_with_ties_and_nan(shape, data):
    dim = data.draw(st.integers(0, len(shape) - 1))
    x = randn(*shape).mul(2).round()
    x[x > 3] = float("nan")
    x[x == -2] = float("-inf")
    agree(lambda x: (x.argmax(dim), x.argmin(dim), x.amax(dim), x.amin(dim)), [x])


@pytest.mark.parametrize("kind", ["amax", "amin", "sum", "mean"])
def test_nan_and_infinity_pass_through_reductions(kind):
    x = randn(6, 300)
    x[1, 200], x[2, 3], x[3, 77] = float("nan"), float("inf"), float("-inf")
    agree(lambda x: (getattr(x, kind)(1), getattr(x, kind)(0)), [x])


@pytest.mark.parametrize(
    ("dtype", "slack"), [(torch.bfloat16, 1e-2), (torch.float16, 1e-3), (torch.float64, 1e-12)]
)
def test_other_storage_types(dtype, slack):
    agree(lambda x: x.softmax(-1), [randn(7, 77).to(dtype)], rtol=slack, atol=slack / 10)
    agree(F.gelu, [randn(7, 77).to(dtype)], rtol=slack, atol=slack / 10)


def test_what_is_rounded_by_rows_is_divided_not_multiplied():
    def quantized(x):
        return torch.round(x / (x.abs().amax(-1, keepdim=True) / 127)).to(torch.int8)

    halves = torch.arange(-126.5, 128).clamp(max=127)  # each but the last lies between two whole numbers
    agree(quantized, [halves * torch.arange(1.0, 90.0)[:, None] / 127], rtol=0, atol=0)


def test_integers_are_exact():
    x = torch.arange(5 * 33).reshape(5, 33) * 12345678901
    agree(lambda x: (x.sum(1), x.amax(0), x // 7 % 5), [x])


@pytest.mark.parametrize(
    "f", [lambda x: x.softmax(1), lambda x: x.softmax(-1), lambda x: F.layer_norm(x, (700,))]
)
def test_every_answer_to_every_decision_is_right(f):
    x = randn(6, 37, 700)
    group = fuse(lower_module(Of(f), [x]))[0]
    for decision in TEMPLATE.decisions(group, native(), 1):
        for value in decision.choices:
            agree(f, [x], choices={decision.name: value})


def test_a_softmax_is_one_phase_and_a_global_norm_two():
    def count(f):
        return [len(phases(g)) for g in fuse(lower_module(Of(f), [randn(4, 6, 5)]))]

    assert count(lambda x: x.softmax(1)) == [1]
    assert sum(count(lambda x: x / x.norm())) == 2


ROWS = {
    "rows looked up": (lambda w, i: w[i].sum(1), [(50, 24), (7, 5)]),
    "a matrix that all results share": (
        lambda t, a: (a.float()[:, :, None] + t).logsumexp(1),
        [(9, 24), (7, 9)],
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_rows_are_joined_along_their_elements(name):
    f, (table, index) = ROWS[name]
    inputs = [randn(*table), torch.randint(0, 50, index)]
    agree(f, inputs)
    group = next(g for g in fuse(lower_module(Of(f), inputs)) if isinstance(g, Group))
    found = phases(group)[0]
    assert found.axes[-1].name not in found.reduced and found.axes[-1].extent == 24


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags_of_embeddings_are_nests(mode):
    bag = nn.EmbeddingBag(31, 24, mode=mode)
    agree(lambda i, bag: bag(i), [torch.randint(0, 31, (7, 5))], bag)
    agree(lambda i, bag: bag(i, torch.arange(0, 35, 7)), [torch.randint(0, 31, (35,))], bag)


def test_rows_to_be_looked_up_are_fetched_ahead_within_the_indices():
    table, index = randn(4000, 24), torch.randint(0, 4000, (7, 5))
    code = source(lambda w, i: w[i].sum(1), [table, index])
    assert "__builtin_prefetch(p_in_inputs_0" in code and "+ 8), 34)" in code
    agree(lambda w, i: w[i].sum(1), [table, index])


def test_a_group_of_several_phases_keeps_its_values_between_them():
    x = randn(300, 40)
    program = lower_module(Of(lambda x: x / x.norm() + x.sum(0)), [x])
    ops = tuple(op for g in fuse(program) for op in g.ops)
    group = Group(
        "k0",
        ops,
        tuple(program.buffers[n] for n in program.inputs),
        tuple(program.buffers[n] for n in program.outputs),
    )
    for threads in (1, 2):
        got = standalone(group, threads=threads, template=TEMPLATE).call([x])[0]
        torch.testing.assert_close(got, x / x.norm() + x.sum(0))


def test_index_arithmetic_is_seen_through():
    extents = {"g": 4, "c": 8}
    flat = apply("add", apply("mul", Index("g"), const_index(8)), Index("c"))
    assert form(apply("floordiv", flat, const_index(8)), extents) == Affine(0, {"g": 1})
    assert form(apply("mod", flat, const_index(8)), extents) == Affine(0, {"c": 1})
    assert form(apply("mod", flat, const_index(5)), extents) is None
    assert form(expression(Affine(3, {"g": 8, "c": 1})), extents) == Affine(3, {"g": 8, "c": 1})


def test_an_argmax_position_counts_in_the_order_of_the_reduced_axes():
    x = Buffer("x", (5, 9), DType.F32)
    out = Buffer("out", (), DType.I64)
    swapped = Reduce(
        out, (), (Axis("b", 9), Axis("a", 5)), "argmax", Load("x", (Index("a"), Index("b")), DType.F32)
    )
    value = randn(5, 9).round()
    got = standalone(Group("k0", (swapped,), (x,), (out,)), template=TEMPLATE).call([value])[0]
    assert got == value.t().argmax()


@pytest.mark.parametrize("cut", [0, 20, 60])
def test_chains_cut_into_several_loops_keep_their_value(cut):
    x = torch.cat(
        [
            torch.randn(3001) * 8,
            torch.tensor([0.0, -0.0, 200.0, -200.0, float("inf"), -float("inf"), float("nan")]),
        ]
    )
    agree(
        lambda x: torch.tanh(F.mish(x) * torch.sigmoid(x)) + torch.exp(-torch.log1p(F.softplus(x))),
        [x],
        choices={"cut": cut},
    )


@pytest.mark.parametrize("cut", [0, 20, 60])
def test_a_condition_may_read_what_an_earlier_loop_has_made(cut):
    x = torch.randn(67, 61)
    agree(
        lambda x: torch.where(torch.tanh(x) > 0.1, torch.tanh(x) * torch.exp(-x * x), 1.0) * torch.sin(x),
        [x],
        choices={"cut": cut},
    )


@pytest.mark.parametrize("unroll", [1, 4, 12])
def test_rows_done_together_reduce_alike(unroll):
    x = torch.randn(3, 37, 67)
    x[1, 5, 3] = float("nan")
    for f in (lambda x: x.max(1)[0], lambda x: x.argmin(1), lambda x: x.sum(1), lambda x: x.softmax(1)):
        agree(f, [x], choices={"unroll": unroll})


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("unroll", [1, 8])
def test_wide_columns_at_any_alignment(threads, unroll):
    x = randn(2, 29, 1031)
    x[1, 5, 1030], x[0, 0, 0], x[1, 7, 333] = float("nan"), float("inf"), -float("inf")
    for dtype in (torch.float32, torch.bfloat16):
        for f in (
            lambda x: x.max(1)[0],
            lambda x: x.argmax(1),
            lambda x: x.float().sum(1),
            lambda x: x.float().var(1),
        ):
            agree(f, [x.to(dtype)], threads=threads, choices={"unroll": unroll})


@pytest.mark.parametrize("choices", [{}, {"unroll": 1}, {"variance": "two_sweeps"}])
def test_long_columns_lose_no_digits(choices):
    x = torch.full((2, 3001, 1, 70), 0.1) + torch.arange(70) * 1e-4
    x[:, ::7] += 1000
    wanted = x.double()
    for f in (lambda x: x.mean((0, 1)), lambda x: x.var((0, 1)), lambda x: x.sum(1), lambda x: x.var(1)):
        module = Of(f)
        got = ours(module, [x], choices=choices)[0]
        torch.testing.assert_close(got.reshape(f(wanted).shape).double(), f(wanted), rtol=4e-6, atol=0)


@pytest.mark.parametrize("n", [1, 15, 100, 40001])
def test_rows_of_any_length_are_streamed_and_fetched_ahead(n):
    x = randn(70000 // n + 1, n)
    for f in (lambda x: x.softmax(-1), lambda x: F.layer_norm(x, (n,))):
        agree(f, [x], choices={"stream": True, "prefetch": True, "lanes": 16})


@pytest.mark.parametrize("threads", [1, 2])
def test_variances_of_long_rows_take_one_sweep(threads):
    x = randn(3, 8, 37, 41) + 100
    agree(lambda x: F.group_norm(x, 1), [x], threads=threads, atol=1e-4, rtol=1e-4)
    agree(lambda x: x.flatten(1).var(1), [x], threads=threads, rtol=1e-5, atol=1e-5)
    x[1, 2, 3, 4] = float("nan")
    agree(lambda x: (x - 100).flatten(1).exp().var(1), [x], threads=threads, rtol=1e-5, atol=1e-5)


def test_logsumexp_of_infinities():
    x = randn(6, 70) * 60
    x[0], x[1, 5], x[2, :40], x[3, 3] = float("-inf"), float("inf"), float("-inf"), float("nan")
    agree(lambda x: (torch.logsumexp(x, 1), torch.logsumexp(x, 0), x.softmax(1)), [x])


def test_long_sums_are_as_exact_as_short_ones():
    x = torch.rand(3, 3_000_001)
    want = x.double().sum(1).float()
    group = fuse(lower_module(Of(lambda x: x.sum(1)), [x]))[0]
    torch.testing.assert_close(standalone(group, template=TEMPLATE).call([x])[0], want, rtol=3e-7, atol=0)


GATES = {
    "silu": lambda x: x * torch.sigmoid(x),
    "gelu": lambda x: 0.5 * x * (1 + torch.tanh(0.7978845608 * (x + 0.044715 * x**3))),
    "written out": lambda x: x / (1 + torch.exp(-x)) + (torch.tanh(x) + 1.0) * 3,
}


@pytest.mark.parametrize("f", GATES.values(), ids=GATES)
def test_gates_in_closed_form_keep_their_value_at_the_ends(f):
    ends = [
        0.0,
        -0.0,
        1e-30,
        20.0,
        -20.0,
        88.0,
        -88.0,
        1e10,
        -1e10,
        float("inf"),
        -float("inf"),
        float("nan"),
    ]
    agree(f, [torch.cat([torch.tensor(ends), randn(500) * 3])], rtol=3e-6, atol=3e-7)


def test_statistics_of_a_concatenation_fetch_only_what_their_loop_reaches():
    inputs = [randn(2, 16, 14, 14), randn(2, 8, 14, 14, seed=1)]
    agree(lambda x, y, norm: norm(torch.cat([x, y], 1)), inputs, nn.BatchNorm2d(24), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 5, 70), (1, 9, 1031), (2, 3, 7, 300)])
@pytest.mark.parametrize("block", [64, 256])
def test_tiles_of_columns_are_fetched_ahead(shape, block):
    x = randn(*shape)
    x.view(-1)[[0, -1]] = torch.tensor([float("inf"), float("nan")])
    for dtype, f in (
        (torch.float32, lambda x: x.softmax(1)),
        (torch.bfloat16, lambda x: x.float().log_softmax(1)),
        (torch.float32, lambda x: x * (x * x).mean(1, keepdim=True).rsqrt()),
    ):
        agree(
            f, [x.to(dtype)], choices={"prefetch": True, "block": block, "unroll": 4, "stream": block == 256}
        )


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("block", [64, 256])
def test_streams_through_memory_are_asked_for_ahead(threads, block):
    choices = {"ahead": 4096, "block": block, "lanes": 32, "stream": True, "cut": 20}
    for n in (7, 1031, 71003):
        x, y = randn(71003 // n + 1, n), randn(71003 // n + 1, n, seed=1)
        x[0, 0], y[-1, -1] = float("nan"), float("inf")
        for f in (
            lambda x, y: torch.tanh(F.gelu(x)) * y,
            lambda x, y: (x - y).amax(1),
            lambda x, y: F.layer_norm(x * y, x.shape[1:]),
        ):
            agree(f, [x, y], threads=threads, choices=choices, rtol=1e-4, atol=1e-5)
    assert "__builtin_prefetch(p_in_inputs_0 + (i1_0 + 1024)" in source(
        lambda x: F.gelu(x), [randn(300, 300)], choices
    )


def test_streamed_columns_leave_in_runs_that_end_with_a_line():
    choices = {"block": 256, "stream": True}
    x = randn(40, 5, 301)
    f = lambda x: x * (x * x).mean(1, keepdim=True).rsqrt()  # noqa: E731
    agree(f, [x], choices=choices)
    runs = source(f, [x], choices)
    assert "from + 64 - (from ? 0 : (long)((uintptr_t)(p_out" in runs and "(end - from) * sizeof" in runs


def test_norms_fetch_the_next_piece_in_both_readings_of_this_one():
    text = source(lambda x: F.instance_norm(x), [randn(2, 3, 200, 201)], {"ahead": 4096, "lanes": 32})
    fetches = [line.strip() for line in text.splitlines() if "__builtin_prefetch(n_in" in line]
    assert len(fetches) == 2 and fetches[0] != fetches[1]


def test_whole_rows_that_are_reduced_over_columns_are_fetched_ahead():
    choices = {"ahead": 4096, "block": 512}
    assert "__builtin_prefetch" in source(lambda x: x.argmax(1), [randn(4, 300, 301)], choices)
    assert "__builtin_prefetch" not in source(
        lambda x: x.argmax(1), [randn(4, 300, 301)], {**choices, "ahead": 0}
    )


def test_a_condition_does_not_hold_up_loads_that_are_safe_without_it():
    """A masked vector load waits for its mask: a divergence that skips zeros took four times as long. Padding must stay guarded."""
    inputs = [randn(40, 50), randn(40, 50, seed=1)]
    inputs[0][3] = 0
    agree(lambda x, y: torch.where(x == 0, 0.0, x * y), inputs)
    assert "? 0.0f : (p_in" not in source(lambda x, y: torch.where(x == 0, 0.0, x * y), inputs)
    padded = source(lambda x: F.pad(x, (1, 1)) * 2, inputs[:1])
    assert "? p_in_inputs_0[" in padded


def source(f, inputs, choices=None):
    """The C of a module that is one group."""
    (group,) = fuse(lower_module(Of(f), inputs))
    chip = native()
    return TEMPLATE.emit(group, choices or {}, chip, 1, "k").code
