"""How far products of float32 values are off on this machine, and what the referee says of arithmetic with fewer bits.

    python bench/precision.py [--sizes 256 1024 2048] [--seeds 4] [--draws 20]

First, square matrices of normal values: generated, on matrix registers and on vectors; PyTorch's; and two bfloat16 parts where three are due,
computed in float64: what three products of parts would give at best. The largest and the root mean square difference from the product
in float64, and the referee's tolerance for elements of median size. Without matrix registers the generated product has one row.

Then problems of several kinds on sparse values, each computed in several ways: the root mean square error over the largest elements, in units of
what honest variants show (smallest and largest of the seeds). Above the limit an answer is wrong; "!" where single elements are beyond their
tolerance too. Of the honest ways the largest counts, of the others the smallest.

Last, with `--draws 20`, the honest Winograd kernels of the red team's corpus on convolutions of 1 to 256 channels and every class of values: in how
many draws they are called wrong, and the largest share of their tolerance that an element takes.
"""

from __future__ import annotations

import argparse
import math
import runpy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from kerf.kernels.build import builder
from kerf.kernels.codegen.amx import able
from kerf.kernels.codegen.standalone import standalone
from kerf.kernels.contract import Contract, Rule
from kerf.kernels.problem import from_module, load_problem
from kerf.kernels.redteam import shipped_corpus
from kerf.kernels.referee.case import Case
from kerf.kernels.referee.compare import compare
from kerf.kernels.referee.precision import MULTIPLE
from kerf.kernels.referee.tolerance import reference_outputs
from kerf.kernels.targets.cpu import native

Tensor = torch.Tensor
Arithmetic = Callable[[Tensor, Tensor], Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="*", default=[256, 1024, 2048])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--draws", type=int, default=0)
    args = parser.parse_args()
    for size in args.sizes:
        _square(size)
    print(f"\nerror / error of honest variants; limit {MULTIPLE:g}\n\n| problem | " + " | ".join(WAYS) + " |")
    print("|---" * (len(WAYS) + 1) + "|")
    for family in FAMILIES:
        print(_row(family, args.seeds), flush=True)
    for kernel in ("conv_winograd", "conv_winograd_4") if args.draws else ():
        for channels, side in TILED:
            print(_tiled(kernel, channels, side, args.draws), flush=True)


# ---------------------------------------------------------------- convolutions by tiles

TILED = ((1, 23), (3, 32), (5, 23), (16, 23), (64, 16), (256, 14))  # channels, and the side of an image


def _tiled(kernel: str, channels: int, side: int, draws: int) -> str:
    """One line: the draws in which the corpus' honest `kernel` is called wrong, and the largest share of a tolerance."""
    corpus = shipped_corpus()
    sizes = {"channels": channels, "filters": 16, "height": side, "width": side, "batch": 1}
    problem = load_problem(corpus / "problems" / "conv.py", sizes)
    model = runpy.run_path(str(corpus / "honest" / f"{kernel}.py"))["ModelNew"](channels, 16)
    wrong, share = 0, 0.0
    for seed in range(draws):
        case = Case(problem, seed)
        verdicts = []
        for name in case.names():
            model.load_state_dict(case.states[name == "weights"])
            with torch.no_grad():
                verdicts.append(compare(model(*case.check(name).args), case.check(name).expected[0]))
        case.close()
        wrong += not all(v.passed for v in verdicts)
        share = max(share, *(v.error / v.tolerance for v in verdicts))
    return f"{kernel:16} {channels:4} channels: wrong in {wrong} of {draws}, at most {share:.2f} of the tolerance"


# ---------------------------------------------------------------- square matrices


