"""What running a module costs: found by one run where it is small, else by a pass over fake tensors (shapes only, no memory), for which
torch imports its compiler (0.8 s of CPU time)."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    FakeTensorMode,
    unset_fake_temporarily,
)
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

from kerf.kernels.copying import copied
from kerf.kernels.dispatch import OperatorMode
from kerf.kernels.tensors import flat_tensors, nbytes


def _attention_flops(q: Any, k: Any, v: Any, *args: Any, **kwargs: Any) -> int:
    return int(sdpa_flop_count(q.shape, k.shape, v.shape))


_PRODUCTS = (
    torch.ops.aten.mm,
    torch.ops.aten.addmm,
    torch.ops.aten.bmm,
    torch.ops.aten.baddbmm,
)
RUN_BYTES = 32 << 20  # a run that makes no more takes less than the import that fake tensors need

# torch's formulas, and one that it lacks
_FLOPS = {
    **flop_registry,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops,
}


@dataclass(frozen=True)
class Cost:
    """`flops` by the formulas of torch's FlopCounterMode (matrix products and convolutions, a multiply-add is 2), plus one for
    each element that any other operator writes; bytes of inputs, of parameters and buffers, of outputs, and of everything
    that was allocated in between (`temporaries`, not all alive at once; `largest` is the largest of them)."""

    flops: int
    products: int  # of the operations, those of float32 matrix products and convolutions
    input_bytes: int
    param_bytes: int
    output_bytes: int
    temporaries: int
    largest: int
    random: tuple[str, ...]
    returned: str

    @property
    def bytes(self) -> int:
        """What must move at least once: inputs, parameters, outputs."""
        return self.input_bytes + self.param_bytes + self.output_bytes

    @property
    def resident(self) -> int:
        """An estimate of the peak memory of one eager call: everything that must move and two of the largest temporaries."""
        return self.bytes + 2 * self.largest


class _Large(Exception):
    """More memory than a run in earnest may make."""


class _Watch(OperatorMode):
    """Notes random operators, the operations of every operator and the bytes that it makes; _Large beyond `limit` of them, before
    they are made where the operator's arguments say how many."""

    def __init__(self, limit: float = math.inf) -> None:
        super().__init__()
        self.limit = limit
        self.random: list[str] = []
        self.made = self.largest = self.flops = self.products = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        self._check(_coming_bytes(func, args, kwargs))
        out = func(*args, **kwargs)
        formula = _FLOPS.get(func.overloadpacket)
        if formula is not None:
            count = int(formula(*args, **kwargs, out_val=out))
            self.flops += count
            single = all(t.dtype is torch.float32 for t in flat_tensors(out))
            self.products += count if single else 0
        if torch.Tag.nondeterministic_seeded in func.tags and not _idle_dropout(func, args):
            self.random.append(str(func))
        if not func.is_view:
            self._made(list(flat_tensors(out)))
        return out

    def _made(self, tensors: Sequence[torch.Tensor]) -> None:
        size = nbytes(tensors)
        self.made, self.largest = self.made + size, max(self.largest, size)
        self.flops += sum(t.numel() for t in tensors)
        self._check(0)

    def _check(self, more: int) -> None:
        if self.made + more > self.limit:
            raise _Large


