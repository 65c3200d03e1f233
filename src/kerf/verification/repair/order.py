"""Which words an expression may be given to read without a loop through gates."""

from __future__ import annotations

from collections.abc import Iterable

from kerf.verification.repair.source import Key, Places, Process


class Order:
    """Words that depend, within a cycle, on what a process assigns may not be read by it. (Two changes at once may still close a loop: `graft` cuts it.)"""

    def __init__(self, places: Places) -> None:
        self.places = places
        self._next: dict[Key, list[Key]] = {}
        for source, target in places.flows:
            self._next.setdefault(source, []).append(target)
        self._after: dict[Key, set[Key]] = {}

    def readable(self, process: Process, names: Iterable[str]) -> list[str]:
        """Those of `names` (words of the process's module) that the process may read."""
        clocks = self.places.modules[process.module].clocks
        barred: set[Key] = set()
        if not process.clocked:
            for target in process.targets:
                barred |= self._reached((process.module, target))
        return [n for n in names if n not in clocks and (process.module, n) not in barred]

    def _reached(self, word: Key) -> set[Key]:
        """A word and all that depends on it within a cycle."""
        found = self._after.get(word)
        if found is None:
            found, todo = {word}, [word]
            while todo:
                for other in self._next.get(todo.pop(), ()):
                    if other not in found:
                        found.add(other)
                        todo.append(other)
            self._after[word] = found
        return found
