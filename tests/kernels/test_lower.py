"""Modules through capture, lower, simplify and interpret give what the modules give."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tests.kernels.test_graph import Calls
from torch import nn

from kerf.kernels.graph import capture
from kerf.kernels.interpret import bind, interpret
from kerf.kernels.ir import (
    Attention,
    Contract,
    Conv,
    Library,
    Map,
    Pool,
    Program,
    Recurrent,
    Reduce,
    Scan,
    text,
)
from kerf.kernels.lower import lower, lower_module, matrix_unit
from kerf.kernels.rewrite import simplify
from kerf.kernels.targets.cpu import native
from kerf.kernels.tensors import inverse


def randn(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape) + sum(shape))).to(dtype)


def compare(module: nn.Module, *inputs: torch.Tensor, rtol: float = 1e-4) -> Program:
    """Native precision against the module, and the module's state after a training step."""
    program = lower_module(module, inputs)
    got = interpret(program, bind(program, module, inputs))
    after = copy.deepcopy(module)
    with torch.no_grad():
        expected = after(*[x.clone() for x in inputs])
    leaves = torch.utils._pytree.tree_leaves(expected)
    for name, want in zip(program.outputs, leaves, strict=True):
        order = program.buffers[name].order
        made = got[name].permute(inverse(order)) if order else got[name]
        made = torch.view_as_complex(made) if program.buffers[name].pairs else made
        assert made.shape == want.shape and made.dtype == want.dtype
        torch.testing.assert_close(made, want, rtol=rtol, atol=rtol, equal_nan=True)
    for name, key in program.updates.items():
        torch.testing.assert_close(got[name], after.state_dict()[key], rtol=1e-4, atol=1e-5)
    return program


def kinds(program: Program) -> list[type]:
    return [type(op) for op in program.ops]


def calls(fn, *inputs: torch.Tensor, rtol: float = 1e-4) -> Program:
    return compare(Calls(fn), *inputs, rtol=rtol)


ELEMENTWISE = {
    "gelu": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"), "mish": F.mish, "silu": F.silu, "selu": F.selu,
    "elu": F.elu, "celu": lambda x: F.celu(x, 0.7), "softplus": lambda x: F.softplus(x, 2.0, 1.0), "leaky": F.leaky_relu,
    "hardswish": F.hardswish, "hardsigmoid": F.hardsigmoid, "logsigmoid": F.logsigmoid, "softsign": F.softsign,
    "hardshrink": F.hardshrink, "softshrink": F.softshrink, "tanhshrink": F.tanhshrink, "relu6": F.relu6, "glu": F.glu,
    "clamp": lambda x: x.clamp(-0.5, 0.25), "powers": lambda x: x**2 + x.abs() ** 0.5 - x.abs() ** -1.5 + x**3,
    "where": lambda x: torch.where(x > 0, x.sqrt(), -x), "int_division": lambda x: (x * 10).int() // 3 + (x * 10).int() % 4,
    "promote": lambda x: (x > 0) * 2 + (x * 3).long() * 1.5, "round": lambda x: (x * 4).round() + x.trunc() + x.ceil(),
    "bool": lambda x: (x > 0) & ~(x > 1) | (x < -1), "remainder": lambda x: torch.remainder(x, 0.7) + torch.fmod(x, 0.7),
    "to_half": lambda x: (x.to(torch.bfloat16) * 1.0).float(), "in_place": lambda x: x.clone().add_(1).mul_(x).relu_(),
}  # fmt: skip


def all_of(cases, *inputs: torch.Tensor) -> Program:
    """Every case as one module with as many outputs: exporting costs far more than one case does."""
    return calls(lambda *x: tuple(fn(*x) for fn in cases.values()), *inputs)


def test_elementwise():
    x = torch.cat([randn(7, 12), torch.tensor([[0.0] * 4 + [3e4] * 4 + [-3e4] * 4])])
    assert set(kinds(all_of(ELEMENTWISE, x))) == {Map}


