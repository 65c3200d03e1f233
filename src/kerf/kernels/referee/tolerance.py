"""How far from the reference an answer may be, and why.

The error model: run the reference in float64, and in its own precision in several honest ways (as it is, without oneDNN, with every
intermediate result perturbed by the rounding that another order of summation could give). The largest error seen among elements of
one magnitude, times a stated multiple, is what any element of that magnitude may be off. Nothing in it depends on the candidate, a
zero or a constant never fits in it where the reference is not one, and it follows the output's own scale.

A rare element may cancel where its peers of the same size do not (sin(y) + expm1(y) at y = -17.28). So where few elements are beyond
their tolerance, each of these is looked at by itself: the largest error of many more perturbed variants at that very element, times
the same multiple."""

from __future__ import annotations

import copy
import ctypes
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from importlib.resources import files
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from kerf.core.types import KerfError
from kerf.kernels.referee.worker import tensors_of
from kerf.kernels.targets.cpu import native
from kerf.toolchain.compilers import compile_library, native_flags

MULTIPLE, MULTIPLE_NARROW = 16.0, 4.0  # for 32- and 64-bit floats; for 16-bit ones, whose rounding dominates
NEAR = 12  # a magnitude with few elements also looks up to this many powers of two upwards
FEW = 64
CLOSER = 12  # perturbed variants of the second look
RARE = 1e-3  # the second look is for at most this share of the elements (and always for FEW)
SOURCE = (
    "float64 reference; largest error of honest variants (native, without oneDNN, perturbed rounding and summation order) among elements "
    "of the same magnitude, times {multiple:g}"
)


@dataclass(frozen=True)
class Expected:
    """One output of the reference. `value`: float64 rounded to float32 (float64 outputs keep it); `table`: tolerance by float32
    exponent; `free`: where honest variants themselves disagree on NaN, infinity or the integer; `options`: integers the variants gave;
    `scores`: for argmax and the like, the float64 values that were compared, along `dim`; `closer`: the largest error of many more
    variants at each element, computed when it is first asked for."""

    value: torch.Tensor
    dtype: torch.dtype
    table: torch.Tensor | None = None
    free: torch.Tensor | None = None
    options: tuple[torch.Tensor, ...] = ()
    scores: torch.Tensor | None = None
    dim: int | None = None
    multiple: float = MULTIPLE
    closer: Callable[[], torch.Tensor] | None = None


@dataclass(frozen=True)
class Verdict:
    """`error` and `tolerance` are of the element nearest to (or furthest beyond) its tolerance."""

    passed: bool
    error: float
    tolerance: float
    text: str = ""


def reference_outputs(
    module: Any, args: Sequence[Any], *, seed: int = 0, perturbed: int = 2
) -> list[Expected]:
    """What the module should return for `args`, with tolerances from `perturbed` randomly rounded variants and the plain ones. The
    module is copied: its state does not change."""
    native = run(module, args)
    if (
        min((t.numel() for t in native), default=0) < FEW
    ):  # one element shows one sum of signs: look more often
        perturbed += 3
    picks = _Picks()
    exact = _double(module, args, picks) or native
    variants = [
        native,
        *_variants(module, args, range(seed, seed + perturbed), picks.products or exact is native),
    ]
    closer = _Closer(module, args, range(seed + perturbed, seed + perturbed + CLOSER))
    return [
        replace(_expected(exact[i], [v[i] for v in variants], picks), closer=partial(closer.errors, i))
        for i in range(len(native))
    ]


class _Closer:
    """The largest error at each element over further perturbed variants; nothing is computed or kept until it is asked for."""

    def __init__(self, module: Any, args: Sequence[Any], seeds: Sequence[int]) -> None:
        self.module, self.args, self.seeds = module, args, seeds

    @cached_property
    def _errors(self) -> list[torch.Tensor]:
        exact = [_real(t) for t in _double(self.module, self.args, _Picks()) or run(self.module, self.args)]
        worst = [torch.zeros_like(t) for t in exact]
        for seed in self.seeds:
            for variant in _variants(self.module, self.args, [seed], products=False):
                for known, right, found in zip(worst, exact, variant):
                    torch.maximum(known, (_real(found) - right).abs().nan_to_num(0.0, 0.0, 0.0), out=known)
        return worst

    def errors(self, output: int) -> torch.Tensor:
        return self._errors[output]


