"""How the rows of a recurrence's products are shared out among threads and register tiles."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rows:
    """`batch` rows among `crews` threads, in register tiles of at most `most` rows."""

    batch: int
    crews: int
    most: int

    @property
    def shares(self) -> list[int]:
        """How many rows a part may hold."""
        return sorted({self.batch // self.crews, -(-self.batch // self.crews)} - {0})

    def split(self, n: int) -> dict[int, int]:
        """How many register tiles of each height cover n rows: heights differ by one at most, because a low tile does not hide
        its loads."""
        low, more = divmod(n, -(-n // self.most))
        return {low + 1: more, low: -(-n // self.most) - more} if more else {low: n // low}

    @property
    def tiles(self) -> list[int]:
        return sorted({size for n in self.shares for size in self.split(n)}, reverse=True)

    def product(self, symbol: str, vectors: int, lanes: int) -> str:
        """`SYMBOL_product{vectors}`: c (n x a panel) = [c +] a (n x k) times one panel, n a part's rows."""
        width = vectors * lanes
        lines = [f"static void {symbol}_product{vectors}(long n, long k, const float *restrict a, long lda, const float *restrict panel, float *restrict c, int add) {{",
                 "    long r = 0;"]  # fmt: skip
        for n in self.shares:
            end = 0
            lines.append(f"    if (n == {n}) {{")
            for size, count in self.split(n).items():
                end += size * count
                lines.append(
                    f"        for (; r < {end}; r += {size}) {symbol}_tile{size}x{vectors}(k, a + r * lda, lda, panel, {width}, c + r * {width}, {width}, add);"
                )
            lines.append("    }")
        return "\n".join([*lines, "}", ""])
