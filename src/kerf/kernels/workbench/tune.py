"""Parameters that a candidate's author leaves to search: `// tune: MR in {4, 6, 8, 12}` in its C.

The name is then a macro. A candidate always holds plain, self-contained source: the value in force stands in a `#define` directly
below the line, which stays, so that the kernel can be tuned again on another machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from kerf.core.types import Candidate
from kerf.proposers.agent.bench import Mistake
from kerf.proposers.agent.choices import MOST_CHOICES, MOST_PARAMETERS, ChoiceSpace, Parameter

LINE = re.compile(r"^[ \t]*//[ \t]*tune:(?P<rest>[^\n]*)$", re.M)
REST = re.compile(r"\s*(?P<name>[A-Za-z_]\w*)\s+in\s*\{(?P<choices>[^{}]*)\}\s*")
CHOICE = re.compile(r"-?\d+(\.\d+)?f?|[A-Za-z_]\w*")


def parameters(files: Mapping[str, str]) -> tuple[Parameter, ...]:
    """Of all C sources and headers, in order. Mistake for a line that cannot be read, or two that say different things of one name."""
    found: dict[str, Parameter] = {}
    for name, text in sorted(files.items()):
        for parameter in _declared(text) if name.endswith((".c", ".h")) else ():
            if found.setdefault(parameter.name, parameter).choices != parameter.choices:
                raise Mistake(f"{name}: two `// tune:` lines say different things of {parameter.name}")
    if len(found) > MOST_PARAMETERS:
        raise Mistake(f"{len(found)} parameters to tune; at most {MOST_PARAMETERS}")
    return tuple(found.values())


def _declared(text: str) -> Iterator[Parameter]:
    for line in LINE.finditer(text):
        read = REST.fullmatch(line["rest"])
        choices = tuple(dict.fromkeys(c.strip() for c in read["choices"].split(","))) if read else ()
        if read is None or not all(CHOICE.fullmatch(c) for c in choices) or len(choices) > MOST_CHOICES:
            raise Mistake(
                f"cannot read {line[0].strip()!r}: write `// tune: NAME in {{4, 8, 16}}` with 1 to {MOST_CHOICES} numbers or names"
            )
        defined = re.search(rf"^[ \t]*#[ \t]*define[ \t]+{read['name']}[ \t]+(\S+)", text, re.M)
        value = defined[1] if defined and defined[1] in choices else choices[0]
        yield Parameter(read["name"], choices, value)


def materialized(files: Mapping[str, str], values: Mapping[str, str] | None = None) -> dict[str, str]:
    """The same files with `values` (default: those in force) defined below their lines."""
    chosen = {p.name: p.value for p in parameters(files)} | dict(values or {})
    return {
        name: _defined(text, chosen) if name.endswith((".c", ".h")) and chosen else text
        for name, text in files.items()
    }


def _defined(text: str, chosen: Mapping[str, str]) -> str:
    for name in dict.fromkeys(p.name for p in _declared(text)):
        text = re.sub(rf"^[ \t]*#[ \t]*define[ \t]+{name}[ \t]+\S+[^\n]*\n", "", text, flags=re.M)
    return LINE.sub(lambda line: f"{line[0]}\n#define {_name(line)} {chosen[_name(line)]}", text)


def _name(line: re.Match[str]) -> str:
    read = REST.fullmatch(line["rest"])
    assert read is not None, "parameters() has read it"
    return read["name"]


class TuneSpace(ChoiceSpace):
    """The choices of one candidate's parameters, as a Space."""

    def __init__(self, origin: Candidate) -> None:
        super().__init__(origin, parameters(origin.files), lambda values: materialized(origin.files, values))