VIEWS = {
    "split": lambda x: torch.cat([p.flip(1) for p in x.split([2, 3, 1], 1)], 1),
    "stack": lambda x: torch.stack([x[:, 0], x[:, -1]], 1),
    "pad": lambda x: F.pad(x, (1, 2, 0, 1), value=3.0) + F.pad(x, (1, 2, 0, 1), mode="constant"),
    "reflect": lambda x: F.pad(x, (2, 1), mode="reflect"),
    "circular": lambda x: F.pad(x, (2, 1), mode="circular"),
    "roll": lambda x: torch.roll(x, (2, -1), (1, 2)),
    "triangles": lambda x: x.triu(1) - x.tril(-1),
    "diagonal": lambda x: x.diagonal(1, 1, 2) * 2 + torch.arange(4),
    "unfold": lambda x: x.unfold(1, 3, 2),
    "repeat": lambda x: x.repeat(2, 1, 3) + x.repeat_interleave(2, 0).repeat(1, 1, 3),
    "strided": lambda x: x[:, 1::2, ::3],
    "assign": lambda x: torch.slice_scatter(x, x[:, :2] * 2, 1, 3, 5),
    "split_dims": lambda x: x.reshape(2, 2, 3, 5).permute(1, 0, 3, 2) * 2,
    "merge_dims": lambda x: (x * 2 + x).reshape(4, 15),
    "pick": lambda x: x[:, torch.tensor([0, 2, -1])] + x.index_select(1, torch.tensor([1, 1, 3])),
    "gather": lambda x: x.gather(1, (x * 100).long() % 6),
    "nearest": lambda x: F.interpolate(x, scale_factor=2),
}


def test_views_cost_nothing():
    assert kinds(all_of(VIEWS, randn(2, 6, 5))) == [Map] * len(VIEWS)


@pytest.mark.parametrize(
    "fn", [lambda x: x.permute(0, 2, 1).reshape(2, -1), lambda x: F.pixel_shuffle(x.reshape(1, 4, 3, 5), 2)]
)
def test_a_reshape_that_is_not_affine_is_stored_once(fn):
    assert kinds(calls(fn, randn(2, 6, 5))) == [Map, Map]


def test_a_linear_layer_over_folded_dimensions_writes_its_final_shape():
    module = Calls(lambda x, w: F.linear(x.reshape(6, 5), w).reshape(2, 3, 4))
    assert kinds(compare(module, randn(2, 3, 5), randn(4, 5))) == [Contract]


REDUCTIONS = {
    "sum": lambda x: x.sum((0, 2)), "mean": lambda x: x.mean(1, keepdim=True), "all": lambda x: x.sum(), "prod": lambda x: x.prod(2),
    "max": lambda x: x.max(1), "argmin": lambda x: x.argmin(2), "argmax": lambda x: x.argmax(), "var": lambda x: torch.var(x + 1e3, 1),
    "std": lambda x: x.std((0, 1), unbiased=False), "norm1": lambda x: x.norm(1, dim=1), "norm2": lambda x: x.norm(dim=(1, 2)),
    "inf": lambda x: torch.linalg.vector_norm(x, float("inf"), dim=0), "p3": lambda x: torch.linalg.vector_norm(x, 3, dim=0),
    "lse": lambda x: torch.logsumexp(x * 50, (0, 2)), "any": lambda x: (x > 2).any(1), "count": lambda x: (x > 0).sum(1),
    "softmax": lambda x: (x * 40).softmax(1), "log_softmax": lambda x: (x * 40).log_softmax(0), "softmin": lambda x: F.softmin(x, 2),
    "normalize": lambda x: F.normalize(x, dim=1), "cosine": lambda x: F.cosine_similarity(x, x.roll(1, 0), dim=1),
    "adaptive": lambda x: F.adaptive_avg_pool1d(x, 3), "adaptive_max": lambda x: F.adaptive_max_pool1d(x, 2),
}  # fmt: skip


def test_reductions():
    assert set(kinds(all_of(REDUCTIONS, randn(3, 6, 5)))) == {Map, Reduce}


def test_nan_propagates_through_extremes():
    x = randn(3, 6)
    x[1, 2] = float("nan")
    calls(lambda v: (v.max(1).values, v.min(1).indices, v.relu(), v.clamp(-1, 1)), x)


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.LayerNorm((6, 5)), (2, 3, 6, 5)),
        (nn.RMSNorm(5), (2, 3, 5)),
        (nn.GroupNorm(2, 6), (2, 6, 5, 3)),
        (nn.GroupNorm(6, 6), (2, 6)),
        (nn.InstanceNorm2d(6, affine=True), (2, 6, 5, 3)),
        (nn.BatchNorm2d(6), (4, 6, 5, 3)),
        (nn.BatchNorm1d(6).eval(), (4, 6)),
    ],
)
def test_norms(module, shape):
    with torch.no_grad():
        for p in module.parameters():
            p.add_(randn(*p.shape) * 0.1)
    assert set(kinds(compare(module, randn(*shape) * 3 + 5))) <= {Map, Reduce}


