"""LSTM, GRU and plain RNN layers, kept whole."""

from __future__ import annotations

from collections.abc import Sequence

from kerf.kernels.ir import DType, Recurrent
from kerf.kernels.lower.registry import Context, lowers
from kerf.kernels.lower.values import Value, stored

Weights = tuple[tuple[str, str, str, str], ...]


def _weights(c: Context, params: Sequence[Value], has_biases: bool) -> Weights:
    names = [c.builder.plain(p, "weight") for p in params]
    if has_biases:
        return tuple((names[i], names[i + 1], names[i + 2], names[i + 3]) for i in range(0, len(names), 4))
    return tuple((names[i], names[i + 1], "", "") for i in range(0, len(names), 2))


def _recurrent(
    c: Context, cell: str, x: Value, h0: Value, c0: Value | None, params: Sequence[Value], has_biases: bool, layers: int,
    bidirectional: bool, batch_first: bool,
) -> tuple[Value, ...]:  # fmt: skip
    directions = 2 if bidirectional else 1
    if len(params) != layers * directions * (4 if has_biases else 2):
        raise LookupError("recurrent layers with projections")
    if c.dtype is DType.F64:
        raise LookupError("recurrent layers in double precision: their generator has none")
    name, state = c.builder.plain(x, "x"), c.builder.plain(h0, "h0")
    memory = c.builder.plain(c0, "c0") if c0 is not None else None
    weights = _weights(c, params, has_biases)
    shapes = [shape for shape, _ in c.outs]
    out = c.builder.temp(shapes[0], c.dtype, "out")
    h_n = c.builder.temp(shapes[1], c.dtype, "h_n")
    c_n = c.builder.temp(shapes[2], c.dtype, "c_n") if c0 is not None else None
    c.builder.ops.append(
        Recurrent(
            out,
            h_n,
            c_n,
            name,
            state,
            memory,
            weights,
            cell,
            h0.shape[-1],
            layers,
            bidirectional,
            batch_first,
        )
    )
    return tuple(stored(b) for b in (out, h_n, c_n) if b is not None)


@lowers("lstm.input", "kerf.lstm.default")
def _lstm(
    c: Context, x: Value, state: Sequence[Value], params: Sequence[Value], has_biases: bool, layers: int, dropout: float, train: bool,
    bidirectional: bool, batch_first: bool,
) -> tuple[Value, ...]:  # fmt: skip
    return _recurrent(
        c, "lstm", x, state[0], state[1], params, has_biases, layers, bidirectional, batch_first
    )


def _register(cell: str, *names: str) -> None:
    @lowers(*names)
    def lower(
        c: Context, x: Value, h0: Value, params: Sequence[Value], has_biases: bool, layers: int, dropout: float, train: bool,
        bidirectional: bool, batch_first: bool,
    ) -> tuple[Value, ...]:  # fmt: skip
        return _recurrent(c, cell, x, h0, None, params, has_biases, layers, bidirectional, batch_first)


_register("gru", "gru.input", "kerf.gru.default")
_register("rnn_tanh", "rnn_tanh.input", "kerf.rnn_tanh.default")
_register("rnn_relu", "rnn_relu.input", "kerf.rnn_relu.default")
