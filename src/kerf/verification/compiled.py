"""Simulation of many runs at once in C: the interface of `lanes.Lanes`, and whole runs without a step of Python in between.

No code is made for a design. Its graph becomes a list of 3-input functions, and one C library, compiled once on a machine, runs any such list over
512-bit words (`compiled.c`): a design is ready in milliseconds, where straight code for it takes a compiler many seconds and runs no faster.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from kerf.core.types import KerfError
from kerf.verification.graph import Graph, Node
from kerf.verification.lanes import ALL, Lanes, Planes

WORDS = 8  # of a block; as in compiled.c
FLAGS = ("-O2", "-std=gnu11", "-Wno-psabi")


class NoCompiler(KerfError):
    """The library cannot be built on this machine."""


class CompiledLanes:
    """As `Lanes`, with 64 * `words` lanes; only `wanted` literals can be read, besides inputs and the latches that those depend on (without
    it: those of all named signals, and all latches). NoCompiler where there is none, KerfError for a literal that was not
    asked for."""

    def __init__(self, graph: Graph, words: int = 1, initial: Mapping[int, int] | None = None,
                 wanted: Sequence[int] | None = None) -> None:  # fmt: skip
        self.graph, self.words = graph, words
        self._library = library()
        self._blocks = -(-words // WORDS)
        named = (b for s in graph.signals.values() for b in s.bits)
        live = set(graph.latches if wanted is None else graph.cone(wanted))
        self._cover(set(named if wanted is None else wanted), [n for n in graph.latches if n in live])
        self.restart(initial)

    def _cover(self, wanted: set[int], latches: Sequence[int]) -> None:
        graph, count = self.graph, len(self.graph)
        kind = np.array(graph.kind, np.uint8)
        root = np.zeros(count, np.uint8)
        root[[w >> 1 for w in wanted] + [graph.left[n] >> 1 for n in latches]] = 1
        operation, segment = np.empty((count, 4), np.uint32), np.empty((count, 2), np.int32)
        self._slot, self._flip = np.empty(count, np.int32), np.empty(count, np.uint8)
        counts = np.zeros(3, np.int64)
        left, right = np.array(graph.left, np.int32), np.array(graph.right, np.int32)
        self._library.lanes_cover(
            count, _at(kind), _at(left), _at(right), _at(root), _at(operation), _at(segment), _at(self._slot), _at(self._flip), _at(counts)
        )  # fmt: skip
        self._readable = (root == 1) | (kind == Node.INPUT) | (kind == Node.CONSTANT)
        self._readable[list(latches)] = True
        self._operation, self._segment = operation[: counts[0]].copy(), segment[: counts[1]].copy()
        self._latch = self._slot[list(latches)].astype(np.uint32)
        self._next = self._codes([graph.left[n] for n in latches])
        self.values = _aligned(self._blocks, int(counts[2]))
        self._room = _aligned(1, max(len(self._latch), 1))

    @property
    def operations(self) -> int:
        return len(self._operation)

    def _codes(self, literals: Sequence[int] | np.ndarray) -> np.ndarray:
        """Where literals are: 2 * slot + inverted."""
        row = np.array(literals, np.int64)
        if not self._readable[row >> 1].all():
            raise KerfError("a value was read that the simulator was not made to keep: name it in `wanted`")
        return (2 * self._slot[row >> 1] + (self._flip[row >> 1] ^ (row & 1))).astype(np.uint32)

    def restart(self, initial: Mapping[int, int] | None = None) -> None:
        """Back to the initial state."""
        start = initial or {n: self.graph.right[n] for n in self.graph.latches}
        self.values[:, self._slot[self.graph.latches]] = 0
        ones = [n for n in self.graph.latches if start[n] == 1]
        self.values[:, self._slot[ones]] = ALL

    def set_word(self, name: str, value: int | Planes) -> None:
        """Drive an input word: a number for all lanes, or planes (bits, words)."""
        for index, bit in enumerate(self.graph.signals[name].bits):
            self.set_node(bit >> 1, value >> index & 1 if isinstance(value, int) else value[index])

    def set_node(self, node: int, value: int | np.ndarray) -> None:
        """An input or a latch: 0 or 1 for all lanes, or (words,) uint64."""
        row = self.values[:, self._slot[node]]
        row[:] = (ALL if value else 0) if isinstance(value, int) else self._padded(value)

    def _padded(self, row: np.ndarray) -> np.ndarray:
        made = np.zeros(self._blocks * WORDS, np.uint64)
        made[: self.words] = row
        return made.reshape(self._blocks, WORDS)

    def evaluate(self) -> None:
        for block in self.values:
            self._library.lanes_evaluate(
                _at(block), _at(self._operation), _at(self._segment), len(self._segment)
            )

    def clock(self) -> None:
        for block in self.values:
            self._library.lanes_step(_at(block), _at(self._latch), _at(self._next), len(self._latch), _at(self._room))  # fmt: skip

    def literal(self, literal: int) -> np.ndarray:
        """(words,) uint64: the lanes' values of a literal."""
        return np.asarray(self.planes([literal])[0])

    def planes(self, bits: Sequence[int] | np.ndarray) -> Planes:
        """(bits, words): the lanes' values of a word given by its literals."""
        codes = self._codes(bits)
        rows = self.values[:, codes >> 1].transpose(1, 0, 2).reshape(len(codes), -1)[:, : self.words]
        return rows ^ ((codes & 1).astype(np.uint64)[:, None] * ALL)

    def word(self, name: str, lane: int = 0) -> int:
        """A signal's value in one lane."""
        rows = self.planes(self.graph.signals[name].bits)[:, lane >> 6] >> np.uint64(lane & 63)
        return sum(int(b & np.uint64(1)) << i for i, b in enumerate(rows))

    def run(self, inputs: Sequence[int], stimulus: np.ndarray, watch: Sequence[int] | np.ndarray, *, keep: bool = False,
            expected: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
        """As `Lanes.run`."""
        drive = self._slot[list(inputs)].astype(np.uint32)
        codes = self._codes(watch)
        cycles, wide = len(stimulus), stimulus.ndim == 3
        stimulus = np.ascontiguousarray(stimulus, np.uint64)
        wanted = None if expected is None else np.ascontiguousarray(expected, np.uint8)
        out = np.zeros(((cycles,) if keep else ()) + (len(codes), self.words), np.uint64)
        program = _Program(
            _at(self._operation), _at(self._segment), len(self._segment), _at(self._latch), _at(self._next), len(self._latch), _at(self._room),
            _at(drive), len(drive), _at(codes), len(codes),
        )  # fmt: skip
        for index, block in enumerate(self.values):
            words = min(WORDS, self.words - index * WORDS)
            shift = index * WORDS * 8
            self._library.lanes_run(
                _at(block), ctypes.byref(program), cycles, _at(stimulus, shift if wide else 0), self.words if wide else 0, words,
                _at(wanted), int(keep), _at(out, shift), self.words,
            )  # fmt: skip
        return out


class _Program(ctypes.Structure):
    _fields_ = [
        ("operation", ctypes.c_void_p), ("segment", ctypes.c_void_p), ("segments", ctypes.c_long),
        ("latch", ctypes.c_void_p), ("next", ctypes.c_void_p), ("latches", ctypes.c_long), ("room", ctypes.c_void_p),
        ("input", ctypes.c_void_p), ("inputs", ctypes.c_long), ("watch", ctypes.c_void_p), ("watches", ctypes.c_long),
    ]  # fmt: skip


def _at(array: np.ndarray | None, shift: int = 0) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if array is None else array.ctypes.data + shift)