LOSSES = {
    "mse": F.mse_loss, "l1": F.l1_loss, "smooth": lambda a, b: F.smooth_l1_loss(a, b, beta=0.3), "huber": lambda a, b: F.huber_loss(a, b, delta=0.4),
    "kl": lambda a, b: F.kl_div(a.log_softmax(1), b.softmax(1), reduction="batchmean"), "bce": lambda a, b: F.binary_cross_entropy_with_logits(a, b.sigmoid()),
    "soft": lambda a, b: F.cross_entropy(a, b.softmax(1)), "triplet": lambda a, b: F.triplet_margin_loss(a, b, a.flip(0)),
    "none": lambda a, b: F.mse_loss(a, b, reduction="none"), "hinge": lambda a, b: torch.mean(torch.clamp(1 - a * b.sign(), min=0)),
}  # fmt: skip


def test_losses():
    all_of(LOSSES, randn(5, 7), randn(5, 7).flip(0) * 1.5)


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"reduction": "sum"}, {"ignore_index": 2}])
def test_cross_entropy(options):
    target = torch.tensor([0, 2, 6, 3, 2])
    calls(lambda x, t: F.cross_entropy(x, t, **options), randn(5, 7), target)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_label_smoothing_with_class_weights(reduction):
    target = torch.tensor([[0, 2, 6], [3, 2, 2]])
    program = calls(
        lambda x, t, w: F.cross_entropy(x, t, w, label_smoothing=0.2, ignore_index=2, reduction=reduction),
        randn(2, 7, 3),
        target,
        randn(7).abs(),
    )
    assert Library not in kinds(program)


@pytest.mark.parametrize("log_input", [True, False])
def test_poisson_loss_with_the_term_that_approximates_the_factorial(log_input):
    target = torch.tensor([0.0, 1.0, 2.0, 7.0, 0.5])
    program = calls(
        lambda x, t: F.poisson_nll_loss(x, t, log_input=log_input, full=True), randn(5).abs(), target
    )
    assert Library not in kinds(program)


@pytest.mark.parametrize("options", [{}, {"full": True, "reduction": "sum"}, {"reduction": "none"}])
def test_gaussian_loss_asks_no_questions_about_variances(options):
    x, target, variance = randn(4, 5), randn(4, 5).flip(0), randn(4, 1).abs()
    calls(lambda a, b, v: F.gaussian_nll_loss(a, b, v, **options), x, target, variance)
    calls(lambda a, b, v: F.gaussian_nll_loss(a, b, v, **options), x, target, variance[:, 0])


def test_a_step_written_into_a_cache_is_a_select():
    cache, step, place = randn(2, 9, 3), randn(2, 2, 3), torch.tensor([-1, 4])
    program = calls(
        lambda x, s, i: (x.index_copy(1, i % 9, s), torch.ops.aten.index_put(x, (None, i), s)),
        cache,
        step,
        place,
    )
    assert Library not in kinds(program)
    rows = calls(lambda x, i: x.index_add(0, i, x) * 2, randn(5, 6), torch.tensor([0, 3, 3, 1, 2]))
    assert [op.target for op in rows.ops if isinstance(op, Library)] == ["aten.index_add.default"]


def test_buckets_of_values_that_no_edge_compares_with():
    edges, x = torch.linspace(-1, 1, 9), torch.tensor([-2.0, -1.0, 0.0, 0.3, 1.0, torch.nan, torch.inf])
    program = calls(lambda x, e: (torch.bucketize(x, e), torch.bucketize(x, e, right=True)), x, edges)
    assert Library not in kinds(program)


