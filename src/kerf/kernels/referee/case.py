"""One problem as the referee uses it: shared pools, weights in two versions, and reference answers by class of values."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch

from kerf.kernels.contract import HIDDEN, VISIBLE
from kerf.kernels.copying import copied
from kerf.kernels.problem import KernelProblem
from kerf.kernels.referee.pool import Outputs, Pool, laid_out, room, scatter, slack, write_arguments
from kerf.kernels.referee.protocol import Spec
from kerf.kernels.referee.tolerance import Expected, reference_outputs
from kerf.kernels.referee.values import Mixer
from kerf.kernels.referee.variants import run
from kerf.kernels.referee.worker import cushion_bytes
from kerf.kernels.tensors import memory_order

BATCH_BYTES, BATCH_MAX = 8 << 20, 16
ANSWER_BUDGET = 2 << 30  # bytes of inputs and answers kept for one problem
SAME_PLACE = 0.4  # how often a worker finds its arguments where its last call of that kind had them


@dataclass(frozen=True)
class Check:
    """Arguments of one class of values and what must come out."""

    name: str
    args: list[Any]
    expected: list[Expected]
    new_weights: bool = False
    sizes: str = ""


class Case:
    """`seed` is secret until the verdict: every value of the problem follows from it."""

    def __init__(self, problem: KernelProblem, seed: int, *, sizes: str = "") -> None:
        self.problem, self.seed, self.sizes = problem, seed, sizes
        self.module = problem.module
        self.example = problem.contract.draw(self._generator("example"), "given")
        results = run(self.module, self.example)
        self.orders = [memory_order(t) for t in results]  # how what a module returns lies in memory
        self.like = [t.contiguous() for t in results]  # for a native candidate that does not say otherwise
        tensors = [a for a in self.example if isinstance(a, torch.Tensor)]
        size = max(room(tensors), room(self.like))
        self.batch = max(1, min(BATCH_MAX, BATCH_BYTES // size))
        self.inputs = Pool(self.batch * (room(tensors) + slack(room(tensors)) // self.batch), sealed=True)
        self.output_bytes = self.batch * (room(self.like) + slack(room(self.like)) // self.batch)
        self.states = self._states()
        self.params, self.weights = self._parameters()
        self._checks: dict[str, Check] = {}
        self._mixer: Mixer | None = None
        self._laid_out: WeakKeyDictionary[Pool, Sequence[torch.Tensor]] = WeakKeyDictionary()
        self.last: WeakKeyDictionary[Pool, list[list[int]]] = WeakKeyDictionary()

    def _generator(self, name: str) -> torch.Generator:
        return torch.Generator().manual_seed(random.Random(f"{self.seed}/{name}").getrandbits(62))

    # ------------------------------------------------------------ weights

    def _states(self) -> list[dict[str, torch.Tensor]]:
        """The problem's weights, and others of the same scale (parameters only: a buffer may be a mask)."""
        first = {k: v.detach() for k, v in self.module.state_dict().items() if isinstance(v, torch.Tensor)}
        trained = {k for k, _ in self.module.named_parameters(remove_duplicate=False)}
        generator = self._generator("weights")
        second = {
            k: _scaled(v, generator) if k in trained and v.is_floating_point() else v
            for k, v in first.items()
        }
        return [first, second]

    def _parameters(self) -> tuple[Pool, list[list[tuple[str, Spec]]]]:
        tensors = [t for state in self.states for t in state.values()]
        pool = Pool(room(tensors), sealed=True)
        rng = random.Random(f"{self.seed}/places")
        offsets = scatter(tensors, 0, pool.size, rng)
        places = write_arguments(pool, tensors, offsets)
        count = len(self.states[0])
        return pool, [
            list(zip(state, places[i * count : (i + 1) * count])) for i, state in enumerate(self.states)
        ]

    @property
    def has_weights(self) -> bool:
        return any(not torch.equal(a, b) for a, b in zip(self.states[0].values(), self.states[1].values()))

    # ------------------------------------------------------------ reference answers

    def names(self) -> tuple[str, ...]:
        """The classes of values that are checked, as many as fit in memory, and new weights where there are weights."""
        each = sum(
            t.numel() * t.element_size()
            for t in [*self.like, *(a for a in self.example if isinstance(a, torch.Tensor))]
        )
        fit = max(3, ANSWER_BUDGET // max(1, each))
        order = ("given", *HIDDEN[:2], "heavy", "large", "negative", "zeros", "tiny", "normal", *HIDDEN[2:])
        assert set(order) == {*VISIBLE, *HIDDEN}
        return (*order[:fit], *(("weights",) if self.has_weights else ()))

    def check(self, name: str) -> Check:
        """Computed once, then kept."""
        if name not in self._checks:
            self._checks[name] = self._check(name)
        return self._checks[name]

    def _check(self, name: str) -> Check:
        new = name == "weights"
        args = self.problem.contract.draw(self._generator(name), "given" if new else name)
        module = self.module
        if new:
            module = copied(module)
            module.load_state_dict(self.states[1])
        return Check(
            name,
            args,
            reference_outputs(
                module,
                args,
                seed=self.seed & 0xFFFF,
                perturbed=2 if name == "given" else 1,
                few_terms=name == "sparse",
            ),
            new,
            self.sizes,
        )

    def fresh(self, rng: random.Random) -> list[Any]:
        """Arguments like the given ones that no call has seen."""
        if self._mixer is None:
            self._mixer = Mixer(self.problem.contract, random.Random(f"{self.seed}/mixer").getrandbits(60))
        return self._mixer.mix(rng)

    # ------------------------------------------------------------ one message

    def place(
        self, sets: Sequence[Sequence[Any]], outputs: Pool, rng: random.Random, *, again: bool = False
    ) -> tuple[dict[str, Any], list[Outputs]]:
        """Write the arguments of some calls to new places, prepare as many outputs; the message that asks for them. `again`: surely to
        where this worker's last call had its arguments, which otherwise happens now and then."""
        calls, held, places = [], [], []
        shift = self._shift(outputs, rng)
        keep = self._same_place(outputs, len(sets)) if again or rng.random() < SAME_PLACE else None
        for i, args in enumerate(sets):
            tensors = [a for a in args if isinstance(a, torch.Tensor)]
            offsets = keep[i] if keep else scatter(tensors, *_part(self.inputs, i, len(sets)), rng)
            places.append(offsets)
            out = self.output(outputs, rng, i, len(sets))
            calls.append((write_arguments(self.inputs, args, offsets), out.places))
            held.append(out)
        self.last[outputs] = places
        return {"op": "call", "calls": calls, "shift": shift}, held

    def output(self, outputs: Pool, rng: random.Random, i: int = 0, n: int = 1) -> Outputs:
        """A new place in the i-th of n parts for the outputs of a call."""
        if outputs not in self._laid_out:
            self._laid_out[outputs] = laid_out(self.like, outputs.orders)
        like = self._laid_out[outputs]
        return Outputs(outputs, like, scatter(like, *_part(outputs, i, n), rng), rng)

    def _same_place(self, outputs: Pool, sets: int) -> list[list[int]] | None:
        """Where this worker's last call had its arguments, for the first of the coming calls."""
        before = self.last.get(outputs)
        if before is None or sets not in (1, len(before)):
            return None
        return before[::-1][:sets]

    def _shift(self, outputs: Pool, rng: random.Random) -> int:
        """By how much the worker's own allocations move in this call. The first time by the most, so that no later call grows its heap."""
        most = cushion_bytes(outputs.size) // 16 // 64 * 64
        return rng.randrange(0, most, 64) if outputs in self.last else most

    def close(self) -> None:
        self.inputs.close()
        self.params.close()


def _scaled(t: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    factor = torch.rand(t.shape, generator=generator, dtype=torch.float32) * 0.5 + 0.75
    return (t * factor.to(t.dtype)).contiguous()


def _part(pool: Pool, i: int, n: int) -> tuple[int, int]:
    """The i-th of n equal parts of a pool, on 64-byte boundaries."""
    part = pool.size // n // 64 * 64
    return i * part, (i + 1) * part
