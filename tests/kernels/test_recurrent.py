"""Generated recurrent layers against torch.nn: cells, directions, layers, layouts, storage types, every schedule."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kerf.kernels.codegen.recurrent import TEMPLATE
from kerf.kernels.codegen.standalone import standalone
from kerf.kernels.ir import Axis, Buffer, DType, Group, Index, Load, Map, Recurrent, Role, apply
from kerf.kernels.targets.cpu import native

KINDS = {torch.float32: DType.F32, torch.bfloat16: DType.BF16}


def module(cell, features, hidden, **options):
    if cell.startswith("rnn"):
        return torch.nn.RNN(features, hidden, nonlinearity=cell[4:], **options)
    return {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell](features, hidden, **options)


def build(net, cell, x, role=Role.PARAM, tail=False):
    """The group, its inputs, and what torch gives."""
    t, ways = KINDS[x.dtype], 2 if net.bidirectional else 1
    batch, steps = (x.shape[0], x.shape[1]) if net.batch_first else (x.shape[1], x.shape[0])
    state = (net.num_layers * ways, batch, net.hidden_size)
    tensors = {"x": x, "h": torch.randn(state).to(x.dtype)} | (
        {"c": torch.randn(state).to(x.dtype)} if cell == "lstm" else {}
    )
    buffers = [Buffer(n, tuple(v.shape), t, Role.INPUT) for n, v in tensors.items()]
    params = {n: p.detach() for n, p in net.named_parameters()}
    buffers += [Buffer(n, tuple(p.shape), t, role, n) for n, p in params.items()]
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    names = [
        tuple(f"{k}_l{layer}{d}" for k in kinds)
        for layer in range(net.num_layers)
        for d in ("", "_reverse")[:ways]
    ]
    weights = tuple(tuple(n if n in params else "" for n in four) for four in names)
    shape = (
        (batch, steps, ways * net.hidden_size) if net.batch_first else (steps, batch, ways * net.hidden_size)
    )
    out, h_n = Buffer("o", shape, t, Role.OUTPUT), Buffer("hn", state, t, Role.OUTPUT)
    c_n = Buffer("cn", state, t, Role.OUTPUT) if cell == "lstm" else None
    c0 = "c" if c_n else None
    ops = [
        Recurrent(
            out,
            h_n,
            c_n,
            "x",
            "h",
            c0,
            weights,
            cell,
            net.hidden_size,
            net.num_layers,
            net.bidirectional,
            net.batch_first,
        )
    ]
    wide = {n: v.float() for n, v in tensors.items()}
    with torch.no_grad():
        y, final = net.float()(wide["x"], (wide["h"], wide["c"]) if c_n else wide["h"])
    if tail:
        axes = tuple(Axis(f"a{k}", n) for k, n in enumerate(shape))
        value = Load("o", tuple(Index(a.name) for a in axes), DType.F32)
        out = Buffer("y", shape, t, Role.OUTPUT)
        ops.append(Map(out, axes, apply("mul", value, apply("cast", Index(axes[-1].name), dtype=DType.F32))))
        y = y * torch.arange(shape[-1])
    outs = (out, h_n, c_n) if c_n else (out, h_n)
    return (
        Group("g", tuple(ops), tuple(buffers), outs),
        [*tensors.values(), *params.values()],
        [y, *(final if c_n else [final])],
    )


@settings(max_examples=16, deadline=None, derandomize=True)
@given(st.data())
def test_any_layer_under_any_schedule(data):
    torch.manual_seed(0)
    cell = data.draw(st.sampled_from(["lstm", "gru", "rnn_tanh", "rnn_relu"]))
    steps, batch = data.draw(st.sampled_from([1, 19])), data.draw(st.sampled_from([1, 3, 17]))
    features, hidden = data.draw(st.sampled_from([1, 23])), data.draw(st.sampled_from([1, 33, 64]))
    options = {n: data.draw(st.booleans()) for n in ("bidirectional", "batch_first", "bias")}
    dtype = data.draw(st.sampled_from([torch.float32, torch.float32, torch.bfloat16]))
    net = module(cell, features, hidden, num_layers=data.draw(st.sampled_from([1, 2, 3])), **options).to(
        dtype
    )
    x = torch.randn((batch, steps, features) if net.batch_first else (steps, batch, features)).to(dtype)
    group, inputs, expected = build(
        net, cell, x, data.draw(st.sampled_from([Role.PARAM, Role.INPUT])), data.draw(st.booleans())
    )
    threads = data.draw(st.sampled_from([1, 2, 3, 4]))
    choices = {
        c.name: data.draw(st.sampled_from(c.choices)) for c in TEMPLATE.decisions(group, native(), threads)
    }
    outs = standalone(group, choices, threads=threads, template=TEMPLATE).call(inputs)
    for out, want in zip(outs, expected, strict=True):
        tolerance = (2e-5 if dtype is torch.float32 else 2e-2) * max(1, want.abs().max().item())
        torch.testing.assert_close(out.float(), want, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_relu"])
def test_a_nan_spreads_along_its_own_sequence_only(cell):
    net, x = module(cell, 5, 20), torch.randn(6, 3, 5)
    x[2, 1, 0] = torch.nan
    group, inputs, expected = build(net, cell, x)
    outs = standalone(group, template=TEMPLATE).call(inputs)
    for out, want in zip(outs, expected, strict=True):
        torch.testing.assert_close(out, want, equal_nan=True, rtol=2e-5, atol=2e-5)