MATMULS = {
    "ta": lambda a, b: a.T @ b, "tb": lambda a, b: a.T @ b.T.contiguous().T, "batched": lambda a, b: a.reshape(1, 6, 4).mT @ b.expand(2, 6, 5),
    "einsum": lambda a, b: torch.einsum("ka,kb->ba", a, b), "vector": lambda a, b: a.T @ b[:, 0], "dot": lambda a, b: a[:, 0] @ b[:, 0],
    "addmm": lambda a, b: torch.addmm(b[0], a.T, b, beta=0.5, alpha=2.0), "lower": lambda a, b: torch.tril(a.T[:4, :4]) @ b[:4],
}  # fmt: skip


@pytest.mark.parametrize("name", MATMULS)
def test_matmuls_are_contractions(name):
    assert Contract in kinds(calls(MATMULS[name], randn(6, 4), randn(6, 5)))


def test_diagonal_matrices_are_not_built():
    assert kinds(calls(lambda a, b: torch.diag(a) @ b, randn(6), randn(6, 5))) == [Map]


def test_einsum_of_many_operands():
    calls(
        lambda a, b: torch.einsum(
            "bchn,bshn,bcs,bshp->bchp", a, b, a[..., 0, 0, None] * b[:, None, :, 0, 0], b
        ),
        randn(2, 3, 2, 4),
        randn(2, 5, 2, 4),
    )


def test_convolutional_network():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
            self.norm = nn.BatchNorm2d(8)
            self.depthwise = nn.Conv2d(8, 8, (3, 5), padding="same", groups=8)
            self.up = nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1, output_padding=1, dilation=1)
            self.head = nn.Linear(4 * 4 * 4, 5)

        def forward(self, x):
            y = F.relu(self.norm(self.stem(x)))
            y = self.up(y + self.depthwise(y))
            return self.head(F.avg_pool2d(F.max_pool2d(y, 2), 3, 2, 1, count_include_pad=False).flatten(1))

    program = compare(Net(), randn(2, 3, 16, 16))
    assert (
        kinds(program).count(Conv) == 3 and kinds(program).count(Pool) == 2 and Library not in kinds(program)
    )


@pytest.mark.parametrize("shape", [(2, 5, 3, 4), (5, 3, 4)])
def test_filters_of_one_value_over_channels_that_lie_side_by_side_are_a_product(shape):
    x = randn(*shape).movedim(-3, -1).contiguous().movedim(-1, -3)
    program = compare(nn.Sequential(nn.Conv2d(5, 6, 1), nn.ReLU(), nn.Conv2d(6, 3, 1, bias=False)), x)
    assert kinds(program).count(Contract) == 2 and Conv not in kinds(program)


def test_group_norm_of_a_product_over_channels_reads_along_channels():
    x = randn(2, 6, 5, 4).to(memory_format=torch.channels_last)
    program = compare(nn.Sequential(nn.Conv2d(6, 8, 1), nn.GroupNorm(2, 8)), x)
    assert any(isinstance(op, Reduce) and op.out.shape == (2, 8) for op in program.ops)  # one sum a channel


@pytest.mark.parametrize("spatial", [1, 3])
def test_windows_in_one_and_three_dimensions(spatial):
    conv = (nn.Conv1d, nn.Conv3d)[spatial // 2](4, 6, 3, groups=2, dilation=2)
    pool = (nn.AvgPool1d, nn.AvgPool3d)[spatial // 2](2)
    compare(nn.Sequential(conv, pool), randn(2, 4, *[9] * spatial))


def attention_by_hand(q, k, v):
    scores = q @ k.transpose(-2, -1) * (1.0 / 2.0)
    blocked = torch.triu(torch.ones(q.shape[-2], k.shape[-2]), 1) == 1
    return scores.masked_fill(blocked, float("-inf")).softmax(-1) @ v


@pytest.mark.parametrize(
    "fn",
    [
        attention_by_hand,
        lambda q, k, v: (q @ k.transpose(-2, -1) / 3.0).relu() @ v,
        lambda q, k, v: (
            ((q @ k.transpose(-2, -1)) * 0.3 + v[..., 0, None, :5].mT.expand(2, 3, 5, 5)).softmax(-1) @ v
        ),
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, torch.arange(5)[:, None] != 2),  # hides a row
        lambda q, k, v: torch.bmm(torch.bmm(q[0], k[0].mT).softmax(-1), v[0]),
    ],
)
def test_attention_is_recognized(fn):
    program = calls(fn, randn(2, 3, 5, 4), randn(2, 3, 5, 4).flip(0), randn(2, 3, 5, 6))
    assert kinds(program).count(Attention) == 1 and Contract not in kinds(program)


def test_scores_that_are_also_returned_are_not_swallowed():
    def both(q, k, v):
        weights = (q @ k.mT).softmax(-1)
        return weights @ v, weights

    assert Attention not in kinds(calls(both, randn(2, 5, 4), randn(2, 5, 4), randn(2, 5, 3)))


def test_transformer_block_and_embedding():
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(11, 8)
            self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)

        def forward(self, tokens):
            return self.layer(self.embed(tokens))

    program = compare(Block(), torch.tensor([[1, 5, 10], [0, 2, 2]]))
    assert Attention in kinds(program) and Library not in kinds(program)


