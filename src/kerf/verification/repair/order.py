"""Which words an expression may be given to read without a loop through gates, however many changes are made at once.

Words get ranks along the flow of data within a cycle; words that depend on each other share one. A change may read registers, inputs, and words
of lower rank than what it assigns, so that every new dependency points upwards.
"""

from __future__ import annotations

from collections.abc import Iterable

from kerf.verification.repair.source import Key, Places, Process


class Order:
    def __init__(self, places: Places, top: str) -> None:
        self.places, self.top = places, top
        self._rank = _ranks(places.flows)

    def readable(self, process: Process, names: Iterable[str]) -> list[str]:
        """Those of `names` (words of the process's module) that the process may read."""
        targets = [(process.module, t) for t in process.targets]
        limit = min((self._rank.get(t, 0) for t in targets), default=-1)
        clocks = self.places.modules[process.module].clocks
        return [n for n in names if n not in clocks and self._may_read(process, (process.module, n), limit)]

    def _may_read(self, process: Process, word: Key, limit: int) -> bool:
        if process.clocked:
            return True
        if word not in self.places.driven and (word in self.places.registers or word[0] == self.top):
            return True
        return self._rank.get(word, 0) < limit


def _ranks(flows: set[tuple[Key, Key]]) -> dict[Key, int]:
    """Longest path from what depends on nothing, with words on a cycle taken as one (Tarjan, 1972)."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    words = sorted({w for pair in flows for w in pair})
    if not words:
        return {}
    index = {w: i for i, w in enumerate(words)}
    rows, columns = [index[a] for a, _ in flows], [index[b] for _, b in flows]
    matrix = csr_matrix(([1] * len(rows), (rows, columns)), (len(words), len(words)))
    _, group = connected_components(matrix, directed=True, connection="strong")
    above: dict[int, set[int]] = {}
    waiting = dict.fromkeys(map(int, group), 0)
    for a, b in zip(rows, columns):
        x, y = int(group[a]), int(group[b])
        if x != y and y not in above.setdefault(x, set()):
            above[x].add(y)
            waiting[y] += 1
    rank = dict.fromkeys(waiting, 0)
    ready = [g for g, count in waiting.items() if count == 0]
    while ready:
        g = ready.pop()
        for h in above.get(g, ()):
            rank[h] = max(rank[h], rank[g] + 1)
            waiting[h] -= 1
            if waiting[h] == 0:
                ready.append(h)
    return {w: rank[int(group[i])] for w, i in index.items()}
