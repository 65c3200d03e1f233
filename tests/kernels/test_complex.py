"""Complex numbers and Fourier transforms: transforms stay library calls, what is around them is generated."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from tests.kernels.test_integration import agree, built, loaded
from tests.kernels.test_lower import all_of, calls
from torch import fft, nn

from kerf.kernels.ir import Contract, Library, Program, Reduce
from kerf.kernels.problem import from_module
from kerf.kernels.referee.variants import Picks, run_in_double


def reals(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def complexes(*shape: int) -> torch.Tensor:
    return torch.randn(
        *shape, dtype=torch.cfloat, generator=torch.Generator().manual_seed(len(shape) + sum(shape))
    )


def library(program: Program) -> list[str]:
    return [op.target.split(".")[1] for op in program.ops if isinstance(op, Library)]


ARITHMETIC = {
    "sizes": lambda z, w, x: z.abs() + w.angle() + z.sgn().real,
    "conjugates": lambda z, w, x: z.conj() * w + w.conj().resolve_conj(),
    "a conjugate": lambda z, w, x: z.conj(),
    "parts": lambda z, w, x: torch.complex(z.real.relu(), w.imag.relu()),
    "with reals": lambda z, w, x: 2.5 * z * x - x + z / (x.abs() + 1) + 1j * x,
    "with numbers": lambda z, w, x: (1 - 2j) * z + torch.add(w, z, alpha=2j) - (3 + 1j) + (1 + 1j - z),
    "quotients": lambda z, w, x: z / w + 1 / z + x / w + z.reciprocal() / (1 + 2j),
    "powers": lambda z, w, x: z**2 + w.square() + z**-1,
    "exponentials": lambda z, w, x: z.exp() + torch.exp(1j * x) + w.log(),
    "polar": lambda z, w, x: torch.polar(x.abs(), z.angle()) + torch.polar(x.abs(), 5 * x),
    "comparisons": lambda z, w, x: (z == z.clone()) & (z != w) & (w != x),
    "sums": lambda z, w, x: z.sum(1, keepdim=True) * w.mean((0, 1)) + z.cumsum(1),
    "norms": lambda z, w, x: torch.linalg.vector_norm(z, dim=1),
    "converted": lambda z, w, x: x.to(torch.cfloat) * 1j + z.to(torch.complex128),
    "constants": lambda z, w, x: z * torch.tensor([1 + 1j, 2, 3j, 4, 5, 6]) + torch.full((6,), 1 + 2j) + torch.ones_like(z),
}  # fmt: skip


def test_arithmetic_is_generated_and_passes_as_argument_and_result():
    assert library(all_of(ARITHMETIC, complexes(3, 4, 6), complexes(3, 4, 6) + 2, reals(3, 4, 6))) == []


def assigned(z: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    out = torch.zeros(3, 8, 9, dtype=torch.cfloat)
    out[:, :2, :3] = z[:, :2, :3]
    out[:, -2:, :3] += x[:, -2:, :3]
    out[:, 3] = 2j
    out *= 2
    return out


MOVED = {
    "assigned": assigned,
    "joined": lambda z, x: torch.cat([z, x, z.conj()], 1).roll((1, 2), (1, 2)).flip(2),
    "stacked": lambda z, x: torch.stack([z, x * 1j], -1).reshape(12, 12).T,
    "padded": lambda z, x: F.pad(z, (1, 2, 0, 3)),
    "chosen": lambda z, x: torch.where(x > 0, z, 0) + z.masked_fill(x > 0, 2j) + torch.where(x > 1, z, 1j),
    "picked": lambda z, x: z[:, torch.tensor([2, 0])] + z.unfold(2, 4, 2)[:, :2, 0, :1] + z.chunk(2, 1)[1],
    "shifted": lambda z, x: fft.fftshift(z, dim=(1, 2)) - fft.ifftshift(z),
}


def test_what_moves_complex_numbers_moves_both_parts():
    assert library(all_of(MOVED, complexes(3, 4, 6), reals(3, 4, 6))) == []


PRODUCTS = {
    "matmul": lambda z, w, m, x: z @ m,
    "of reals": lambda z, w, m, x: x.to(m.dtype) @ m + torch.einsum("abk,kn->abn", z, m.real.to(z.dtype)),
    "batched": lambda z, w, m, x: torch.bmm(z, w.mH),
    "modes": lambda z, w, m, x: torch.einsum("bix,iox->box", z, w[:, :4].transpose(0, 1)),
    "modes of weights": lambda z, w, m, x: torch.einsum("iox,bix->box", w[:, :4].transpose(0, 1), z),
    "three": lambda z, w, m, x: torch.einsum("abk,kn,k->abn", z, m, m[:, 0]),
    "sums": lambda z, w, m, x: torch.einsum("abk,abk->a", z, w) + torch.einsum("abk->a", z),
    "vectors": lambda z, w, m, x: z @ m[:, 0] + torch.dot(m[:, 0], m[:, 1]),
    "linear": lambda z, w, m, x: F.linear(z, m.T, m[0]) + torch.addmm(m[1], z[0], m),
}


def test_products_are_those_of_real_matrices():
    inputs = complexes(3, 4, 6), complexes(3, 4, 6) * 2, complexes(6, 5), reals(3, 4, 6)
    assert library(all_of(PRODUCTS, *inputs)) == []


def test_modes_are_mixed_by_one_product_for_each_place():
    program = calls(lambda a, b: torch.einsum("bix,iox->box", a, b), complexes(3, 4, 5), complexes(4, 6, 5))
    (product,) = [op for op in program.ops if isinstance(op, Contract)]
    assert product.out.shape == (5, 3, 6, 2)  # mode, batch, channel, part


def test_sums_without_matrices_compute_no_unread_part():
    program = calls(
        lambda a, b: torch.einsum("hn,hnl->hl", a, b.exp()).real, complexes(3, 4), complexes(3, 4, 5)
    )
    assert len([op for op in program.ops if isinstance(op, Reduce)]) == 1
    assert not any(isinstance(op, Contract) for op in program.ops)


TRANSFORMS = {
    "real": lambda x, z: fft.rfft(x, n=10).abs() + fft.rfft(x.flip(2), n=10, norm="forward").abs(),
    "of steps": lambda x, z: fft.rfft(x[:, :, ::2]).angle() + fft.ihfft(x[..., :3]).real,
    "of repeated rows": lambda x, z: fft.rfft(x[:1].expand(5, 4, 6), dim=0),
    "whole": lambda x, z: fft.fft2(x) * fft.fftn(x) + fft.ifft2(x, norm="ortho"),
    "one after the other": lambda x, z: fft.fft(fft.fft(x, dim=-1), dim=-2),
    "transposed": lambda x, z: fft.fft2(x.transpose(0, 2), dim=(0, 1)).imag,
    "complex": lambda x, z: fft.ifft2(fft.fft(z.conj(), dim=0), dim=(0, 1), norm="ortho"),
    "back": lambda x, z: fft.irfftn(z, s=(4, 7), dim=(1, 2)) + fft.irfft2(z, s=(4, 7)) + fft.hfft(z, n=7),
    "cosine": lambda x, z: (fft.fft(torch.cat([x[..., ::2], x[..., 1::2].flip(-1)], -1)) * torch.exp(-1j * torch.arange(6))).real,
}  # fmt: skip


def test_transforms_are_library_calls():
    program = all_of(TRANSFORMS, reals(3, 4, 6), complexes(3, 4, 6))
    assert set(library(program)) == {"_fft_r2c", "_fft_c2c", "_fft_c2r"}


def test_two_transforms_of_real_values_are_one_of_half_the_work():
    program = calls(lambda x: fft.fft(fft.fft(x, dim=-1), dim=-2).real, reals(2, 5, 6))
    (call,) = [op for op in program.ops if isinstance(op, Library)]
    assert call.target == "aten._fft_r2c.default" and call.args[1:] == ((1, 2), 0, True)


def test_inverse_transforms_over_several_dimensions_go_step_by_step():
    assert library(calls(lambda z: fft.irfft2(z * 2), complexes(2, 5, 4))) == ["_fft_c2c", "_fft_c2r"]


@pytest.mark.parametrize("hop", [4, 7])
def test_spectrograms_and_back(hop: int):
    window = torch.hann_window(16, periodic=False) + 0.1

    def there_and_back(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        s = torch.stft(x, 16, hop, window=window, return_complex=True)
        return s, torch.istft(s * 2, 16, hop, window=window), s.abs().mT @ torch.ones(9, 3)

    assert set(library(calls(there_and_back, reals(2, 72)))) == {"_fft_r2c", "_fft_c2r"}


def test_what_is_not_covered_stays_a_library_call():
    def rare(z: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return z.sqrt(), z.tanh().real, F.pad(z, (1, 2), value=2.0), torch.linalg.svdvals(z)

    assert set(library(calls(rare, complexes(2, 4, 4)))) == {"sqrt", "tanh", "pad", "_linalg_svd"}


class Spectral(nn.Module):
    """A layer of a Fourier neural operator, with complex weights, and its spectrum as a second result."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(complexes(3, 5, 4, 2))
        self.register_buffer("turn", torch.polar(torch.ones(2), torch.arange(2.0)).conj())

    def forward(self, x: torch.Tensor, z: torch.Tensor) -> tuple[torch.Tensor, ...]:
        modes = fft.rfft2(x)
        out = torch.zeros(x.shape[0], 5, x.shape[2], x.shape[3] // 2 + 1, dtype=torch.cfloat)
        out[:, :, :4, :2] = torch.einsum("bixy,ioxy->boxy", modes[:, :, :4, :2] * z, self.weight) * self.turn
        return F.gelu(fft.irfft2(out, s=x.shape[-2:])), modes, out.mT, fft.fft(z), fft.ifft2(x.mT).real


def test_a_drop_in_takes_and_gives_complex_tensors(tmp_path: Path):
    x, z = reals(2, 3, 8, 6), complexes(2, 4).t().conj()
    build = built(Spectral(), x, z)
    new = loaded(build, tmp_path)
    agree(new, build.problem.module, x, z)
    with torch.no_grad():
        want = build.problem.module(x, z)
        out = tuple(torch.empty_like(t).fill_(float("nan")) for t in want)
        new.run(x, z, out)
        kept = [t.clone() for t in new(x, z)]
        for made, given, right in zip(kept, out, want, strict=True):
            torch.testing.assert_close(given, right, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(made, right, rtol=1e-4, atol=1e-5)


def test_results_that_a_library_made_are_handed_on_and_stay(tmp_path: Path):
    x = reals(2, 8)
    build = built(_Inverse(), x)
    new = loaded(build, tmp_path)
    with torch.no_grad():
        first = new(x)
        before = first.clone()
        second = new(x + 1)
    assert first.data_ptr() != second.data_ptr() and torch.equal(first, before)


class _Inverse(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return fft.irfft(fft.rfft(x) * 2, n=8)


class _Turn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(complexes(4))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return (z * self.weight).abs()


def test_complex_arguments_are_drawn_and_the_reference_of_complex_weights_is_float64():
    problem = from_module(_Turn(), [complexes(3, 4)])
    for distribution in ("given", "normal", "sparse", "zeros"):
        (z,) = problem.contract.draw(torch.Generator().manual_seed(1), distribution)
        assert z.shape == (3, 4) and z.dtype == torch.complex64 and bool(z.imag.any())
    wide = run_in_double(problem.module, [z], Picks())
    assert wide is not None and wide[0].dtype == torch.float64


def test_a_spectrogram_lies_in_memory_as_its_transforms_do():
    def spectrogram(x: torch.Tensor) -> torch.Tensor:
        return torch.stft(x, 16, 4, window=torch.ones(16), return_complex=True).abs().add(1e-5).log()

    program = calls(spectrogram, reals(2, 72))
    assert program.buffers[program.outputs[0]].order == (0, 2, 1)
