"""A plan: typed verbs in order, what of them was said and what is default, and what they may cost."""

from __future__ import annotations

import re
import shlex
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kerf.core.types import KerfError
from kerf.core.verb import Parameter, Verb


@dataclass(frozen=True)
class Later:
    """What an earlier step of the same plan (`step`, from 1) will give."""

    thing: str
    step: int

    def __str__(self) -> str:
        return f"@{self.thing}:{self.step}"


@dataclass(frozen=True)
class Step:
    """`arguments`: what differs from the defaults. `notes`: how words were read ("read 'sofmax' as softmax"). `goal`: how many
    times better it should get."""

    verb: Verb
    arguments: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    goal: float | None = None

    def command(self) -> str:
        """As it would be typed."""
        positional, options = [], []
        for p in self.verb.parameters():
            if p.name not in self.arguments:
                continue
            values = self.arguments[p.name]
            for value in values if isinstance(values, list | tuple) else [values]:
                if p.required or p.option.positional:
                    positional.append(_quoted(value))
                else:
                    options += _flagged(p, value)
        return " ".join([self.verb.name, *positional, *options])

    def defaults(self) -> dict[str, Any]:
        """Options that nobody spoke of, with the values that they will have."""
        return {
            p.name: p.default
            for p in self.verb.parameters()
            if p.name not in self.arguments and not p.required and p.default not in ("", [], None, False)
        }

    def minutes(self) -> float | None:
        """What it takes at most, by what was said or by default; None where that is not known."""
        units = {name: said.unit for name, said in self.verb.says.options.items()}
        given = next(
            (
                float(v) * (1 if units[n] == "minutes" else 1 / 60)
                for n, v in self.arguments.items()
                if units.get(n) in ("minutes", "seconds")
            ),
            None,
        )
        return given if given is not None else self.verb.says.bound


@dataclass(frozen=True)
class Plan:
    """`said`: the sentence; `planner`: the model that made it, or "" for the grammar."""

    steps: tuple[Step, ...]
    said: str = ""
    planner: str = ""

    @property
    def reads_only(self) -> bool:
        return all(s.verb.reads_only for s in self.steps)

    def text(self) -> str:
        """What is shown before it runs: commands, how words were read, defaults, cost bound."""
        lines = []
        for i, step in enumerate(self.steps, 1):
            lines.append(f"{i}. kerf {plain(step.command())}")
            if step.goal:
                lines.append(
                    f"     goal      {step.goal:g} times as fast: said afterwards whether it was reached"
                )
            lines += [f"     read      {plain(note)}" for note in step.notes]
            defaults = ", ".join(f"{n}={v}" for n, v in step.defaults().items())
            lines += [f"     defaults  {plain(defaults)}"] if defaults else []
            lines += ["     DESTROYS  what it drops cannot be had again"] if step.verb.destroys else []
        by = [f"planned by {self.planner}"] if self.planner else []
        return "\n".join([*by, *lines, f"cost       {self.cost()}"])

    def cost(self) -> str:
        known = [m for m in (s.minutes() for s in self.steps) if m is not None]
        loose = [s.verb.name for s in self.steps if s.minutes() is None and not s.verb.reads_only]
        bound = f"about {_span(sum(known))} of search at most" if known else "seconds, as a rule"
        return f"{bound}{'; no bound known for ' + ', '.join(loose) if loose and known else ''}; {self._dollars()}"

    def _dollars(self) -> str:
        """The ceilings that were said; a plan that names no model calls none."""
        said = [
            (s.arguments.get(n), n)
            for s in self.steps
            for n, o in s.verb.says.options.items()
            if o.unit == "dollars"
        ]
        given = [float(v) for v, _ in said if v is not None]
        return f"${sum(given):g} at most" if given else "$0, unless an option above names a model"


def _span(minutes: float) -> str:
    return f"{minutes:.3g} min" if minutes >= 1 else f"{60 * minutes:.3g} s"


def plain(text: str) -> str:
    """Without control characters: a file's name must not draw on the reader's terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _quoted(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value) if isinstance(value, Later) else shlex.quote(str(value))


def _flagged(p: Parameter, value: Any) -> list[str]:
    flag = p.flags[0]
    if isinstance(value, bool):
        on, _, off = flag.partition("/")
        return [on if value else off or f"--no-{p.name}"]
    return [flag, _quoted(value)]


# Values as a verb's types want them


def base(kind: Any) -> tuple[type, bool]:
    """(the plain type, whether a list of it is wanted)."""
    if typing.get_origin(kind) is list:
        return typing.get_args(kind)[0], True
    options = [k for k in typing.get_args(kind) if k is not type(None)]
    found = options[0] if options else kind
    return (found if isinstance(found, type) else str), False


def checked(verb: Verb, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments from anywhere, as the verb's types. KerfError names what is unknown, missing or of another type."""
    known = {p.name: p for p in verb.parameters()}
    unknown = [n for n in arguments if n not in known]
    if unknown:
        raise KerfError(f"`{verb.name}` has no option {unknown[0]!r}: it has {', '.join(known)}")
    missing = [p.name for p in known.values() if p.required and p.name not in arguments]
    if missing:
        raise KerfError(f"`{verb.name}` needs {missing[0]}: {known[missing[0]].option.help}")
    return {n: _typed(verb, known[n], v) for n, v in arguments.items() if v != known[n].default}


def _typed(verb: Verb, p: Parameter, value: Any) -> Any:
    kind, many = base(p.kind)
    if isinstance(value, Later):
        return value
    if many:
        items = value if isinstance(value, list | tuple) else [value]
        return [_one(verb, p, kind, item) for item in items]
    return _one(verb, p, kind, value)


def _one(verb: Verb, p: Parameter, kind: type, value: Any) -> Any:
    wrong = KerfError(f"`{verb.name}` takes {kind.__name__} for {p.name}, not {value!r}: {p.option.help}")
    if isinstance(value, Later) or (kind is bool and isinstance(value, bool)):
        return value
    if kind is str and isinstance(value, str):
        return value
    if kind in (int, float) and isinstance(value, int | float) and not isinstance(value, bool):
        if (kind is int and value != int(value)) or value < 0 or value != value or value == float("inf"):
            raise wrong
        return kind(value)
    if kind in (int, float) and isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?", value):
        return _one(verb, p, kind, float(value))
    raise wrong


def filled(step: Step, things: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Its arguments, with what earlier steps gave in place of what they were to give."""

    def now(value: Any) -> Any:
        if isinstance(value, list):
            return [now(v) for v in value]
        if not isinstance(value, Later):
            return value
        found = things[value.step - 1].get(value.thing)
        if not found:
            raise KerfError(f"step {value.step} gave no {value.thing}, which `{step.verb.name}` needs")
        return found

    return {n: now(v) for n, v in step.arguments.items()}


def given(verb: Verb, result: Mapping[str, Any]) -> dict[str, Any]:
    """Thing -> value, of what a result gives."""
    found = {}
    for thing, path in verb.says.gives.items():
        value: Any = result
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if value:
            found[thing] = value
    return found


@dataclass(frozen=True)
class Done:
    """A step that was run: what it gave, by thing."""

    step: Step
    things: Mapping[str, Any] = field(default_factory=dict)