def _real(t: torch.Tensor) -> torch.Tensor:
    """In float64, complex numbers as pairs."""
    return torch.view_as_real(t.to(torch.complex128)) if t.is_complex() else t.double()


def run(module: Any, args: Sequence[Any]) -> list[torch.Tensor]:
    """The reference as it is, on copies."""
    own = copy.deepcopy(module)
    with torch.no_grad():
        return [t.detach().clone() for t in tensors_of(own(*(_copied(a) for a in args)))]


def _copied(value: Any) -> Any:
    return value.clone(memory_format=torch.preserve_format) if isinstance(value, torch.Tensor) else value


def _double(module: Any, args: Sequence[Any], picks: _Picks) -> list[torch.Tensor] | None:
    """The outputs in float64; None where the module cannot run so."""
    wide = [a.double() if isinstance(a, torch.Tensor) and a.is_floating_point() else a for a in args]
    picks.given = {a.untyped_storage().data_ptr() for a in wide if isinstance(a, torch.Tensor)}
    before = torch.get_default_dtype()
    try:
        own = copy.deepcopy(module).double()
        torch.set_default_dtype(torch.float64)
        with torch.no_grad(), picks:
            return [t.detach() for t in tensors_of(own(*wide))]
    except (RuntimeError, TypeError, ValueError, NotImplementedError):
        return None
    finally:
        torch.set_default_dtype(before)


def _variants(
    module: Any, args: Sequence[Any], seeds: Sequence[int], products: bool
) -> list[list[torch.Tensor]]:
    """`products`: there are matrix products or convolutions, which oneDNN may compute otherwise."""
    ways: list[Callable[[], Any]] = [partial(_Perturbed, seed) for seed in seeds]
    ways += [_without_onednn] if products else []
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


