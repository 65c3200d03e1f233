"""The reference, run in several ways that are all honest: as it is, in float64, without oneDNN, and with every intermediate result perturbed
by the rounding that another order of summation could give."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import torch

from kerf.kernels.copying import copied
from kerf.kernels.dispatch import OperatorMode
from kerf.kernels.tensors import flat_tensors


def run(module: Any, args: Sequence[Any]) -> list[torch.Tensor]:
    """The reference as it is, on copies."""
    own = copied(module)
    with torch.no_grad():
        return [t.detach().clone() for t in flat_tensors(own(*(_copied(a) for a in args)))]


def _copied(value: Any) -> Any:
    return value.clone(memory_format=torch.preserve_format) if isinstance(value, torch.Tensor) else value


def run_in_double(module: Any, args: Sequence[Any], picks: Picks) -> list[torch.Tensor] | None:
    """The outputs in float64; None where the module cannot run so."""
    wide = [_wide(a) if isinstance(a, torch.Tensor) else a for a in args]
    picks.given = {a.untyped_storage().data_ptr() for a in wide if isinstance(a, torch.Tensor)}
    before = torch.get_default_dtype()
    try:
        own = copied(module)._apply(_wide)
        torch.set_default_dtype(torch.float64)
        with torch.no_grad(), picks:
            return [t.detach() for t in flat_tensors(own(*wide))]
    except (RuntimeError, TypeError, ValueError, NotImplementedError):
        return None
    finally:
        torch.set_default_dtype(before)


def _wide(t: torch.Tensor) -> torch.Tensor:
    return t.to(torch.complex128) if t.is_complex() else t.double() if t.is_floating_point() else t


def run_variants(
    module: Any, args: Sequence[Any], seeds: Sequence[int], products: bool, narrow: bool = False
) -> list[list[torch.Tensor]]:
    """`products`: there are matrix products or convolutions, which oneDNN may compute otherwise. `narrow`: perturb products of
    16-bit floats too, as their sums in float32 in another order would."""
    ways: list[Callable[[], Any]] = [partial(Perturbed, seed, narrow) for seed in seeds]
    return run_each(module, args, [*ways, _without_onednn] if products else ways)


def run_each(module: Any, args: Sequence[Any], ways: Sequence[Callable[[], Any]]) -> list[list[torch.Tensor]]:
    found = []
    for way in ways:
        try:
            with way():
                found.append(run(module, args))
        except (RuntimeError, NotImplementedError, TypeError):
            continue  # this way of running it does not exist for this module
    return found


@contextmanager
def _without_onednn() -> Iterator[None]:
    before = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(False)
    try:
        yield
    finally:
        torch._C._set_mkldnn_enabled(before)


class Perturbed(OperatorMode):
    """Multiply what each operator makes by 1 + the rounding error that an honest implementation could add: one unit in the last
    place, and for a reduction the random walk of n additions in eight partial sums."""

    def __init__(self, seed: int, narrow: bool) -> None:
        super().__init__()
        self.narrow = narrow
        self.generator = torch.Generator().manual_seed(seed)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func.is_view or "copy" in str(func) or "empty" in str(func):
            return out
        if isinstance(out, torch.Tensor):
            return self.noisy(func, args, out)
        if isinstance(out, tuple):
            return (
                type(out)(self.noisy(func, args, o) if isinstance(o, torch.Tensor) else o for o in out)
                if type(out) is tuple
                else out
            )
        return out

    def noisy(self, func: Any, args: Any, out: torch.Tensor) -> torch.Tensor:
        if self.narrow and out.dtype in (torch.bfloat16, torch.float16):
            return self._summed_anew(func, args, out)
        if out.dtype not in (torch.float32, torch.float64) or out.numel() == 0 or is_exact(str(func)):
            return out
        eps = torch.finfo(out.dtype).eps / 2
        with torch.utils._python_dispatch._disable_current_modes():
            sign = self.signs(out.numel(), out.dtype).view(out.shape)
            noisy = (sign * (eps * walk(reduced(str(func), args, out)))).add_(1).mul_(out)  # infinities stay
            extra = _cancelled(str(func), args, out, eps)
            if extra is not None:
                noisy.addcmul_(sign, extra)
            return out.copy_(noisy) if func._schema.is_mutable else noisy

    def _summed_anew(self, func: Any, args: Any, out: torch.Tensor) -> torch.Tensor:
        with torch.utils._python_dispatch._disable_current_modes():
            spread = _sum_error(str(func), args)
            if spread is None:
                return out
            sign = self.signs(out.numel(), torch.float32).view(out.shape)
            noisy = out.float().addcmul_(sign, spread).to(out.dtype)
            return out.copy_(noisy) if func._schema.is_mutable else noisy

    def signs(self, count: int, dtype: torch.dtype) -> torch.Tensor:
        """`count` random signs: a random stretch of a long tape, repeated in outputs longer than it."""
        tape = _tape(dtype, min(TAPE, 1 << count.bit_length()))
        start = int(torch.randint(0, tape.numel() // 2, (), generator=self.generator))
        found = tape[start : start + count]
        return (
            found if found.numel() == count else tape.repeat(count // tape.numel() + 2)[start : start + count]
        )


TAPE = 1 << 23  # signs; with an odd remainder, so that its repetitions do not line up with rows


@cache
def _tape(dtype: torch.dtype, count: int) -> torch.Tensor:
    """Random signs, twice as many as asked for."""
    with torch.utils._python_dispatch._disable_current_modes():
        raw = torch.randint(
            0, 256, (count // 4 + 1,), generator=torch.Generator().manual_seed(5), dtype=torch.uint8
        )
        bits = (raw.unsqueeze(1) >> torch.arange(8, dtype=torch.uint8)).bitwise_and_(1).flatten()
        return bits[: 2 * count + 7].to(dtype).mul_(2).sub_(1)


_EXACT = ("relu", "max", "min", "where", "gather", "index", "neg", "abs", "fill", "zeros", "ones", "full", "arange", "sort", "masked", "cat",
          "threshold", "sign", "clamp", "tril", "triu", "_to", "scatter", "constant_pad", "hardtanh", "flip", "roll", "stack", "repeat")  # fmt: skip


def is_exact(name: str) -> bool:
    """Operators that round nothing."""
    return any(name.startswith(f"aten.{e}") for e in _EXACT)


def reduced(name: str, args: Any, out: torch.Tensor) -> int:
    """How many elements go into one, for reductions, scans and norms; 1 for the rest (matrix products have their own variants)."""
    source = next((a for a in args if isinstance(a, torch.Tensor)), None)
    if source is None or source.numel() == 0:
        return 1
    if "cum" in name:
        dim = next((a for a in args[1:] if isinstance(a, int)), 0)
        return max(1, source.shape[dim] if source.dim() else 1) * 8
    if "norm" in name or "softmax" in name:
        return max(
            1,
            source.numel()
            // max(1, min(source.shape[0] if source.dim() else 1, source.shape[-1] if source.dim() else 1)),
        )
    if any(k in name for k in ("mm", "conv", "linear", "dot", "mv", "attention")):
        return 1
    return max(1, source.numel() // max(1, out.numel()))


def walk(n: float) -> float:
    """Relative error, in half units of the last place, of n additions in eight partial sums (about 0.06 sqrt n where terms of unlike size meet, at least 1)."""
    return max(1.0, 0.06 * math.sqrt(n))


def _cancelled(name: str, args: Any, out: torch.Tensor, eps: float) -> torch.Tensor | None:
    """What cancellation adds in sums and means: the error is that of the terms, not of the small result."""
    if name.startswith("aten.convolution"):
        return _neighbours(args, eps)
    if not (name.startswith(("aten.sum", "aten.mean")) or "cumsum" in name) or not isinstance(
        args[0], torch.Tensor
    ):
        return None
    x = args[0]
    if not x.is_floating_point() or x.numel() == 0:
        return None
    n = reduced(name, args, out)
    spread = (
        float(x.double().square().mean().sqrt())
        * math.sqrt(n)
        * eps
        * max(1.0, 0.1 * math.sqrt(math.log2(n + 1)))
    )
    return (
        torch.full_like(out, spread / (n if name.startswith("aten.mean") else 1))
        if math.isfinite(spread)
        else None
    )


OPERANDS = {"mm": 0, "bmm": 0, "addmm": 1, "baddbmm": 1}  # where they start among the arguments


def _sum_error(name: str, args: Any) -> torch.Tensor | None:
    """What the order of n additions in float32 changes in a product, one after the other: where large terms cancel, that is more than
    the result's own rounding to 16 bits. A random walk from partial sums as large as the terms' root sum of squares, and four times that,
    since results of 16 bits have a quarter of float32's multiple."""
    op = name.split(".")[1]
    if op == "convolution":
        x, weight = (t.float().square() for t in args[:2])
        n, energy = weight[0].numel(), torch.convolution(x, weight, None, *args[3:9])
    elif op in OPERANDS:
        a, b = (t.float().square() for t in args[OPERANDS[op] :][:2])
        n, energy = a.shape[-1], a @ b
    else:
        return None
    return energy.sqrt_() * (2 * torch.finfo(torch.float32).eps * max(1.0, 0.25 * math.sqrt(n)))


