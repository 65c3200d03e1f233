"""LEF 5.8: what a placer needs of a library: sites, and the class, size and pins of each macro.

Layers, vias, rules, antennas and obstructions are passed over. Where a pin is: the mean of the centres of its shapes' boxes, as
OpenROAD takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from kerf.placement.formats import text
from kerf.placement.formats.text import END, FormatError, number


@dataclass
class Master:
    """A macro of the library; lengths in micrometres. `pins`: name -> (x, y) from the lower left corner, in N."""

    name: str
    width: float = -1.0
    height: float = -1.0
    kind: str = "CORE"
    site: str = ""
    origin: tuple[float, float] = (0.0, 0.0)
    pins: dict[str, tuple[float, float]] = field(default_factory=dict)
    drivers: set[str] = field(default_factory=set)


@dataclass
class Library:
    """`sites`: name -> (width, height) in micrometres."""

    sites: dict[str, tuple[float, float]] = field(default_factory=dict)
    masters: dict[str, Master] = field(default_factory=dict)


def read(paths: Iterable[Path]) -> Library:
    """Several LEF files as one library; of a macro or site defined twice, the first counts."""
    library = Library()
    for path in paths:
        _Reader(path, library).file()
    return library


class _Reader:
    """Words of one file, with their lines, and a place among them."""

    def __init__(self, path: Path, library: Library) -> None:
        self.path, self.library, self.at = path, library, 0
        self.words: list[str] = []
        self.lines: list[int] = []
        for line, words in text.lines(text.read(path)):
            self.words += words
            self.lines += [line] * len(words)

    def refuse(self, expected: str, back: int = 0) -> FormatError:
        at = self.at - back
        inside = at < len(self.words)
        line = self.lines[at] if inside else (self.lines[-1] if self.lines else 1)
        return FormatError(self.path, line, expected, self.words[at] if inside else END)

    def word(self, expected: str) -> str:
        if self.at >= len(self.words):
            raise self.refuse(expected)
        self.at += 1
        return self.words[self.at - 1]

    def statement(self) -> list[str]:
        """The words up to `;`, which is dropped."""
        start = self.at
        try:
            self.at = self.words.index(";", start) + 1
        except ValueError:
            self.at = len(self.words)
            raise self.refuse("`;`") from None
        return self.words[start : self.at - 1]

    def number(self, words: list[str], at: int, what: str) -> float:
        if at >= len(words):
            raise self.refuse(what, back=1)
        return number(self.path, self.lines[self.at - 1], words[at], what)

    def skip(self, name: str) -> None:
        """Past `END name`."""
        while self.word(f"`END {name}`").upper() != "END" or self.words[self.at : self.at + 1] != [name]:
            pass
        self.at += 1

    def block(self, name: str, keywords: dict[str, Callable[[], None]]) -> None:
        """Statements and nested blocks up to `END name` (a bare `END` where there is no name)."""
        while True:
            key = self.word(f"`END {name}`").upper()
            if key == "END":
                if name and self.word(f"`END {name}`") != name:
                    raise self.refuse(f"`END {name}`", back=1)
                return
            if key in keywords:
                keywords[key]()
            elif key != ";":
                self.statement()

    def file(self) -> None:
        blocks = {"LAYER", "VIA", "VIARULE", "NONDEFAULTRULE", "ARRAY"}
        while self.at < len(self.words):
            key = self.word("a statement").upper()
            if key == "END":
                if self.word("`END LIBRARY`").upper() != "LIBRARY":
                    raise self.refuse("`END LIBRARY`", back=1)
                return
            if key == "MACRO":
                self.macro()
            elif key == "SITE":
                self.site()
            elif key in (
                "UNITS",
                "SPACING",
                "PROPERTYDEFINITIONS",
                "IRDROP",
                "NOISETABLE",
                "CORRECTIONTABLE",
            ):
                self.skip(self.words[self.at - 1])
            elif key in blocks:
                self.skip(self.word(f"a name after {key}"))
            else:
                self.statement()

    def site(self) -> None:
        name = self.word("the name of a site")

        def size() -> None:
            self.library.sites.setdefault(name, self.size())

        self.block(name, {"SIZE": size})

    def size(self) -> tuple[float, float]:
        words = self.statement()
        if len(words) != 3 or words[1].upper() != "BY":
            raise self.refuse("`SIZE WIDTH BY HEIGHT`", back=1)
        width, height = self.number(words, 0, "a width"), self.number(words, 2, "a height")
        if width <= 0 or height <= 0:
            raise self.refuse("a positive size", back=2)
        return width, height

    def macro(self) -> None:
        master = Master(self.word("the name of a macro"))

        def size() -> None:
            master.width, master.height = self.size()

        def kind() -> None:
            master.kind = " ".join(self.statement()).upper()

        def site() -> None:
            master.site = " ".join(self.statement()[:1])

        def origin() -> None:
            words = self.statement()
            master.origin = (self.number(words, 0, "an x"), self.number(words, 1, "a y"))

        def skip() -> None:
            self.block("", {})

        start = self.at
        keywords = {
            "SIZE": size,
            "CLASS": kind,
            "SITE": site,
            "ORIGIN": origin,
            "PIN": lambda: self.pin(master),
        }
        self.block(master.name, {**keywords, "OBS": skip, "DENSITY": skip})
        if master.width < 0:
            raise FormatError(self.path, self.lines[start], f"a SIZE in macro {master.name}", "none")
        dx, dy = master.origin
        master.pins = {name: (x + dx, y + dy) for name, (x, y) in master.pins.items()}
        self.library.masters.setdefault(master.name, master)

    def pin(self, master: Master) -> None:
        name = self.word("the name of a pin")
        boxes: list[tuple[float, float]] = []

        def direction() -> None:
            if self.statement()[:1] in (["OUTPUT"], ["output"]):
                master.drivers.add(name)

        def shape() -> None:
            boxes.append(self.centre([w for w in self.statement() if w not in ("(", ")")]))

        def port() -> None:
            self.block("", {"RECT": shape, "POLYGON": shape})

        self.block(name, {"DIRECTION": direction, "PORT": port})
        if boxes:
            xs, ys = zip(*boxes)
            master.pins[name] = (sum(xs) / len(xs), sum(ys) / len(ys))
        else:
            master.pins[name] = (master.width / 2, master.height / 2)

    def centre(self, words: list[str]) -> tuple[float, float]:
        """The centre of the box around `RECT`'s or `POLYGON`'s points; masks and iterations are passed over."""
        if words[:1] == ["MASK"]:
            words = words[2:]
        if words[:1] == ["ITERATE"]:
            words = words[1:5]
        if len(words) < 4 or len(words) % 2:
            raise self.refuse("pairs of coordinates", back=1)
        values = [self.number(words, i, "a coordinate") for i in range(len(words))]
        xs, ys = values[::2], values[1::2]
        return (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
