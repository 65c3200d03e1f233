"""Generated attention against float64: shapes, masks, grouped heads, causal, every schedule."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kerf.kernels.codegen.attention import TEMPLATE
from kerf.kernels.codegen.standalone import standalone
from kerf.kernels.ir import Attention, Axis, Buffer, Const, DType, Group, Index, Load, Map, Role, apply
from kerf.kernels.targets.cpu import native

KINDS = {
    torch.float32: DType.F32,
    torch.bfloat16: DType.BF16,
    torch.float16: DType.F16,
    torch.bool: DType.BOOL,
}
TOLERANCE = {torch.float32: 4e-6, torch.bfloat16: 1.6e-2, torch.float16: 2e-3}


def attended(tensors, scale, causal=False, weighting="softmax", tail=False):
    buffers = tuple(Buffer(n, tuple(t.shape), KINDS[t.dtype], Role.INPUT) for n, t in tensors.items())
    q, v = tensors["q"], tensors["v"]
    out = Buffer("o", (*q.shape[:3], v.shape[3]), KINDS[q.dtype], Role.OUTPUT)
    ops = [Attention(out, "q", "k", "v", "m" if "m" in tensors else None, scale, causal, weighting)]
    if tail:
        axes = tuple(Axis(f"a{k}", n) for k, n in enumerate(out.shape))
        here = tuple(Index(a.name) for a in axes)
        added = Load("q", (*here[:3], Const(0, DType.I64)), DType.F32)
        ops.append(
            Map(
                out := Buffer("y", out.shape, out.dtype, Role.OUTPUT),
                axes,
                apply("add", Load("o", here, DType.F32), added),
            )
        )
    return Group("g", tuple(ops), buffers, (out,))


def reference(tensors, scale, causal=False, weighting="softmax", tail=False):
    q, k, v = (tensors[n].double() for n in "qkv")
    k, v = (t.repeat_interleave(q.shape[1] // t.shape[1], 1) for t in (k, v))
    scores, mask = q @ k.transpose(-1, -2) * scale, tensors.get("m")
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype is torch.bool else scores + mask.double()
    if causal:
        scores = scores.masked_fill(torch.ones(scores.shape[-2:]).triu(1).bool(), -torch.inf)
    weights = scores.relu() if weighting == "relu" else scores.softmax(-1)
    out = (weights.nan_to_num() if weighting == "safe_softmax" else weights) @ v
    return out + q[..., :1] if tail else out


def draw(B, H, Hk, L, S, E, Ev, dtype=torch.float32):
    g = torch.Generator().manual_seed(L + S)
    shapes = {"q": (B, H, L, E), "k": (B, Hk, S, E), "v": (B, Hk, S, Ev)}
    return {n: torch.randn(s, generator=g).to(dtype) for n, s in shapes.items()}


def check(tensors, options, choices=None, threads=1):
    (out,) = standalone(attended(tensors, **options), choices, threads=threads, template=TEMPLATE).call(
        list(tensors.values())
    )
    expected = reference(tensors, **options)
    tolerance = TOLERANCE[out.dtype] * max(1, expected.nan_to_num().abs().max().item())
    torch.testing.assert_close(out.double(), expected, rtol=tolerance, atol=tolerance, equal_nan=True)


@settings(max_examples=16, deadline=None, derandomize=True)
@given(st.data())
def test_any_attention_under_any_schedule(data):
    Hk, share = data.draw(st.sampled_from([(1, 1), (2, 1), (2, 3)]))
    L, S = data.draw(st.sampled_from([1, 7, 33, 131])), data.draw(st.sampled_from([1, 17, 64, 300]))
    E, Ev = data.draw(st.sampled_from([1, 17, 64])), data.draw(st.sampled_from([1, 16, 40, 96]))
    tensors = draw(
        2,
        Hk * share,
        Hk,
        L,
        S,
        E,
        Ev,
        data.draw(st.sampled_from([torch.float32, torch.bfloat16, torch.float16])),
    )
    mask = data.draw(st.sampled_from([None, torch.bool, torch.float32]))
    if mask:
        shape = [data.draw(st.sampled_from([1, n])) for n in (2, Hk * share, L, S)][
            data.draw(st.sampled_from([0, 2])) :
        ]
        tensors["m"] = torch.rand(shape) > 0.2 if mask is torch.bool else torch.randn(shape)
        if mask is torch.bool:
            tensors["m"][..., 0] = True
    options = {"scale": E**-0.5, "causal": data.draw(st.booleans()), "tail": data.draw(st.booleans()),
               "weighting": data.draw(st.sampled_from(["softmax", "relu"]))}  # fmt: skip
    threads = data.draw(st.sampled_from([1, 2]))
    decisions = TEMPLATE.decisions(attended(tensors, **options), native(), threads)
    check(tensors, options, {c.name: data.draw(st.sampled_from(c.choices)) for c in decisions}, threads)


def test_a_nan_or_infinite_key_spoils_only_the_queries_that_see_it():
    tensors = draw(1, 2, 2, 70, 70, 16, 16)
    tensors["k"][0, 0, 40, 3], tensors["k"][0, 1, 65, 2] = torch.nan, torch.inf
    check(tensors, {"scale": 0.25, "causal": True})


@pytest.mark.parametrize("weighting", ["softmax", "safe_softmax"])
@pytest.mark.parametrize("kind", [torch.bool, torch.float32])
def test_a_row_that_sees_no_key_is_nan_by_hand_and_zero_where_fused(weighting, kind):
    tensors = draw(1, 1, 1, 20, 200, 8, 8)
    keep = (torch.arange(20) % 7 != 3)[:, None].expand(20, 200)
    mask = keep.clone() if kind is torch.bool else torch.zeros(20, 200).masked_fill(~keep, -torch.inf)
    check(tensors | {"m": mask}, {"scale": 1.0, "weighting": weighting}, {"block_k": 64})


@pytest.mark.parametrize("level", [-3e4, 3e4])
def test_scores_far_from_zero_neither_overflow_nor_vanish(level):
    tensors = draw(1, 1, 1, 20, 200, 8, 8)
    whole = {n: tensors[n].round() for n in "qk"}  # whole numbers: float32 adds them to the mask exactly
    check(tensors | whole | {"m": torch.full((200,), level)}, {"scale": 1.0}, {"block_k": 64})


def registers(tensors, options, algorithm):
    chip = replace(native(), vector_bits=512, features=native().features | AMX)
    made = standalone(attended(tensors, **options), {"algorithm": algorithm}, template=TEMPLATE, chip=chip)
    assert ("KF_TILE_MULTIPLY(0," in made.source) == (algorithm == "amx")
    return made.call(list(tensors.values()))[0]


AMX = {"amx_tile", "amx_bf16", "avx512_bf16", "avx512bw"}


@pytest.mark.parametrize("which", ["q", "k", "v"])
@pytest.mark.parametrize("value", [torch.inf, torch.nan, 1e-30], ids=["inf", "nan", "tiny"])
def test_values_that_do_not_come_apart_take_the_vector_units_way(which, value):
    tensors, options = draw(1, 2, 2, 40, 70, 32, 32), {"scale": 0.2}
    calm = registers(tensors, options, "amx")
    plain = registers(tensors, options, "vector")
    taken = {"amx_tile", "amx_bf16"} <= native().features
    assert torch.equal(calm, plain) != taken, "matrix registers are used where there are some"
    torch.testing.assert_close(calm, plain, rtol=1e-5, atol=1e-6)
    if which == "v":
        tensors["v"][0, 1, :, 3] = value
    else:
        tensors[which][0, 1, 5] = value
    here, there = (registers(tensors, options, a).nan_to_num(7.0) for a in ("amx", "vector"))
    assert torch.equal(here, there)
