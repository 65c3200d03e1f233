"""A verb: one typed function that is a CLI command, a Python call and (later) a tool and a web action at once.

Its parameters are declared where they are used, once, as `Annotated[type, Option("what it means")]`; a parameter without a default,
or that says so, is positional on the command line. `watch`, where a verb takes it, receives progress and is no option.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerf.core.speech import UNSAID, Says

Result = Mapping[str, Any]


@dataclass(frozen=True)
class Option:
    """`flag`: the option's names on the command line, separated by spaces, where they are not the parameter's own ("--out -o").
    `positional`: an argument that may be left out, though it has a default. `choices`: every value it may have, where that is a short and
    closed list."""

    help: str
    flag: str = ""
    metavar: str = ""
    positional: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parameter:
    name: str
    kind: Any
    default: Any
    option: Option

    @property
    def required(self) -> bool:
        return self.default is inspect.Parameter.empty

    @property
    def flags(self) -> list[str]:
        own = self.name.replace("_", "-")
        if self.default is True:  # what is on must be possible to turn off
            return [f"--{own}/--no-{own}"]
        return self.option.flag.split() or ["--" + own]


@dataclass(frozen=True)
class Verb:
    """`call` takes the declared parameters and returns plain JSON; `render` turns the result into text for people. `resume(run,
    evaluations=, minutes=, watch=)` goes on with a run whose options say `"verb": name`, and takes max_dollars=, max_tokens= and price= where its
    runs ask a language model; `export(archive, run, folder)` writes there what
    such a run has for its users, and returns its path (without it, the winner's files are written). `failed` tells a result that a script must
    not take for a success: exit status 1. `reads_only`: whatever its arguments, it changes nothing that a user keeps (no run, no file, no
    candidate executed), so that nobody need be asked first; `destroys`: it drops what cannot be had again. `says`: how people say it."""

    name: str
    call: Callable[..., Result]
    render: Callable[[Result], str]
    resume: Callable[..., Result] | None = None
    export: Callable[[Any, str, Path], Path] | None = None
    failed: Callable[[Result], bool] = lambda result: False
    reads_only: bool = False
    destroys: bool = False
    says: Says = UNSAID

    @property
    def about(self) -> str:
        return inspect.getdoc(self.call) or ""

    @property
    def summary(self) -> str:
        return self.about.partition("\n\n")[0].replace("\n", " ")

    @property
    def watched(self) -> bool:
        return "watch" in inspect.signature(self.call).parameters

    def parameters(self) -> Iterator[Parameter]:
        hints = typing.get_type_hints(self.call, include_extras=True)
        for name, p in inspect.signature(self.call).parameters.items():
            if name == "watch":
                continue
            kind, *extras = typing.get_args(hints[name])
            option = next(x for x in extras if isinstance(x, Option))
            yield Parameter(name, kind, p.default, option)


def as_text(result: Result) -> str:
    """The plain rendering: one `key: value` line each."""
    return "\n".join(f"{k}: {v}" for k, v in result.items())