class _Perturbed(TorchDispatchMode):
    """Multiply what each operator makes by 1 + the rounding error that an honest implementation could add: one unit in the last
    place, and for a reduction the random walk of n additions in eight partial sums."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func.is_view or "copy" in str(func) or "empty" in str(func):
            return out
        if isinstance(out, torch.Tensor):
            return self._noisy(func, args, out)
        if isinstance(out, tuple):
            return (
                type(out)(self._noisy(func, args, o) if isinstance(o, torch.Tensor) else o for o in out)
                if type(out) is tuple
                else out
            )
        return out

    def _noisy(self, func: Any, args: Any, out: torch.Tensor) -> torch.Tensor:
        if out.dtype not in (torch.float32, torch.float64) or out.numel() == 0 or _exact(str(func)):
            return out
        eps = torch.finfo(out.dtype).eps / 2
        with torch.utils._python_dispatch._disable_current_modes():
            sign = self._signs(out.numel(), out.dtype).view(out.shape)
            noisy = (sign * (eps * _walk(str(func), args, out))).add_(1).mul_(out)  # infinities stay
            extra = _cancelled(str(func), args, out, eps)
            if extra is not None:
                noisy.addcmul_(sign, extra)
            return out.copy_(noisy) if func._schema.is_mutable else noisy

    def _signs(self, count: int, dtype: torch.dtype) -> torch.Tensor:
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


def _exact(name: str) -> bool:
    """Operators that round nothing."""
    return any(name.startswith(f"aten.{e}") for e in _EXACT)


def _reduced(name: str, args: Any, out: torch.Tensor) -> int:
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


def _walk(name: str, args: Any, out: torch.Tensor) -> float:
    """Relative error, in half units of the last place, of n additions in eight partial sums (about 0.06 sqrt n where terms of unlike size meet, at least 1)."""
    return max(1.0, 0.06 * math.sqrt(_reduced(name, args, out)))


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
    n = _reduced(name, args, out)
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


def _neighbours(args: Any, eps: float) -> torch.Tensor | None:
    """What Winograd's algorithm adds where it applies (stride 1, small dense kernels): its transforms mix neighbouring elements, so
    that the error is that of the largest value nearby (Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2016)."""
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
    pool = torch.nn.functional.max_pool2d if len(kernel) == 2 else torch.nn.functional.max_pool1d
    near = pool(x.abs(), 3, stride=1, padding=1)
    return (
        torch.convolution(near, weight.abs(), None, stride, padding, dilation, transposed, extra, groups)
        * eps
    )


_PRODUCTS = ("mm", "conv", "linear", "mv", "dot", "attention", "rnn", "lstm", "gru", "matmul")
_PICKING = ("aten.argmax", "aten.argmin", "aten.max.dim", "aten.min.dim", "aten.topk", "aten.sort")


class _Picks(TorchDispatchMode):
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


def _expected(exact: torch.Tensor, variants: list[torch.Tensor], picks: _Picks) -> Expected:
    native = variants[0]
    if not (native.is_floating_point() or native.is_complex()):
        return _expected_integer(exact, variants, picks)
    if native.is_complex():
        exact, variants, native = (
            torch.view_as_real(exact),
            [torch.view_as_real(v) for v in variants],
            torch.view_as_real(native),
        )
    multiple = MULTIPLE if native.dtype in (torch.float32, torch.float64) else MULTIPLE_NARROW
    kept = exact.to(torch.float64 if native.dtype == torch.float64 else torch.float32)
    surveyed = _surveyed(exact, variants, multiple)
    if surveyed is not None:
        return Expected(kept, native.dtype, *surveyed, multiple=multiple)
    rounded = exact.to(native.dtype)
    free = torch.zeros(native.shape, dtype=torch.bool)
    for variant in variants:
        free |= _category(variant) != _category(rounded)
    table = error_table(exact.double(), [v.double() for v in variants], native.dtype, free, multiple)
    return Expected(kept, native.dtype, table, free if bool(free.any()) else None, multiple=multiple)


def _surveyed(
    exact: torch.Tensor, variants: list[torch.Tensor], multiple: float
) -> tuple[torch.Tensor, torch.Tensor | None] | None:
    """The error table and the free elements, in two passes of C; None where the types ask for the torch form of the same."""
    library = _library()
    if library is None or exact.dtype != torch.float64 or any(v.dtype != torch.float32 for v in variants):
        return None
    exact, n = exact.contiguous(), ctypes.c_long(exact.numel())
    free, variants = torch.zeros(exact.shape, dtype=torch.bool), [v.contiguous() for v in variants]
    worst, counts = torch.zeros(256, dtype=torch.float64), torch.zeros(256, dtype=torch.int64)
    library.disagree_f32.restype = ctypes.c_long
    odd = sum(library.disagree_f32(_at_memory(exact), _at_memory(v), _at_memory(free), n) for v in variants)
    for v in variants:
        library.survey_f32(
            _at_memory(exact),
            _at_memory(v),
            _at_memory(free if odd else None),
            n,
            _at_memory(worst),
            _at_memory(counts),
        )
    return _smoothed(worst, counts // len(variants), torch.float32, multiple), free if odd else None


def _at_memory(tensor: torch.Tensor | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())


def _expected_integer(exact: torch.Tensor, variants: list[torch.Tensor], picks: _Picks) -> Expected:
    native, exact = variants[0], exact.to(variants[0].dtype)
    options = tuple(v for v in variants if not torch.equal(v, exact))
    found = picks.of(exact) if native.dtype in (torch.int64, torch.int32) else None
    scores, dim = found if found else (None, None)
    return Expected(exact, native.dtype, options=options, scores=scores, dim=dim)


def _category(x: torch.Tensor) -> torch.Tensor:
    """0 finite, 1 NaN, 2 infinity, 3 minus infinity."""
    return (
        torch.isnan(x).to(torch.int8)
        + torch.isposinf(x).to(torch.int8) * 2
        + torch.isneginf(x).to(torch.int8) * 3
    )


def exponent(x: torch.Tensor) -> torch.Tensor:
    """The biased float32 exponent of each element, 0 (zero, denormal) to 255."""
    return (x.float().contiguous().view(torch.int32) >> 23) & 0xFF


def error_table(
    exact: torch.Tensor,
    variants: Sequence[torch.Tensor],
    dtype: torch.dtype,
    free: torch.Tensor,
    multiple: float,
) -> torch.Tensor:
    """256 tolerances, by exponent. Non-decreasing: what a small element may be off, a larger one may too."""
    index = exponent(exact).flatten().long()
    usable = torch.isfinite(exact).flatten() & ~free.flatten()
    index = index[usable]
    worst = torch.zeros(256, dtype=torch.float64)
    for variant in variants:
        error = (variant - exact).abs().flatten()[usable].nan_to_num()
        worst.scatter_reduce_(0, index, error, "amax")
    counts = torch.bincount(index, minlength=256)
    return _smoothed(worst, counts, dtype, multiple)


def _enough(counts: torch.Tensor, e: int) -> int:
    """Where the window of magnitudes from `e` upwards ends: FEW elements, or NEAR powers of two."""
    total, end = int(counts[e]), e + 1
    while total < FEW and end < min(256, e + NEAR + 1):
        total, end = total + int(counts[end]), end + 1
    return end


def _smoothed(worst: torch.Tensor, counts: torch.Tensor, dtype: torch.dtype, multiple: float) -> torch.Tensor:
    info = torch.finfo(dtype)
    size = torch.ldexp(
        torch.ones(256, dtype=torch.float64), torch.arange(256) - 127
    )  # the lower end of each binade
    scale = torch.tensor(
        [float(worst[e : _enough(counts, e)].max()) for e in range(256)], dtype=torch.float64
    )
    scale = torch.cummax(scale, 0).values
    seen = torch.nonzero(counts[1:])
    if len(
        seen
    ):  # a zero may be a sum that cancelled, or one that a ReLU cut: as far off as the smallest elements that are not zero
        lowest = int(seen[0]) + 1
        scale[: lowest + 1] = scale[lowest]
    upper = (counts.cumsum(0) >= 0.9 * counts.sum()).nonzero() if int(counts.sum()) else None
    typical = float(size[int(upper[0])]) if upper is not None else 0.0
    # the last term: float64 itself cancels (1 + erf), where a better formula gives what is left
    floor = size * 2 * info.eps + info.tiny + typical * 2.0**-48
    return torch.maximum(scale * multiple, floor * (2 if multiple == MULTIPLE else 1))


def compare(answer: torch.Tensor, expected: Expected, slack: float = 1.0) -> Verdict:
    """Judge one output. NaN and infinities must be where the reference has them."""
    if expected.table is None:
        return _compare_integer(answer, expected)
    if answer.is_complex():
        answer = torch.view_as_real(answer)
    if answer.shape != expected.value.shape:
        return Verdict(
            False, math.inf, 0.0, f"shape {list(answer.shape)} instead of {list(expected.value.shape)}"
        )
    wide = answer if answer.dtype in (torch.float32, torch.float64) else answer.float()
    found = _fast(wide, expected, slack) or _careful(wide, expected, slack)
    rare = max(FEW, RARE * wide.numel())
    if expected.closer is not None and not found.odd and 0 < found.beyond <= rare:
        found = _careful(wide, expected, slack, expected.closer() * expected.multiple)
    return found.verdict(wide, expected.value)


@dataclass(frozen=True)
class _Found:
    """The worst element, in units of its tolerance, and how many are beyond theirs or not finite where they should be."""

    share: float
    at: int
    error: float
    tolerance: float
    beyond: int
    odd: int
    first_odd: int

    def verdict(self, answer: torch.Tensor, value: torch.Tensor) -> Verdict:
        n, at = answer.numel(), self.first_odd if self.odd else self.at
        if not self.odd and not self.beyond:
            return Verdict(True, self.error, self.tolerance)
        said = f"element {at} is {float(answer.flatten()[at]):.8g}, expected {float(value.flatten()[at]):.8g}"
        if self.odd:
            return Verdict(False, math.inf, 0.0, f"{said} ({self.odd} of {n} elements)")
        text = (
            f"{said}: off by {self.error:.3g}, tolerance {self.tolerance:.3g} ({self.beyond} of {n} elements)"
        )
        return Verdict(False, self.error, self.tolerance, text)


@cache
def _library() -> ctypes.CDLL | None:
    """compare.c, compiled once a machine; None without a compiler (then torch does the same in ten passes)."""
    chip = native()
    try:
        build = compile_library(
            (files(__package__) / "compare.c").read_text(), native_flags(chip.machine, chip.vector_bits)
        )
    except KerfError:
        return None
    return ctypes.CDLL(str(build.library)) if build.library else None


def _fast(answer: torch.Tensor, expected: Expected, slack: float) -> _Found | None:
    library, value, free = _library(), expected.value, expected.free
    if (
        library is None
        or answer.dtype != torch.float32
        or value.dtype != torch.float32
        or expected.table is None
    ):
        return None
    answer, value, table = answer.contiguous(), value.contiguous(), expected.table.float()
    result = (ctypes.c_double * 7)()
    at = [ctypes.c_void_p(t.data_ptr()) for t in (answer, value, table)]
    mask = ctypes.c_void_p(free.contiguous().data_ptr() if free is not None else None)
    limit = ctypes.c_double(torch.finfo(expected.dtype).max)
    library.compare_f32(*at, mask, ctypes.c_long(answer.numel()), ctypes.c_double(slack), limit, result)
    share, index, error, tolerance, beyond, odd, first = result
    return _Found(share, int(index), error, tolerance, int(beyond), int(odd), int(first))


def _careful(
    answer: torch.Tensor, expected: Expected, slack: float, own: torch.Tensor | None = None
) -> _Found:
    """The same in torch, for float64, and where elements have tolerances of their `own`, if these are larger."""
    value, free = expected.value.to(answer.dtype), expected.free
    assert expected.table is not None
    tolerance = expected.table.to(answer.dtype)[exponent(value).long()] * slack
    if own is not None:
        tolerance = torch.maximum(tolerance, own.to(answer.dtype) * slack)
    error = (answer - value).abs()
    odd = _category(answer) != _category(value.to(expected.dtype).to(answer.dtype))
    share = torch.where(torch.isfinite(error), error / tolerance, torch.zeros_like(error))
    if free is not None:
        odd, share = odd & ~free, share.masked_fill(free, 0.0)
    at = int(share.argmax()) if share.numel() else 0
    worst = [float(t.flatten()[at]) if t.numel() else 0.0 for t in (share, error, tolerance)]
    first = int(odd.flatten().to(torch.uint8).argmax()) if bool(odd.any()) else -1
    return _Found(worst[0], at, worst[1], worst[2], int((share > 1).sum()), int(odd.sum()), first)


def _share(bad: torch.Tensor) -> str:
    return f"{int(bad.sum())} of {bad.numel()} elements"


def _compare_integer(answer: torch.Tensor, expected: Expected) -> Verdict:
    if answer.dtype == torch.bool and bool((answer.view(torch.uint8) > 1).any()):
        return Verdict(False, 1.0, 0.0, "a bool that is neither 0 nor 1: not written")
    good = answer == expected.value
    for option in expected.options:
        good |= answer == option
    if expected.scores is not None and not bool(good.all()):
        good |= _near_ties(answer, expected)
    if bool(good.all()):
        return Verdict(True, 0.0, 0.0)
    at = int(torch.nonzero(~good.flatten())[0]) if good.dim() else 0
    return Verdict(
        False,
        1.0,
        0.0,
        f"element {at} is {answer.flatten()[at].item()}, expected {expected.value.flatten()[at].item()} ({_share(~good)})",
    )


def _near_ties(answer: torch.Tensor, expected: Expected) -> torch.Tensor:
    """An index whose value is within float32 rounding of the best one's is as right as the best."""
    scores, dim = expected.scores, expected.dim
    assert scores is not None
    flat = scores.flatten() if dim is None else scores
    along = 0 if dim is None else dim
    length = flat.shape[along]
    inside = (answer >= 0) & (answer < length)
    chosen, best = (
        torch.gather(flat, along, _at(i, flat, along)).reshape(answer.shape)
        for i in (answer.clamp(0, length - 1), expected.value)
    )
    return inside & ((chosen - best).abs() <= 16 * 1.2e-7 * best.abs() + 1e-38)


def _at(index: torch.Tensor, flat: torch.Tensor, along: int) -> torch.Tensor:
    if flat.dim() == 1:
        return index.reshape(-1).long()
    return (index if index.dim() == flat.dim() else index.unsqueeze(along)).long()
