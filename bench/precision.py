"""How far products of float32 are off on this machine: generated, on matrix registers and on vectors; PyTorch's; and two parts where three are due.

    python bench/precision.py [--sizes 256 1024 2048] [--seed 0]

Square matrices of normal values; the largest and the root mean square difference from the product in float64, and the referee's tolerance for
elements of median size. "two parts" is computed in float64 from the bfloat16 parts: what three products of parts would give at best. Without
matrix registers the generated product has one row.
"""

from __future__ import annotations

import argparse

import torch
from torch import nn

from kerf.kernels.build import builder
from kerf.kernels.codegen.amx import able
from kerf.kernels.codegen.standalone import standalone
from kerf.kernels.problem import from_module
from kerf.kernels.referee.tolerance import reference_outputs
from kerf.kernels.targets.cpu import native


class Product(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a @ b


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 1024, 2048])
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for size in args.sizes:
        torch.manual_seed(args.seed)
        a, b = torch.randn(size, size), torch.randn(size, size)
        exact = a.double() @ b.double()
        print(f"{size}: tolerance {_tolerance(a, b, exact):.2e}")
        for name, found in _products(a, b).items():
            off = (found.double() - exact).abs()
            print(f"  {name:18} largest {off.max():.2e}  root mean square {off.square().mean().sqrt():.2e}")


def _products(a: torch.Tensor, b: torch.Tensor) -> dict[str, torch.Tensor]:
    build = builder(from_module(Product(), [a, b]), threads=1)
    (piece,) = [p for p in build.assembly(build.space.default()).pieces if p.group is not None]
    assert piece.group is not None
    ways = ["amx", "panel"] if able(native()) else ["panel"]
    made = {w: standalone(piece.group, {"algorithm": w}).call([a, b])[0] for w in ways}
    return {**made, "PyTorch": a @ b, "two parts": _two_parts(a, b)}


def _two_parts(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    (ah, al), (bh, bl) = _parts(a), _parts(b)
    return ah @ bh + ah @ bl + al @ bh


def _parts(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    high = x.bfloat16().float()
    return high.double(), (x - high).bfloat16().double()


def _tolerance(a: torch.Tensor, b: torch.Tensor, exact: torch.Tensor) -> float:
    table = reference_outputs(Product(), [a, b])[0].table
    assert table is not None
    return float(table[127 + int(exact.abs().median().log2())])


if __name__ == "__main__":
    main()