@pytest.mark.parametrize("cell", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers(cell):
    assert Recurrent in kinds(compare(cell(4, 5, 2, batch_first=True, bidirectional=True), randn(3, 6, 4)))


RESAMPLED = {
    "bilinear": {"scale_factor": (1.7, 0.6), "mode": "bilinear"},
    "given a size": {"size": (11, 3), "mode": "bilinear"},
    "corners": {"size": (13, 1), "mode": "bilinear", "align_corners": True},
    "nearest": {"scale_factor": (1.7, 2.3), "mode": "nearest"},
    "nearest, smaller": {"size": (3, 14), "mode": "nearest"},
}


@pytest.mark.parametrize("name", RESAMPLED)
def test_resampling(name):
    program = calls(lambda x: F.interpolate(x, **RESAMPLED[name]) * 2, randn(2, 3, 7, 5))
    assert Library not in kinds(program)


def test_resampling_in_one_and_three_dimensions():
    calls(lambda x: F.interpolate(x, size=17, mode="linear"), randn(2, 3, 7))
    calls(lambda x: F.interpolate(x, scale_factor=(2, 1.5, 0.5), mode="trilinear"), randn(1, 2, 3, 4, 6))
    calls(lambda x: F.interpolate(x, size=9, mode="linear"), randn(2, 3, 7, dtype=torch.float64), rtol=1e-10)


def test_scans():
    reverse = calls(lambda x: x.flip(1).cumsum(1).flip(1), randn(3, 6))
    scan = reverse.ops[0]
    assert isinstance(scan, Scan) and scan.reverse and kinds(reverse) in ([Scan], [Scan, Map])
    calls(
        lambda x, m: (torch.cumprod(x, 0), torch.cumsum(x * m, 1), torch.logcumsumexp(x, 1)),
        randn(3, 6),
        randn(3, 6) > 0,
    )


@pytest.mark.parametrize("dim", [0, 1])
def test_running_extremes_know_where_they_were_met_last(dim):
    x = torch.tensor([[1.0, 3.0, 3.0, 2.0], [1.0, torch.nan, 5.0, torch.nan], [-torch.inf, -torch.inf, 0, 9]])
    program = calls(lambda x: (*torch.cummax(x, dim), *torch.cummin(x, dim)), x)
    assert Library not in kinds(program)
    calls(
        lambda x: (*torch.cummax(x.flip(dim), dim), torch.cummin(x, dim).indices),
        (randn(5, 6) * 3).round().long(),
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_storage(dtype):
    module = nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.GELU()).to(dtype)
    compare(module, randn(5, 6, dtype=dtype), rtol=3e-2)


def test_recurrent_layers_in_double_precision_stay_torch_s():
    program = compare(nn.LSTM(3, 4).double(), randn(5, 2, 3, dtype=torch.float64))
    assert [op.target for op in program.ops if isinstance(op, Library)] == ["aten.lstm.input"]


def test_complex_numbers_within_a_program_are_pairs():
    def rotated(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        turn = torch.polar(torch.ones(5, 3), torch.arange(15.0).view(5, 3))[:, None].conj()
        y = torch.view_as_complex(x.unflatten(-1, (-1, 2))) * turn
        z = torch.cat([y * 2 + y / 3.0, -y], 1).transpose(0, 1)
        return y.real + 2 * y.imag, torch.view_as_real(z).flatten(-2)

    assert Library not in kinds(calls(rotated, randn(2, 5, 4, 6)))


def test_what_has_no_lowering_stays_a_library_call():
    program = calls(lambda x: (x.sort(1).values * 2, x.topk(2, 1).indices), randn(4, 6))
    assert [op.target for op in program.ops if isinstance(op, Library)] == [
        "aten.sort.default",
        "aten.topk.default",
    ]


def test_vectors_that_nothing_reads_are_not_asked_of_a_decomposition():
    x = randn(7, 5).T
    program = calls(lambda x: (torch.linalg.svdvals(x), torch.linalg.eigvalsh(x @ x.mT)), x)
    assert [op.args[-1] for op in program.ops if isinstance(op, Library)] == [False, False]
    both = calls(lambda x: torch.linalg.svd(x, full_matrices=False)[1:], x)
    assert False not in next(op.args for op in both.ops if isinstance(op, Library))[2:]


def test_scans_that_are_returned_run_along_memory():
    x = randn(7, 65).T
    program = calls(lambda x: (x.cumsum(0), x.cumprod(1).exp(), x.flip(1).cumsum(1).flip(1)), x)
    assert [op.out.shape for op in program.ops if isinstance(op, Scan)] == [(7, 65), (65, 7), (65, 7)]


def test_several_outputs_that_share_storage_are_copied_apart():
    program = calls(lambda x: (x, x * 2, (x * 2).reshape(-1), x[0]), randn(3, 4))
    assert len(set(program.outputs)) == 4


def test_one_kernel_of_softmax_reads_as_three_ops(golden):
    golden(
        "linear_gelu_softmax",
        text(lower(capture(nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Softmax(-1)), (randn(4, 6),)))),
    )


def test_group_norm_text(golden):
    golden(
        "conv_group_norm",
        text(
            lower_module(
                nn.Sequential(nn.Conv1d(2, 4, 3), nn.GroupNorm(2, 4), nn.Hardtanh()), (randn(2, 2, 8),)
            )
        ),
    )


def test_double_precision_agrees_with_the_module_in_double():
    module, x = nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.Softmax(-1)), randn(4, 6)
    program = simplify(lower(capture(module, (x,))))
    got = interpret(program, bind(program, module, (x,)), double=True)[program.outputs[0]]
    torch.testing.assert_close(
        got, copy.deepcopy(module).double()(x.double()).detach(), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize(("unit", "size", "left"), [(True, 64, True), (True, 16, False), (False, 64, False)])
def test_large_convolutions_of_bfloat16_are_left_to_the_library_where_there_are_matrix_registers(
    unit: bool, size: int, left: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = frozenset({"amx_bf16"} if unit else ())
    monkeypatch.setattr(matrix_unit, "native", lambda: replace(native(), features=features))
    conv, x = nn.Conv2d(32, 32, 3), torch.randn(1, 32, size, size)

    def library(module: nn.Module, x: torch.Tensor) -> bool:
        return any(isinstance(op, Library) for op in lower_module(module, [x]).ops)

    assert library(copy.deepcopy(conv).bfloat16(), x.bfloat16()) == left
    assert not library(conv, x)
    assert not library(Calls(lambda a: a @ a), torch.randn(512, 512).bfloat16()), "products are generated"


def test_values_at_which_formulas_part():
    special = torch.tensor([float("nan"), float("inf"), -float("inf"), 0.0, 1.0, -2.0, 1e8, 0.25])
    x, y = (t.contiguous() for t in torch.meshgrid(special, special, indexing="ij"))

    def each(x, y):
        ends = torch.lerp(x, y, 1.0), torch.lerp(x, y, 0.25), torch.lerp(x, y, (y > 0).float())
        return *ends, torch.xlogy(x, y), F.kl_div(x, y.abs(), reduction="none"), x.log_softmax(0)

    calls(each, x, y)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
def test_shifts_by_more_bits_than_there_are(dtype):
    x, n = (
        t.to(dtype)
        for t in torch.meshgrid(
            torch.tensor([1, 5, 200, 3]), torch.tensor([0, 3, 7, 8, 64, 100]), indexing="ij"
        )
    )
    calls(lambda x, n: (x << n, x >> n, -x >> n, x << 2, x >> 9, x.all(1)), x, n)


def test_averages_of_integers_are_torch_s():
    program = calls(lambda x: F.avg_pool1d(x, 3) * 2, torch.arange(24).reshape(2, 12))
    assert [op.target for op in program.ops if isinstance(op, Library)] == ["aten.avg_pool1d.default"]