class Product(nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a @ b


def _square(size: int) -> None:
    torch.manual_seed(0)
    a, b = torch.randn(size, size), torch.randn(size, size)
    exact = a.double() @ b.double()
    table = reference_outputs(Product(), [a, b])[0].table
    assert table is not None
    print(f"{size}: tolerance {float(table[127 + int(exact.abs().median().log2())]):.2e}")
    for name, found in _products(a, b).items():
        off = (found.double() - exact).abs()
        print(f"  {name:18} largest {off.max():.2e}  root mean square {off.square().mean().sqrt():.2e}")


def _products(a: Tensor, b: Tensor) -> dict[str, Tensor]:
    build = builder(from_module(Product(), [a, b]), threads=1)
    (piece,) = [p for p in build.assembly(build.space.default()).pieces if p.group is not None]
    assert piece.group is not None
    ways = ["amx", "panel"] if able(native()) else ["panel"]
    made = {w: standalone(piece.group, {"algorithm": w}).call([a, b])[0] for w in ways}
    return {**made, "PyTorch": a @ b, "two parts": two_parts(a, b)}


# ---------------------------------------------------------------- arithmetic


def _parts(x: Tensor, count: int) -> list[Tensor]:
    found = []
    for _ in range(count):
        found.append(x.bfloat16().float())
        x = x - found[-1]
    return found


def in_order(a: Tensor, b: Tensor) -> Tensor:
    """One accumulator."""
    total = a[..., :1] * b[..., :1, :]
    for k in range(1, a.shape[-1]):
        total = total + a[..., k : k + 1] * b[..., k : k + 1, :]
    return total


def six_products(a: Tensor, b: Tensor) -> Tensor:
    (a0, a1, a2), (b0, b1, b2) = _parts(a, 3), _parts(b, 3)
    return a2 @ b0 + a0 @ b2 + a1 @ b1 + a1 @ b0 + a0 @ b1 + a0 @ b0


def five_products(a: Tensor, b: Tensor) -> Tensor:
    (a0, a1, a2), (b0, b1, _) = _parts(a, 3), _parts(b, 3)
    return a1 @ b1 + a2 @ b0 + a1 @ b0 + a0 @ b1 + a0 @ b0


def two_parts(a: Tensor, b: Tensor) -> Tensor:
    (ah, al), (bh, bl) = ([p.double() for p in _parts(x, 2)] for x in (a, b))
    return (al @ bh + ah @ bl + ah @ bh).float()


def sixteen_bits(a: Tensor, b: Tensor) -> Tensor:
    a, b = (torch.stack(_parts(x, 2)).double().sum(0) for x in (a, b))
    return (a @ b).float()


def ten_bits(a: Tensor, b: Tensor) -> Tensor:
    a, b = (
        ((x.contiguous().view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32).double() for x in (a, b)
    )
    return (a @ b).float()


def half_inputs(a: Tensor, b: Tensor) -> Tensor:
    return (a.half().double() @ b.half().double()).float()


def bfloat16_inputs(a: Tensor, b: Tensor) -> Tensor:
    return (a.bfloat16().double() @ b.bfloat16().double()).float()


def half_sums(a: Tensor, b: Tensor) -> Tensor:
    return in_order(a.half(), b.half()).float()


WAYS: dict[str, tuple[Arithmetic, bool]] = {
    "PyTorch's": (torch.matmul, True), "one accumulator": (in_order, True), "six products": (six_products, True),
    "five products": (five_products, False), "two parts": (two_parts, False), "16 bits": (sixteen_bits, False), "TF32": (ten_bits, False),
    "float16 operands": (half_inputs, False), "bfloat16 operands": (bfloat16_inputs, False), "float16 sums": (half_sums, False),
}  # fmt: skip


# ---------------------------------------------------------------- problems


class Function(nn.Module):
    """`call(product, *inputs, *weights)`."""

    def __init__(self, call: Callable[..., Tensor], weights: Sequence[Tensor]) -> None:
        super().__init__()
        self.call, self.weights = call, nn.ParameterList(map(nn.Parameter, weights))

    def forward(self, *args: Tensor) -> Tensor:
        return self.call(torch.matmul, *args, *self.weights)


@dataclass(frozen=True)
class Family:
    name: str
    shapes: tuple[tuple[int, ...], ...]
    call: Callable[..., Tensor]
    weights: tuple[tuple[int, ...], ...] = ()
    module: nn.Module | None = None


def _linear(product: Arithmetic, x: Tensor, w: Tensor) -> Tensor:
    return nn.functional.gelu(product(x, w))


def _perceptron(product: Arithmetic, x: Tensor, first: Tensor, second: Tensor) -> Tensor:
    return product(torch.relu(product(x, first)), second)


def _attention(product: Arithmetic, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = product(q, k.mT.contiguous()) / math.sqrt(q.shape[-1])
    powers = torch.exp(scores - scores.amax(-1, keepdim=True))
    total = powers.cumsum(-1)[..., -1:] if product is in_order else powers.sum(-1, keepdim=True)
    return product(powers, v) / total


def _direct(product: Arithmetic, x: Tensor, w: Tensor) -> Tensor:
    columns = nn.functional.unfold(x, 3, padding=1)
    return product(w.flatten(1).expand(len(x), -1, -1), columns).unflatten(2, x.shape[2:])


_TRANSFORMS = {
    2: ([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]], [[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]], 2,
        [[1, 1, 1, 0], [0, 1, -1, -1]]),
    4: ([[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0], [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]],
        [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]], 24,
        [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]),
}  # fmt: skip


def _winograd(m: int) -> Callable[..., Tensor]:
    """F(m x m, 3x3) of an image whose sides are multiples of m (Lavin and Gray, 2016)."""
    before, of_filter, over, after = _TRANSFORMS[m]
    b, g, a = (
        torch.tensor(before).float(),
        torch.tensor(of_filter).float() / over,
        torch.tensor(after).float(),
    )
    side = m + 2

    def call(product: Arithmetic, x: Tensor, w: Tensor) -> Tensor:
        tiles = nn.functional.pad(x, (1, 1, 1, 1)).unfold(2, side, m).unfold(3, side, m)
        n, c, high, wide = tiles.shape[:4]
        v = (b @ tiles @ b.T).permute(4, 5, 1, 0, 2, 3).reshape(side * side, c, -1)
        u = (g @ w @ g.T).permute(2, 3, 0, 1).reshape(side * side, -1, c)
        y = product(u, v).reshape(side, side, -1, n, high, wide).permute(2, 3, 4, 5, 0, 1)
        return (a @ y @ a.T).permute(1, 0, 2, 4, 3, 5).reshape(n, -1, m * high, m * wide)

    return call


class _Conv(nn.Module):
    def __init__(self, _: object, weights: Sequence[Tensor]) -> None:
        super().__init__()
        self.weights = nn.ParameterList(map(nn.Parameter, weights))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.conv2d(x, self.weights[0], padding=1)


class _Fused(nn.Module):
    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return nn.functional.scaled_dot_product_attention(q, k, v)


def _plain(product: Arithmetic, a: Tensor, b: Tensor) -> Tensor:
    return product(a, b)


def _conv(name: str, channels: int, filters: int, side: int, call: Callable[..., Tensor]) -> Family:
    return Family(
        f"{name}, {channels} channels", ((2, channels, side, side),), call, ((filters, channels, 3, 3),)
    )


FAMILIES = [
    Family("product, k = 96", ((48, 96), (96, 40)), _plain),
    Family("product, k = 1024", ((128, 1024), (1024, 128)), _plain),
    Family("product, k = 16384", ((32, 16384), (16384, 32)), _plain),
    Family("linear, GELU", ((64, 768),), _linear, ((768, 96),)),
    Family("two layers, ReLU", ((64, 256),), _perceptron, ((256, 2048), (2048, 64))),
    Family("attention", ((2, 512, 64),) * 3, _attention),
    Family("attention, fused", ((2, 2, 128, 32),) * 3, _attention, module=_Fused()),
    _conv("convolution", 3, 16, 32, _direct), _conv("convolution", 32, 16, 24, _direct), _conv("convolution", 256, 16, 12, _direct),
    _conv("F(2x2, 3x3)", 32, 16, 24, _winograd(2)), _conv("F(4x4, 3x3)", 3, 16, 32, _winograd(4)),
    _conv("F(4x4, 3x3)", 32, 16, 24, _winograd(4)), _conv("F(4x4, 3x3)", 256, 16, 12, _winograd(4)),
]  # fmt: skip


def _row(family: Family, seeds: int) -> str:
    found: dict[str, list[tuple[float, bool]]] = {name: [] for name in WAYS}
    for seed in range(seeds):
        for name, judged in _judged(family, seed).items():
            found[name].append(judged)
    cells = []
    for name, (_, honest) in WAYS.items():
        ratio = (max if honest else min)(r for r, _ in found[name])
        cells.append(f"{ratio:.2g}" + ("!" if all(beyond for _, beyond in found[name]) else ""))
    return f"| {family.name} | " + " | ".join(cells) + " |"


def _judged(family: Family, seed: int) -> dict[str, tuple[float, bool]]:
    """By arithmetic: the error of the largest elements in units of that of honest variants; are single elements too far off?"""
    generator = torch.Generator().manual_seed(seed)
    rules = tuple(Rule(f"x{i}", "float32", s) for i, s in enumerate(family.shapes))
    args = Contract(rules).draw(generator, "sparse")
    weights = [
        torch.randn(s, generator=generator) / math.sqrt(math.prod(s[1:]) if len(s) > 2 else s[0])
        for s in family.weights
    ]
    kind = _Conv if any(len(s) > 2 for s in family.weights) else Function
    module = family.module or kind(family.call, weights)
    expected = reference_outputs(module, args, seed=seed, few_terms=True)[0]
    spread = expected.spread
    assert spread is not None
    found = {}
    for name, (arithmetic, _) in WAYS.items():
        answer = family.call(arithmetic, *args, *weights)
        beyond = not compare(answer, replace(expected, spread=None)).passed
        found[name] = (spread.error(answer, expected.value) / spread.honest, beyond)
    return found


if __name__ == "__main__":
    main()
