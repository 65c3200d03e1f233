"""A PyTorch module as a functional ATen graph, keeping the composite ops that have a lowering of their own."""

from __future__ import annotations

import operator
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.export.graph_signature import ConstantArgument, InputKind, OutputKind, TensorArgument

from kerf.core.types import KerfError
from kerf.kernels.copying import copied
from kerf.kernels.cost import attributes_kept
from kerf.kernels.remembered import as_buffers, assignments, plain_tensors, remembers
from kerf.kernels.tensors import flat_tensors
from kerf.kernels.twins import twins
from kerf.kernels.unquestioned import unquestioned


@dataclass(frozen=True)
class Graph:
    """`nodes`: the graph, functional, each node with its `meta["val"]`. `inputs`: placeholders of forward()'s tensor
    arguments. `parameters`: placeholder -> state-dict key (or attribute path). `constants`: placeholder -> tensor made
    inside forward(). `outputs`: nodes returned, in order; `updates`: node -> the state-dict key it is written to."""

    nodes: torch.fx.Graph
    inputs: tuple[str, ...]
    parameters: Mapping[str, str]
    constants: Mapping[str, torch.Tensor]
    outputs: tuple[str, ...]
    updates: Mapping[str, str]


def capture(module: torch.nn.Module, inputs: Sequence[Any]) -> Graph:
    """Export `module` called on `inputs`, in the mode (train or eval) it is in, without gradients.

    Raises KerfError for what has no fixed graph: random results, results that depend on data through Python, no tensor
    returned, arguments written in place.
    """
    name = type(module).__name__
    with _as_exported(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.export's words about its own use of torch
        try:
            exported = _exported(module, inputs)
        except KerfError:
            raise
        except Exception as error:
            raise KerfError(_untraceable(name, error)) from error
    _refuse_random(name, exported.graph, lambda: _forgotten(module, inputs))
    _refuse_dynamic(name, exported.graph)
    return _signed(name, module, exported)


def _exported(module: torch.nn.Module, inputs: Sequence[Any]) -> torch.export.ExportedProgram:
    """The module as torch.export follows it; where forward() changes tensors that are attributes, with these as buffers. What is
    first assigned in a call must not be read by the next."""
    before = plain_tensors(module)
    with assignments(module) as found:
        try:
            exported = _with_buffers(module, inputs, {})
            held = {path: before[path] for path in found if path in before}
        except RuntimeError as error:
            if "mutated in the forward" not in str(error):
                raise
            held = before
    new = {p: torch.zeros(tuple(t.shape), dtype=t.dtype) for p, t in found.items() if p not in before}
    if new:
        again = _with_buffers(module, inputs, {**held, **new})
        if read := _reached(again) & new.keys():
            raise remembers(type(module).__name__, read)
    return _with_buffers(module, inputs, held) if held else exported


def _with_buffers(
    module: torch.nn.Module, inputs: Sequence[Any], held: Mapping[str, torch.Tensor]
) -> torch.export.ExportedProgram:
    with attributes_kept(module), as_buffers(module, held):
        exported = torch.export.export(module, tuple(inputs), strict=False)
        return exported.run_decompositions(_kept_whole())  # type: ignore[arg-type]


def _reached(exported: torch.export.ExportedProgram) -> set[str]:
    """Parameters, buffers and attributes that the results depend on."""
    signature = exported.graph_signature
    results = {
        s.arg.name
        for s in signature.output_specs
        if s.kind is OutputKind.USER_OUTPUT and hasattr(s.arg, "name")
    }
    needed = [n for n in exported.graph.nodes if n.name in results]
    seen = set(needed)
    for node in needed:  # grows
        sources = [
            n
            for n in node.all_input_nodes
            if not (str(node.target) == "aten.copy.default" and n is node.args[0])
        ]
        needed += [n for n in sources if n not in seen]
        seen |= set(sources)
    return {s.target for s in signature.input_specs if s.target and any(n.name == s.arg.name for n in seen)}


@contextmanager
def _as_exported() -> Iterator[None]:
    """torch as `capture` wants it: no gradients, recurrent layers whole, no questions about values."""
    with torch.no_grad(), _whole_recurrences(), twins(), unquestioned():
        yield


def _untraceable(name: str, error: Exception) -> str:
    if taken := re.fullmatch(r"[\"']attribute '(\w+)' already exists[\"']", str(error)):
        return (
            f"cannot capture {name}: torch.export has no place for a parameter or buffer called {taken[1]!r}, which graphs have "
            "as an attribute of their own. Give it another name."
        )
    reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return (
        f"cannot capture {name}: torch.export failed with {type(error).__name__}: {reason[:300]}. "
        "Control flow, shapes and calls such as .item() must not depend on the values of tensors: rewrite them with tensor "
        "operations (torch.where, masks), or optimize a submodule without them."
    )


def _kept_whole() -> Any:
    """Export's decompositions, without those of ops that are lowered as they are."""
    from kerf.kernels.lower.registry import LOWERINGS

    table = torch.export.default_decompositions()
    for op in list(table):
        if str(op) in LOWERINGS:
            del table[op]  # type: ignore[attr-defined]
    return table


def _forgotten(module: torch.nn.Module, inputs: Sequence[Any]) -> bool:
    """Whether the result is the same whatever is drawn: a random initial state that many steps wash out."""
    results = []
    for seed in (1, 2):
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            copies = [a.clone() if isinstance(a, torch.Tensor) else a for a in inputs]
            results.append(list(flat_tensors(copied(module)(*copies))))
    return bool(results[0]) and all(
        a.shape == b.shape
        and torch.allclose(a.double(), b.double(), rtol=0, atol=_NOISE * float(a.double().abs().max()))
        for a, b in zip(*results, strict=True)
    )


_NOISE = 2e-6  # of the largest value: what changing the order of float32 sums does


def _refuse_random(name: str, graph: torch.fx.Graph, forgotten: Callable[[], bool]) -> None:
    for node in graph.nodes:
        tags = getattr(node.target, "tags", ())
        if torch.Tag.nondeterministic_seeded not in tags or (not node.users and not node.is_impure()):
            continue
        if "dropout" in str(node.target) and _dropout_is_plain(node):
            continue
        if str(node.target) == "aten.scaled_dot_product_attention.default" and not _argument(
            node, 4, "dropout_p", 0.0
        ):
            continue
        if str(node.target) in _RANDOM_ONLY_WITH_DROPOUT or forgotten():
            continue
        raise KerfError(
            f"{name} is random: it calls {node.target}{_place(node)}. A kernel can only be checked against a reference that "
            "gives the same answer twice: call module.eval() to switch dropout off, or pass the random tensor as an input."
        )


_RANDOM_ONLY_WITH_DROPOUT = frozenset(
    f"{space}.{cell}.{overload}"
    for cell in ("lstm", "gru", "rnn_tanh", "rnn_relu")
    for space, overload in (("aten", "input"), ("kerf", "default"))
)


def _dropout_is_plain(node: torch.fx.Node) -> bool:
    p, train = _argument(node, 1, "p", 0.5), _argument(node, 2, "train", True)
    return not train or p in (0, 1)


def _argument(node: torch.fx.Node, position: int, name: str, default: Any) -> Any:
    return node.args[position] if len(node.args) > position else node.kwargs.get(name, default)


def _place(node: torch.fx.Node) -> str:
    lines = [line.strip() for line in (node.meta.get("stack_trace") or "").splitlines() if line.strip()]
    return f" ({lines[-1]})" if lines else ""


def _refuse_dynamic(name: str, graph: torch.fx.Graph) -> None:
    for node in graph.nodes:
        for tensor in flat_tensors(node.meta.get("val")):
            if not all(isinstance(n, int) for n in tensor.shape):
                raise KerfError(
                    f"{name}: the shape of {node.target}'s result depends on the values of tensors{_place(node)}; "
                    "kernels are built for fixed shapes. Use a mask of fixed size instead."
                )


def _signed(name: str, module: torch.nn.Module, exported: torch.export.ExportedProgram) -> Graph:
    inputs, parameters, constants = [], {}, {}
    for spec in exported.graph_signature.input_specs:
        if not isinstance(spec.arg, TensorArgument):
            continue
        if spec.kind is InputKind.USER_INPUT:
            inputs.append(spec.arg.name)
        elif spec.kind is InputKind.CONSTANT_TENSOR and not _is_attribute(module, spec.target):
            constants[spec.arg.name] = exported.constants[spec.target or ""]
        else:
            parameters[spec.arg.name] = spec.target or ""
    outputs, updates = _results(name, exported)
    return Graph(exported.graph, tuple(inputs), parameters, constants, tuple(outputs), updates)


def _is_attribute(module: torch.nn.Module, path: str | None) -> bool:
    try:
        return isinstance(operator.attrgetter(path or "")(module), torch.Tensor)
    except AttributeError:
        return False


def _results(name: str, exported: torch.export.ExportedProgram) -> tuple[list[str], dict[str, str]]:
    outputs, updates = [], {}
    for spec in exported.graph_signature.output_specs:
        if spec.kind is OutputKind.USER_INPUT_MUTATION:
            raise KerfError(
                f"{name} writes into its argument {spec.target!r}; return a new tensor instead (x = x + 1, not x += 1)."
            )
        if spec.kind is OutputKind.BUFFER_MUTATION:
            updates[spec.arg.name] = spec.target or ""
        elif spec.kind is OutputKind.TOKEN:
            raise KerfError(
                f"{name} calls something that torch orders by side effects (a check that may fail, a print); "
                "optimize a submodule without it."
            )
        elif isinstance(spec.arg, TensorArgument):
            outputs.append(spec.arg.name)
        elif not (isinstance(spec.arg, ConstantArgument) and spec.arg.value is None):
            raise KerfError(
                f"{name} returns something that is not a tensor ({spec.arg}); return tensors only."
            )
    if not outputs:
        raise KerfError(
            f"{name} returns no tensor, so there is nothing to compute or check; return its result."
        )
    return outputs, updates


# ---------------------------------------------------------------- recurrences kept whole

_CELLS = ("lstm", "gru", "rnn_tanh", "rnn_relu")


def _define_recurrences() -> torch.library.Library:
    """Opaque twins of torch's recurrent layers. Tracing the originals unrolls every time step."""
    library = torch.library.Library("kerf", "DEF")
    tail = "Tensor[] params, bool has_biases, int layers, float dropout, bool train, bool bidirectional, bool batch_first"
    library.define(f"lstm(Tensor x, Tensor[] state, {tail}) -> (Tensor, Tensor, Tensor)")
    for cell in _CELLS[1:]:
        library.define(f"{cell}(Tensor x, Tensor h0, {tail}) -> (Tensor, Tensor)")
    for cell in _CELLS:
        library.impl(cell, _real(cell), "CompositeExplicitAutograd")
        torch.library.register_fake(f"kerf::{cell}", _shapes, lib=library)
    return library


def _real(cell: str) -> Callable[..., tuple[torch.Tensor, ...]]:
    def run(*args: Any) -> tuple[torch.Tensor, ...]:
        return tuple(getattr(torch.ops.aten, cell).input(*args))

    return run


def _shapes(
    x: torch.Tensor, state: Any, params: list[torch.Tensor], has_biases: bool, layers: int, *flags: Any
) -> tuple[torch.Tensor, ...]:
    bidirectional = flags[2]
    states = [state] if isinstance(state, torch.Tensor) else list(state)
    width = states[0].shape[-1] * (2 if bidirectional else 1)
    out = x.new_empty((*x.shape[:-1], width))
    return (out, *(torch.empty_like(s) for s in states))


_LIBRARY = _define_recurrences()


@contextmanager
def _whole_recurrences() -> Iterator[None]:
    """While this is open, torch.nn's recurrent layers call the twins. Packed sequences and dropout go to torch."""
    module = torch._VF
    originals = {cell: getattr(module, cell) for cell in _CELLS}

    def redirect(cell: str) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            plain = (
                len(args) == 9
                and not isinstance(args[3], torch.Tensor | list | tuple)
                and not (args[5] and args[6])
            )
            return getattr(torch.ops.kerf, cell)(*args) if plain else originals[cell](*args)

        return call

    for cell in _CELLS:
        setattr(module, cell, redirect(cell))
    try:
        yield
    finally:
        for cell in _CELLS:
            delattr(module, cell)
