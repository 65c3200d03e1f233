"""What SVA means, slowly: IEEE 1800-2017 annex F read off the page, on words that end in a loop. Shares nothing with the compiler.

Terms are tuples, `render` writes them as SVA. A word is a list of letters (sets of the signals that are true) of which those from `loop` on repeat.
A word may be cut: from `cut` on its letters are TOP (all Booleans hold) or BOTTOM (none does), as the standard has it for weakness and aborts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

HORIZON = 48
Term = tuple[Any, ...]


@dataclass(frozen=True)
class Word:
    letters: tuple[frozenset[str], ...]
    loop: int
    cut: int | None = None
    top: bool = True

    def at(self, i: int) -> frozenset[str] | None:
        """None: the letter is TOP or BOTTOM."""
        if self.cut is not None and i >= self.cut:
            return None
        n = len(self.letters)
        return self.letters[i] if i < n else self.letters[self.loop + (i - self.loop) % (n - self.loop)]

    def until(self, cut: int, top: bool) -> Word:
        return self if self.cut is not None and self.cut <= cut else Word(self.letters, self.loop, cut, top)

    def flipped(self) -> Word:
        return self if self.cut is None else Word(self.letters, self.loop, self.cut, not self.top)

    def normal(self, i: int) -> int:
        n = len(self.letters)
        return i if i < n or self.cut is not None else self.loop + (i - self.loop) % (n - self.loop)


def truth(b: Term, w: Word, i: int) -> bool:
    letter = w.at(i)
    return w.top if letter is None else boolean(b, letter)


def boolean(b: Term, letter: frozenset[str]) -> bool:
    op, *args = b
    if op == "sig":
        return args[0] in letter
    if op == "!":
        return not boolean(args[0], letter)
    if op == "const":
        return bool(args[0])
    left, right = (boolean(x, letter) for x in args)
    return (left and right) if op == "&&" else (left or right)


class Meaning:
    """Remembers what it has found for one word at a time."""

    def __init__(self) -> None:
        self.known: dict[Any, Any] = {}

    def ends(self, r: Term, w: Word, i: int) -> frozenset[int]:
        """All j such that the letters i .. j-1 match r tightly."""
        if i > HORIZON:
            return frozenset()
        key = ("ends", r, w, i)
        if key not in self.known:
            self.known[key] = frozenset(j for j in self._ends(r, w, i) if j <= HORIZON)
        return self.known[key]

    def _ends(self, r: Term, w: Word, i: int) -> set[int]:
        op, *args = r
        if op == "bool":
            return {i + 1} if truth(args[0], w, i) else set()
        if op == "delay":
            left, low, high, right = args
            starts = {
                (j, j - 1 + d)
                for j in self.ends(left, w, i)
                for d in range(low, (HORIZON if high is None else high) + 1)
            }
            return {k for j, s in starts if s >= i for k in self.ends(right, w, s) if k > s or s >= j}
        if op == "lead":
            low, high, right = args
            return {
                k
                for d in range(low, (HORIZON if high is None else high) + 1)
                for k in self.ends(right, w, i + d)
            }
        if op == "*":
            return self._times(args[0], args[1], args[2], w, i)
        if op in ("->", "="):
            return self._counted(op, *args, w, i)
        if op == "or":
            return set(self.ends(args[0], w, i) | self.ends(args[1], w, i))
        if op == "and":
            return {max(j, k) for j in self.ends(args[0], w, i) for k in self.ends(args[1], w, i)}
        if op == "intersect":
            return set(self.ends(args[0], w, i) & self.ends(args[1], w, i))
        if op == "throughout":
            return {j for j in self.ends(args[1], w, i) if all(truth(args[0], w, k) for k in range(i, j))}
        if op == "within":
            return {
                j
                for j in self.ends(args[1], w, i)
                if any(k <= j for s in range(i, j + 1) for k in self.ends(args[0], w, s))
            }
        assert op == "first_match", op
        return set(sorted(self.ends(args[0], w, i))[:1])

    def _times(self, body: Term, low: int, high: int | None, w: Word, i: int) -> set[int]:
        found: set[int] = set()
        now = {i}
        for n in range((HORIZON if high is None else high) + 1):
            if n >= low:
                if now <= found:
                    break
                found |= now
            now = {k for j in now for k in self.ends(body, w, j)}
        return found

    def _counted(self, op: str, b: Term, low: int, high: int | None, w: Word, i: int) -> set[int]:
        """`b[->low:high]` ends at an occurrence of b, `b[=low:high]` before the next one."""
        found, count = set(), 0
        if low == 0 and op == "->":
            found.add(i)
        for j in range(i, HORIZON):
            if op == "=" and low <= count and (high is None or count <= high):
                found.add(j)
            now, other = truth(b, w, j), truth(("!", b), w, j)
            if now and other:  # TOP: either may be read
                return self._counted_top(op, b, low, high, w, i)
            if not now and not other:
                return found
            count += now
            if op == "->" and now and low <= count and (high is None or count <= high):
                found.add(j + 1)
        return found

    def _counted_top(self, op: str, b: Term, low: int, high: int | None, w: Word, i: int) -> set[int]:
        """By the standard's rewriting: (!b[*0:$] ##1 b)[*low:high], and ##1 !b[*0:$]."""
        gap = ("*", ("bool", ("!", b)), 0, None)
        goto = ("*", ("delay", gap, 1, 1, ("bool", b)), low, high)
        return set(self.ends(goto if op == "->" else ("delay", goto, 1, 1, gap), w, i))

    def strong(self, r: Term, w: Word, i: int) -> bool:
        return any(j > i for j in self.ends(r, w, i))

    def weak(self, r: Term, w: Word, i: int) -> bool:
        return all(self.strong(r, w.until(k, True), i) for k in range(i, HORIZON // 2 + i))

    def holds(self, p: Term, w: Word, i: int) -> bool:
        key = ("holds", p, w, w.normal(i))
        if key not in self.known:
            self.known[key] = self._holds(p, w, w.normal(i))
        return self.known[key]

    def _holds(self, p: Term, w: Word, i: int) -> bool:
        op, *args = p
        later = range(i, i + HORIZON // 2)
        if op == "weak":
            return self.weak(args[0], w, i)
        if op == "strong":
            return self.strong(args[0], w, i)
        if op == "not":
            return not self.holds(args[0], w.flipped(), i)
        if op == "and_p":
            return self.holds(args[0], w, i) and self.holds(args[1], w, i)
        if op == "or_p":
            return self.holds(args[0], w, i) or self.holds(args[1], w, i)
        if op == "implies":
            return not self.holds(args[0], w.flipped(), i) or self.holds(args[1], w, i)
        if op == "iff":
            both = (("implies", args[0], args[1]), ("implies", args[1], args[0]))
            return all(self.holds(q, w, i) for q in both)
        if op in ("|->", "|=>"):
            return all(self.holds(args[1], w, s) for s in self._after(op, args[0], w.flipped(), i))
        if op in ("#-#", "#=#"):
            return any(self.holds(args[1], w, s) for s in self._after(op, args[0], w, i))
        if op == "nexttime":
            return self.holds(args[1], w, i + args[0])
        if op in ("always", "s_eventually"):
            low, high, body = args
            span = (
                range(i + low, i + high + 1) if high is not None else range(i + low, i + low + HORIZON // 2)
            )
            return (all if op == "always" else any)(self.holds(body, w, k) for k in span)
        if op in ("until", "s_until", "until_with", "s_until_with"):
            return self._until(op, args[0], args[1], w, later)
        if op == "if":
            chosen = truth(args[0], w.flipped(), i), truth(("!", args[0]), w.flipped(), i)
            return (not chosen[0] or self.holds(args[1], w, i)) and (
                not chosen[1] or self.holds(args[2], w, i)
            )
        if op == "accept_on":
            return self.holds(args[1], w, i) or any(
                truth(args[0], w, k) and self.holds(args[1], w.until(k, True), i) for k in later
            )
        assert op == "reject_on", op
        return self.holds(("not", ("accept_on", args[0], ("not", args[1]))), w, i)

    def _after(self, op: str, r: Term, w: Word, i: int) -> set[int]:
        """Where what follows begins: in the last tick of a match, which an empty one does not have, or in the next."""
        if op in ("|=>", "#=#"):
            r = ("delay", r, 1, 1, ("bool", ("const", 1)))
        return {j - 1 for j in self.ends(r, w, i) if j > i}

    def _until(self, op: str, first: Term, second: Term, w: Word, later: range) -> bool:
        for k in later:
            if not op.endswith("with") and self.holds(second, w, k):
                return True
            if not self.holds(first, w, k):
                return False
            if op.endswith("with") and self.holds(second, w, k):
                return True
        return not op.startswith("s_")


@cache
def fails(p: Term, w: Word) -> int | None:
    """The first cycle after which `always p` fails whatever follows, by the standard's weak satisfaction of prefixes; None: not in this word."""
    meaning = Meaning()
    for t in range(len(w.letters) + 4 * (len(w.letters) - w.loop)):
        if any(not meaning.holds(p, w.until(t + 1, True), s) for s in range(t + 1)):
            return t
    return None


@cache
def broken(p: Term, w: Word) -> bool:
    """Whether `always p` is false on the word."""
    meaning = Meaning()
    return any(not meaning.holds(p, w, s) for s in range(len(w.letters)))


def span(low: int, high: int | None) -> str:
    return f"{low}" if low == high else f"{low}:{'$' if high is None else high}"


def render(t: Term) -> str:
    op, *args = t
    if op == "sig":
        return str(args[0])
    if op == "const":
        return f"1'b{args[0]}"
    if op == "!":
        return f"!({render(args[0])})"
    if op == "bool":
        return f"({render(args[0])})"
    if op == "lead":
        return f"(##[{args[0]}:{'$' if args[1] is None else args[1]}] {render(args[2])})"
    if op == "delay":
        return f"({render(args[0])} ##[{args[1]}:{'$' if args[2] is None else args[2]}] {render(args[3])})"
    if op in ("*", "->", "="):
        return f"({render(args[0])}[{op}{span(args[1], args[2])}])"
    if op in ("first_match", "weak", "strong", "not"):
        return f"({op}({render(args[0])}))"
    if op == "bare":
        return render(args[0])
    if op == "nexttime":
        return f"(nexttime [{args[0]}] ({render(args[1])}))"
    if op == "always":
        return (
            f"(always ({render(args[2])}))"
            if args[1] is None and args[0] == 0
            else f"(always [{args[0]}:{'$' if args[1] is None else args[1]}] ({render(args[2])}))"
        )
    if op == "s_eventually":
        return (
            f"(s_eventually ({render(args[2])}))"
            if args[1] is None and args[0] == 0
            else f"(s_eventually [{args[0]}:{'$' if args[1] is None else args[1]}] ({render(args[2])}))"
        )
    if op == "if":
        return f"(if ({render(args[0])}) ({render(args[1])}) else ({render(args[2])}))"
    if op in ("accept_on", "reject_on"):
        return f"({op} ({render(args[0])}) ({render(args[1])}))"
    word = {"and_p": "and", "or_p": "or"}.get(op, op)
    return f"({render(args[0])} {word} {render(args[1])})"
