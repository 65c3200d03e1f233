"""What the archive knows about points of other problems."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from kerf.archive.database import Database, unpack
from kerf.core.records import Remembered


class ArchiveMemory:
    """The archive as it was at one moment (`horizon`: the last trial seen), so that the same memory can be had again."""

    def __init__(self, db: Database, horizon: int) -> None:
        self.db = db
        self.horizon = horizon

    def nearest(
        self, kind: str, vector: Sequence[float], k: int, *, per_problem: int = 8, passed_only: bool = True
    ) -> list[Remembered]:
        """The best `per_problem` points of each of the `k` nearest problems (Euclidean in the signature's vector), nearest first,
        best first. An earlier search of the very same problem counts, at distance 0."""
        found: list[Remembered] = []
        for distance, problem, other in self._problems(kind, vector)[:k]:
            found += self._points(kind, problem, distance, other, per_problem, passed_only)
        return found

    def _problems(self, kind: str, vector: Sequence[float]) -> list[tuple[float, str, tuple[float, ...]]]:
        rows = self.db.rows(
            "SELECT s.problem, s.vector FROM signatures s WHERE s.kind = ? AND EXISTS "
            "(SELECT 1 FROM trials t WHERE t.kind = s.kind AND t.problem = s.problem AND t.id <= ?)",
            (kind, self.horizon),
        )
        vectors = [(problem, tuple(map(float, json.loads(text)))) for problem, text in rows]
        return sorted((math.dist(vector, v), p, v) for p, v in vectors if len(v) == len(vector))

    def _points(
        self,
        kind: str,
        problem: str,
        distance: float,
        vector: tuple[float, ...],
        most: int,
        passed_only: bool,
    ) -> list[Remembered]:
        rows: list[tuple[Any, ...]] = self.db.rows(
            "SELECT notes, max(score) FROM trials WHERE kind = ? AND problem = ? AND id <= ? "
            f"{'AND score IS NOT NULL' if passed_only else ''} GROUP BY candidate ORDER BY max(score) DESC, min(id) LIMIT ?",
            (kind, problem, self.horizon, most),
        )
        points = [(unpack(blob), score) for blob, score in rows]
        return [
            Remembered(problem, distance, vector, notes["point"], tuple(notes.get("features", ())), score)
            for notes, score in points
            if "point" in notes
        ]