REACH = 3  # places beyond an output's own window that its tile of inputs covers, at most: tiles of four outputs, F(4x4, 3x3)
TRANSFORMS = 2  # half units in the last place of a sum as large as its terms together: F(4x4, 3x3) then reaches 0.4 to 0.85 of its tolerance


def _neighbours(args: Any, eps: float) -> torch.Tensor | None:
    """What Winograd's algorithm adds where it applies (stride 1, small dense kernels): its transforms mix the elements of a tile, so
    that the error is that of the largest value there (Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2016). Where an
    output lies in its tile is not known: every place that a tile of up to four outputs in a line may cover counts."""
    x, weight, _, stride, padding, dilation, transposed, extra, groups = args[:9]
    kernel = weight.shape[2:]
    if (
        transposed
        or len(kernel) not in (1, 2)
        or max(stride) > 1
        or max(dilation) > 1
        or not 2 <= min(kernel) <= max(kernel) <= 7
    ):
        return None
    return torch.convolution(
        _largest_near(x.abs()), weight.abs(), None, stride, padding, dilation, transposed, extra, groups
    ) * (eps * TRANSFORMS)


def _largest_near(x: torch.Tensor) -> torch.Tensor:
    """The largest value within REACH places of each, along each of the one or two dimensions after the first two."""
    size = 2 * REACH + 1
    if x.dim() == 3:
        return torch.nn.functional.max_pool1d(x, size, stride=1, padding=REACH)
    rows = torch.nn.functional.max_pool2d(x, (1, size), stride=1, padding=(0, REACH))
    return torch.nn.functional.max_pool2d(rows, (size, 1), stride=1, padding=(REACH, 0))


