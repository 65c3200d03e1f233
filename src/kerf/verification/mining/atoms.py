"""Which facts about a design are worth combining: single bits, states and limits of small words, words that are now and then the same."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kerf.verification.graph import Node
from kerf.verification.lanes import lanes_of
from kerf.verification.mining.claims import Bit, Compare, OneHot, Same, Since, Term
from kerf.verification.model import Model

WORDS = 40  # signals that are looked at
FACTS = 64  # that are combined
STATES = 8  # values of a word that are told apart
BITS_OF = 4  # words up to this width are looked at bit by bit
WIDEST = 32
KINDS = {"output": 0, "register": 1, "input": 2, "wire": 3}


def signals(model: Model) -> list[str]:
    """Names, the most telling first: outputs, registers, inputs, wires; outer ones before inner ones; one of those that are the same."""
    graph, held, words = model.graph, {model.clock, *model.held_names}, _words(model)
    rows = []
    for name, signal in graph.signals.items():
        constant = all(graph.kind[b >> 1] == Node.CONSTANT for b in signal.bits)
        if (
            name in words
            and name not in held
            and not constant
            and re.fullmatch(r"[A-Za-z_][\w.$]*", name)
            and len(signal.bits) <= WIDEST
        ):
            rows.append((KINDS[signal.kind] + 2 * name.count("."), name))
    seen = {graph.signals[n].bits for n in held if n in graph.signals}
    found = []
    for _, name in sorted(rows):
        bits = graph.signals[name].bits
        if bits not in seen and tuple(b ^ 1 for b in bits) not in seen:
            seen.add(bits)
            found.append(name)
    return found[:WORDS]


def _words(model: Model) -> set[str]:
    """What an expression may name: no memories and other arrays, though the graph has them."""
    found, prefix = set[str](), f"{model.design.top}."

    def visit(node: Any) -> None:
        if type(node).__name__ in ("NetSymbol", "VariableSymbol") and node.type.isIntegral:
            found.add(str(node.hierarchicalPath).removeprefix(prefix))

    model.design.root.visit(visit)
    return found


def atoms(model: Model, names: Sequence[str], values: dict[str, np.ndarray]) -> list[Term]:
    """Terms that were both true and false in a simulation. `values[name]`: (samples, bits) uint8."""
    rows: list[Term] = []
    widths = {n: len(model.graph.signals[n].bits) for n in names}
    for name in names:
        if widths[name] == 1:
            rows.append(Bit(name))
    for name in names:
        rows += _of_word(model, name, values[name]) if widths[name] > 1 else []
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            if 1 < widths[a] == widths[b] and 0.02 < (values[a] == values[b]).all(axis=1).mean() < 0.98:
                rows.append(Same(a, b))
    return rows[:FACTS]


def _of_word(model: Model, name: str, samples: np.ndarray) -> Iterator[Term]:
    numbers = _numbers(samples)
    found, counts = np.unique(numbers, return_counts=True)
    shown = enumerators(model, name)
    if len(found) <= STATES:
        order = [int(v) for v in found]
    else:
        order = [v for v in (0, int(found[-1])) if counts[found == v].sum() >= 4]
    for value in order:
        if len(found) > 1:
            yield Compare(name, "==", value, shown.get(value, ""))
    if samples.shape[1] <= BITS_OF and len(found) > 2:
        yield from (Bit(name, i) for i in range(samples.shape[1]) if 0 < samples[:, i].mean() < 1)


def _numbers(samples: np.ndarray) -> np.ndarray:
    return samples.astype(np.int64) @ (1 << np.arange(samples.shape[1], dtype=np.int64))


def always(model: Model, names: Sequence[str], values: dict[str, np.ndarray]) -> list[Term]:
    """What a simulation never saw broken about one word: limits, one bit set, and what never changes is left to the pairs."""
    rows: list[Term] = []
    for name in names:
        samples = values[name]
        width = samples.shape[1]
        if width == 1:
            continue
        numbers = _numbers(samples)
        low, high = int(numbers.min()), int(numbers.max())
        shown = enumerators(model, name)
        if high < (1 << width) - 1:
            rows.append(Compare(name, "<=", high, shown.get(high, "")))
        if low > 0:
            rows.append(Compare(name, ">=", low, shown.get(low, "")))
        ones = samples.sum(axis=1)
        if width <= 16 and ones.max() == 1 and len(np.unique(numbers)) > 2:
            rows.append(OneHot((name,), bool(ones.min() == 0)))
    return rows


def changes(model: Model, names: Sequence[str]) -> list[Since]:
    """How words may follow from the cycle before: kept, counted, taken over."""
    rows = []
    registers = [n for n in names if _is_state(model, n)]
    for name in registers:
        width = len(model.graph.signals[name].bits)
        rows.append(Since(name, name))
        if width > 1:
            rows += [Since(name, name, 1), Since(name, name, -1)]
            rows += [Since(name, n) for n in names if n != name and len(model.graph.signals[n].bits) == width]
    return rows


def _is_state(model: Model, name: str) -> bool:
    return all(model.graph.kind[b >> 1] in (Node.LATCH, Node.CONSTANT) for b in model.graph.signals[name].bits)  # fmt: skip


def enumerators(model: Model, name: str) -> dict[int, str]:
    """Names of a word's values that can be written at the top of the design."""
    body = model.design.root.body
    symbol: Any = body.find(name) if "." not in name else None
    kind = getattr(symbol, "type", None)
    if kind is None or not kind.isEnum:
        return {}
    found = {}
    for member in kind.canonicalType:
        if type(member).__name__ == "EnumValueSymbol" and body.lookupName(member.name) is not None:
            found[int(member.value.value)] = str(member.name)
    return found


def samples_of(seen: np.ndarray, widths: Sequence[int]) -> list[np.ndarray]:
    """From (cycles, bits, words) planes: for each word (cycles * lanes, bits) uint8, lanes of a cycle together."""
    rows = np.concatenate([lanes_of(cycle) for cycle in seen])
    ends = np.cumsum(widths)
    return [rows[:, e - w : e] for e, w in zip(ends, widths)]