def _coming_bytes(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """What a factory (randn, zeros, full), a matrix product or an element-wise operator is about to make; 0 for any other."""
    at = _size_argument(func)
    if at is not None:
        size = args[at] if at < len(args) else kwargs["size"]
        return math.prod(size) * (kwargs.get("dtype") or torch.float32).itemsize
    tensors = [a for a in args if isinstance(a, torch.Tensor)]
    if func.overloadpacket in _PRODUCTS:
        return tensors[-2].shape[:-1].numel() * tensors[-1].shape[-1] * tensors[-1].itemsize
    if len(tensors) > 1 and torch.Tag.pointwise in func.tags:
        return math.prod(torch.broadcast_shapes(*(t.shape for t in tensors))) * tensors[0].itemsize
    return 0


@cache
def _size_argument(func: Any) -> int | None:
    names = [a.name for a in func._schema.arguments]
    return names.index("size") if "size" in names and "device" in names else None


def _idle_dropout(func: Any, args: Any) -> bool:
    """A dropout (or an attention with one) whose probability is zero draws nothing that matters."""
    if "dropout" in func._schema.name:
        return len(args) > 1 and args[1] == 0.0
    for i, argument in enumerate(func._schema.arguments):
        if argument.name == "dropout_p":
            return (args[i] if len(args) > i else argument.default_value) == 0.0
    return False


@contextmanager
def _fake() -> Iterator[FakeTensorMode]:
    """Fake tensors without gradients. torch logs a traceback for every operator that refuses its shapes; here that is an
    answer, not an accident."""
    log = logging.getLogger("torch._subclasses.fake_tensor")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        with FakeTensorMode(allow_non_fake_inputs=True) as mode, torch.no_grad():
            yield mode
    finally:
        log.setLevel(level)


def measure(build: Callable[[], torch.nn.Module], inputs: Callable[[], Sequence[Any]]) -> Cost:
    """Cost of `build()(*inputs())`: in earnest where that makes little, else as `measure_fake` finds it. Raises what they raise."""
    try:
        with _Watch(RUN_BYTES), torch.no_grad():
            module, args = build(), list(inputs())
            return _run(module, args, [*module.parameters(), *module.buffers()])
    except _Large:
        pass  # not from in here: nothing of that run is kept alive
    return measure_fake(build, inputs)


def measure_fake(build: Callable[[], torch.nn.Module], inputs: Callable[[], Sequence[Any]]) -> Cost:
    """The same with both called over fake tensors, except for a constructor that needs real values. An operator of forward() that
    needs real values raises torch's DataDependentOutputException."""
    with _fake() as mode:
        call, state = _built(mode, build)
        return _run(call, list(inputs()), state)


def _built(
    mode: FakeTensorMode, build: Callable[[], torch.nn.Module]
) -> tuple[Callable[..., Any], list[torch.Tensor]]:
    """The module over fake tensors, and its parameters and buffers. One that reads values while it is made (`.item()` of a
    linspace) is made in earnest first."""
    try:
        module = build()
        return module, [*module.parameters(), *module.buffers()]
    except DataDependentOutputException:
        with unset_fake_temporarily():
            module = build()
        return _faked(mode, module)


def _faked(mode: FakeTensorMode, module: torch.nn.Module) -> tuple[Callable[..., Any], list[torch.Tensor]]:
    state = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    fake: dict[str, torch.Tensor] = {k: mode.from_tensor(v) for k, v in state.items()}
    return lambda *a: torch.func.functional_call(module, fake, a), list(state.values())


def static_bytes(build: Callable[[], torch.nn.Module], inputs: Callable[[], Sequence[Any]]) -> int:
    """Bytes of inputs, parameters and buffers alone. Raises what both calls raise."""
    try:
        with _Watch(RUN_BYTES), torch.no_grad():
            return static_bytes_of(build(), inputs())
    except _Large:
        with _fake() as mode:
            _, state = _built(mode, build)
            return nbytes(flat_tensors(list(inputs()))) + nbytes(state)


def static_bytes_of(module: torch.nn.Module, inputs: Sequence[Any]) -> int:
    """The same of a module and inputs that exist."""
    return nbytes(flat_tensors(list(inputs))) + nbytes([*module.parameters(), *module.buffers()])


def measure_module(module: torch.nn.Module, inputs: Sequence[Any]) -> Cost:
    """The same for a module and inputs that exist; neither is changed."""
    if static_bytes_of(module, inputs) <= RUN_BYTES:
        try:
            with _Watch(RUN_BYTES):
                return measure_real(copied(module), copy.deepcopy(list(inputs)))
        except _Large:
            pass
    with _fake() as mode, attributes_kept(module):
        call, state = _faked(mode, module)
        return _run(call, [mode.from_tensor(a) if isinstance(a, torch.Tensor) else a for a in inputs], state)


def _run(call: Callable[..., Any], args: Sequence[Any], state: Sequence[torch.Tensor]) -> Cost:
    watch = _Watch()
    with watch:
        out = call(*args)
    outputs = list(flat_tensors(out))
    return Cost(
        flops=watch.flops,
        products=watch.products,
        input_bytes=nbytes(flat_tensors(list(args))),
        param_bytes=nbytes(state),
        output_bytes=nbytes(outputs),
        temporaries=watch.made,
        largest=watch.largest,
        random=tuple(dict.fromkeys(watch.random)),
        returned="tensor" if outputs else type(out).__name__,
    )


@contextmanager
def attributes_kept(module: torch.nn.Module) -> Iterator[None]:
    """Afterwards the module and those in it have the attributes that they had: a forward() that assigns to `self` would leave
    the tensors of a trace in it."""
    before = [(m, dict(m.__dict__)) for m in module.modules()]
    try:
        yield
    finally:
        for m, attributes in before:
            m.__dict__.clear()
            m.__dict__.update(attributes)


def measure_real(module: torch.nn.Module, inputs: Sequence[Any]) -> Cost:
    """The same by running the module: for references whose control flow or indexing needs real values. Changes the module's
    state as any call does."""
    with torch.no_grad():
        return _run(module, list(inputs), [*module.parameters(), *module.buffers()])
