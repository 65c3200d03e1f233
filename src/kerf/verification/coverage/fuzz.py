"""Stimulus by luck that learns: patterns chosen by a bandit, and mutants of the runs that hit something new.

Thompson sampling (Thompson, 1933) over patterns, their rewards forgotten slowly because what pays changes as bins fill up; the corpus of runs that
found news, mutated, is coverage-guided fuzzing (AFL; for hardware RFUZZ, Laeufer et al., ICCAD 2018).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import count

import numpy as np

from kerf.verification.coverage.board import Board, News
from kerf.verification.coverage.stimulus import (
    CONTROL_PATTERNS,
    WORD_PATTERNS,
    Rng,
    mixed,
    mutants,
    spread,
)

WORDS = 16  # of 64 lanes, in an episode
SEGMENT = 16  # cycles that one pattern lasts
LENGTHS = (16, 64, 256)
MUTATE = "mutate"
FORGET = 0.99
WINDOW, WINDOW_S = 8, 0.25  # episodes and seconds, at least, over which news are counted
SLOW = 0.2  # of the rate so far: a solver is faster then


class Bandit:
    """Thompson sampling with Beta posteriors; `cost` divides what an arm promises."""

    def __init__(self, arms: Sequence[object], rng: Rng, cost: Sequence[float] | None = None) -> None:
        self.arms, self._rng = list(arms), rng
        self._cost = np.array(cost if cost is not None else [1.0] * len(self.arms))
        self._won, self._lost = np.zeros(len(self.arms)), np.zeros(len(self.arms))

    def draw(self) -> int:
        promise = self._rng.beta(1 + self._won, 1 + self._lost) / self._cost
        return int(promise.argmax())

    def learn(self, arm: int, paid: bool) -> None:
        self._won *= FORGET
        self._lost *= FORGET
        (self._won if paid else self._lost)[arm] += 1


class Fuzzer:
    """Plays episodes on a board. `constants`: numbers of the design's source."""

    def __init__(self, board: Board, rng: Rng, constants: Sequence[int] = ()) -> None:
        self.board, self._rng, self._constants = board, rng, constants
        sequential = bool(board.model.graph.latches)
        lengths = LENGTHS if sequential else (4,)
        self._lengths = Bandit(lengths, rng, cost=lengths)
        self._words = Bandit([*WORD_PATTERNS, MUTATE], rng)
        self._controls = Bandit(list(CONTROL_PATTERNS), rng)
        self.slowest = 0.0  # seconds of an episode

    def play(self, deadline: float) -> None:
        """Until nothing is missing, another episode may not end in time, or news come much slower than they did."""
        begun = window = time.monotonic()
        at_begin = at_window = self._wanting()
        for played in count():
            left, now = self._wanting(), time.monotonic()
            if not left or now + self.slowest > deadline:
                return
            if played % WINDOW == 0 and now - window > WINDOW_S:
                if (at_window - left) / (now - window) <= SLOW * (at_begin - left) / (now - begun):
                    return
                window, at_window = now, left
            self.episode()
            self.slowest = max(self.slowest, time.monotonic() - now)

    def _wanting(self) -> int:
        """Bins not hit, or by luck only."""
        return sum(i < self.board.counted for i in self.board.open)

    def episode(self) -> News:
        """One episode, and the arms told what it brought."""
        length = self._lengths.draw()
        cycles = int(self._lengths.arms[length])  # type: ignore[call-overload]
        chosen, columns, starts = [], [], []
        for _ in range(WORDS):
            arms, planes, start = self._column(cycles)
            chosen.append(arms)
            columns.append(planes)
            starts.append(start)
        news = self.board.run(np.concatenate(columns, axis=2), np.concatenate(starts, axis=1))
        if self.board.lucky:
            hardened = self.board.harden(columns[int(self._rng.integers(WORDS))])
            self._lengths.learn(length, hardened > 0)
        self._lengths.learn(length, bool(news.targets))
        for arms, paid in zip(chosen, news.words, strict=True):
            for word, control in arms:
                self._words.learn(word, bool(paid))
                self._controls.learn(control, bool(paid))
        return news

    def _column(self, cycles: int) -> tuple[list[tuple[int, int]], np.ndarray, np.ndarray]:
        """64 lanes: the arms that made them, their planes (cycles, bits, 1) and start (latches, 1)."""
        word, control = self._words.draw(), self._controls.draw()
        if self._words.arms[word] == MUTATE and self.board.stimuli:
            recent = int(len(self.board.stimuli) * (1 - self._rng.random() ** 2))
            base = self.board.stimuli[min(recent, len(self.board.stimuli) - 1)]
            return [(word, control)], mutants(self._rng, base, 64, cycles), spread(base.start)
        arms, parts = [], []
        for at in range(0, cycles, SEGMENT):
            word, control = self._words.draw() % len(WORD_PATTERNS), self._controls.draw()
            names = list(WORD_PATTERNS)[word], list(CONTROL_PATTERNS)[control]
            parts.append(
                mixed(self.board.drive, self._rng, min(SEGMENT, cycles - at), names, self._constants)
            )
            arms.append((word, control))
        start = self._rng.integers(0, 2**64, (len(self.board.drive.start), 1), dtype=np.uint64)
        return arms, np.concatenate(parts), start

    def around(self, count: int = 8) -> News:
        """An episode of mutants of the newest run."""
        base = self.board.stimuli[-1]
        planes = mutants(
            self._rng, base, 64 * count, len(base) + (1 if self.board.model.graph.latches else 0)
        )
        return self.board.run(planes, np.repeat(spread(base.start), count, axis=1))