def _aligned(blocks: int, rows: int) -> np.ndarray:
    """Zeros (blocks, rows, WORDS) at an address that wide loads like."""
    size = blocks * rows * WORDS
    room = np.zeros(size + WORDS, np.uint64)
    skip = -room.ctypes.data % (8 * WORDS) // 8
    return room[skip : skip + size].reshape(blocks, rows, WORDS)


@cache
def library() -> Any:
    """The compiled `compiled.c`, from the cache of builds where it is there."""
    from kerf.toolchain.compilers import compile_library

    native = "-march=native" if platform.machine() == "x86_64" else "-mcpu=native"
    try:
        build = compile_library((files(__package__) / "compiled.c").read_text(), (*FLAGS, native))
    except KerfError as error:
        raise NoCompiler(str(error)) from error
    if build.library is None:
        raise NoCompiler(f"the simulator does not compile: {build.log}")
    loaded = ctypes.CDLL(str(build.library))
    long, pointer = ctypes.c_long, ctypes.c_void_p
    loaded.lanes_cover.argtypes = [long, *[pointer] * 9]
    loaded.lanes_evaluate.argtypes = [pointer, pointer, pointer, long]
    loaded.lanes_step.argtypes = [pointer, pointer, pointer, long, pointer]
    loaded.lanes_run.argtypes = [
        pointer,
        pointer,
        long,
        pointer,
        long,
        long,
        pointer,
        ctypes.c_int,
        pointer,
        long,
    ]
    for name in ("cover", "evaluate", "step", "run"):
        getattr(loaded, f"lanes_{name}").restype = None
    return loaded


def simulator(graph: Graph, words: int = 1, initial: Mapping[int, int] | None = None,
              wanted: Sequence[int] | None = None) -> Lanes | CompiledLanes:  # fmt: skip
    """C, which is ahead from the first cycle on, even on graphs of 500 nodes; numpy where no C compiler is found."""
    try:
        return CompiledLanes(graph, words, initial, wanted)
    except NoCompiler:
        return Lanes(graph, words, initial)
