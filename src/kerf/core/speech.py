"""How people say a verb and its options: declared by whoever declares the verb, read by whoever understands sentences.

A phrase is plain words ("speed up"), compared whatever their endings. A verb that declares nothing is still called by its name, and its
options by theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, eq=False)
class Said:
    """How one option is said.

    `words`: its names beside its own. `unit`: what it counts ("minutes", "seconds", "days", "share" of 1): a quantity in a unit of that
    kind means it. `choices`: value -> how that is said; `joined`: several choices make one value, with commas between. `files`: globs of
    the files it takes, `holds` a regular expression that their text must match, `shipped` names of what comes with kerf and their values,
    asked for when needed. `thing`: what kind of thing it names ("run", "placement"), taken from what was done before where nothing is said.
    `ceiling`: it is a limit, as options in minutes or dollars are: "at least" is not said of it. `instead`: options that it makes needless.
    `name`: an identifier of the user's own (a signal). `text`: the sentence itself, as it was said. `patterns`: (pattern, template):
    a regular expression over the sentence in lower case, with `<names>` (what a design calls things), `<length>`, `<word>` and named groups,
    and the value that it means; what a group called `rest` matches is left for other
    options; THEM in a template stands for what an earlier value of the same kind named."""

    words: tuple[str, ...] = ()
    unit: str = ""
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    joined: bool = False
    files: tuple[str, ...] = ()
    holds: str = ""
    shipped: Callable[[], Mapping[str, str]] | None = None
    thing: str = ""
    ceiling: bool = False
    instead: tuple[str, ...] = ()
    name: bool = False
    text: bool = False
    patterns: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, eq=False)
class Says:
    """How a verb is said.

    `words`: phrases that call it; `means`: phrases that call it and set options; `nouns`: words that go with it and say nothing more.
    `examples`: sentences, shown to who asks what can be said. `gives`: kind of thing -> where it is in the result ("candidate.path").
    `gain`: how many times better the result is than the start, and the words that say so, or None; without it the verb takes no goal.
    `bound`: minutes that it takes at most where nothing is said; None where that is not known. `needs`: options of
    which one must be said. `misread`: (regular expression over the clause, why it is not this): what only looks like this verb.
    `apart`: the arguments once for each thing that they are of, where files that were named together are of several; KerfError, with
    what to say instead, where that cannot be told.
    `refuses`: why these arguments, in that folder, would be refused, or "": what can be known in a moment, such as a name that a design has not."""

    words: tuple[str, ...] = ()
    means: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    nouns: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    options: Mapping[str, Said] = field(default_factory=dict)
    gives: Mapping[str, str] = field(default_factory=dict)
    gain: Callable[[Mapping[str, Any]], tuple[float, str] | None] | None = None
    bound: float | None = None
    needs: tuple[str, ...] = ()
    misread: tuple[tuple[str, str], ...] = ()
    refuses: Callable[[Mapping[str, Any], Path], str] | None = None
    apart: Callable[[Mapping[str, Any], Path], Sequence[Mapping[str, Any]]] | None = None


UNSAID = Says()
"""Of a verb that is called by its name alone."""