_PRODUCTS = ("mm", "conv", "linear", "mv", "dot", "attention", "rnn", "lstm", "gru", "matmul")
_PICKING = ("aten.argmax", "aten.argmin", "aten.max.dim", "aten.min.dim", "aten.topk", "aten.sort")


class Picks(OperatorMode):
    """Remember what argmax and its like compared, so that a near tie is judged by value."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[tuple[torch.Tensor, torch.Tensor, int | None]] = []
        self.given: set[int] = (
            set()
        )  # storages of the inputs: nothing was rounded there, so the first of equal values is the answer
        self.products = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        self.products |= any(k in str(func) for k in _PRODUCTS)
        if str(func).startswith(_PICKING[:4]):
            indices = out if isinstance(out, torch.Tensor) else out[1]
            dim = args[1] if len(args) > 1 else kwargs.get("dim")
            self.made.append((indices, args[0], dim))
        return out

    def of(self, output: torch.Tensor) -> tuple[torch.Tensor, int | None] | None:
        """The values behind an output that is what one of them returned."""
        for indices, values, dim in self.made:
            if (
                indices.data_ptr() == output.data_ptr()
                and indices.numel() == output.numel()
                and values.is_floating_point()
                and values.untyped_storage().data_ptr() not in self.given
            ):
                return values, dim
        return None
