"""The cells of torch.nn's recurrent layers, as C for one hidden unit.

x0, x1, ...: the gates' sums from input (and state, unless `apart`); h0, h1, ...: the gates' products with the state, where
they must stay apart; h[u], c[u]: state and memory; next[u]: the new state. Gate order and formulas are those of torch.nn."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    gates: int
    lines: tuple[str, ...]
    apart: bool = False
    memory: bool = False


CELLS = {
    "lstm": Cell(
        4,
        (
            "const float cell = kf_sigmoid(x1) * c[u] + kf_sigmoid(x0) * kf_tanh(x2);",
            "c[u] = cell;",
            "next[u] = kf_sigmoid(x3) * kf_tanh(cell);",
        ),
        memory=True,
    ),
    "gru": Cell(
        3,
        (
            "const float reset = kf_sigmoid(x0 + h0), keep = kf_sigmoid(x1 + h1);",
            "const float fresh = kf_tanh(x2 + reset * h2);",
            "next[u] = (1.0f - keep) * fresh + keep * h[u];",
        ),
        apart=True,
    ),
    "rnn_tanh": Cell(1, ("next[u] = kf_tanh(x0);",)),
    "rnn_relu": Cell(1, ("next[u] = x0 < 0.0f ? 0.0f : x0;",)),
}
