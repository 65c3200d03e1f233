"""What a model proposes, as a candidate: recipe, way, constraints and macros, checked before an evaluation is paid; and when two are the same."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from kerf.core.types import Candidate, KerfError, content_hash
from kerf.placement import proposal, recipe
from kerf.placement.constraints.kinds import USAGE
from kerf.placement.design import Kind, Placement
from kerf.placement.problem import PlacementProblem
from kerf.placement.proposal import WAYS, Proposal, Stand, proposal_of
from kerf.placement.recipe import LIMITS, Recipe, recipe_of
from kerf.placement.space import RecipeSpace
from kerf.proposers.agent.bench import Mistake
from kerf.proposers.agent.choices import MOST_CHOICES, ChoiceSpace, Parameter
from kerf.proposers.agent.fence import blocks

MOST_CONSTRAINTS, MOST_MACROS, LONGEST = 32, 2000, 2000
FARTHEST = 1e12
KEYS = ("way", "recipe", "constraints", "macros")


def ways(problem: PlacementProblem) -> tuple[str, ...]:
    """A given placement is refined only, as the user asked. The search for a low proxy cost moves all at once: it places no cells around macros."""
    if problem.kept:
        return ("refine",)
    return tuple(way for way in WAYS if problem.target != "proxy" or way != "cells")


def submission(space: RecipeSpace, problem: PlacementProblem) -> dict[str, Any]:
    """JSON Schema of a proposal."""
    number = {"type": "number"}
    stand = {"cell": {"type": "string"}, "left": number, "bottom": number, "orient": {"type": "string"}}
    value = {"anyOf": [number, {"type": "boolean"}, {"type": "array", "items": number}]}
    return {
        "type": "object",
        "properties": {
            "idea": {"type": "string", "description": "One sentence: what changes, and why it should be better."},
            "base": {"type": "string", "description": "The candidate to start from, such as c3; default: the best so far."},
            "way": {
                "type": "string",
                "enum": list(ways(problem)),
                "description": "anew: global placement of everything. cells: macros as in the base or as `macros` says, cells placed anew around them. "
                "refine: all from where the base has it, only made legal and improved.",
            },
            "recipe": {
                "type": "object",
                "properties": dict.fromkeys(sorted(space.decisions), value),
                "description": "Values that change from the base's recipe. A list leaves the value to search: the likely best first.",
            },
            "constraints": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Beside the user's own, which always hold: " + "; ".join(USAGE.values())
                + ". Without it, those of the base; [] for none.",
            },
            "macros": {
                "type": "array",
                "items": {"type": "object", "properties": stand, "required": ["cell", "left", "bottom"]},
                "description": "Where the lower left corners of macros are to be. Without it, those of the base; [] for none.",
            },
            "hold": {
                "type": "boolean",
                "description": "true (default): `macros` stay exactly there. false: that is where they begin.",
            },
        },
        "required": ["idea", "way"],
    }  # fmt: skip


@dataclass(frozen=True)
class Base:
    """The candidate to start from, and its placement."""

    candidate: Candidate
    placement: Placement


def proposed(
    arguments: Mapping[str, Any], base: Base | None, problem: PlacementProblem, space: RecipeSpace
) -> Candidate:
    """The candidate. Mistake for what cannot be read, KerfError for what cannot be met."""
    way = _way(arguments, base, problem)
    begun = Recipe.of(space.default()) if base is None else recipe_of(base.candidate.files)
    chosen, opened = _recipe(arguments.get("recipe") or {}, begun, space)
    made = _made(arguments, way, base, opened)
    posed = made.posed(problem, base.placement if base and way != "anew" else None)
    _refuse_overlaps(made, posed)
    files = {recipe.FILE: chosen.text(), proposal.FILE: made.text()}
    return Candidate(files, base.candidate.id if base else None, "agent", {})


def _way(arguments: Mapping[str, Any], base: Base | None, problem: PlacementProblem) -> str:
    way, may = arguments.get("way"), ways(problem)
    if way not in may:
        given = ", since the user asked to refine a given placement" if problem.kept else ""
        raise Mistake(f"`way` is one of {', '.join(may)}{given}")
    if way != "anew" and base is None:
        raise Mistake(f"there is no legal placement yet from which {way} could go on")
    begun = arguments.get("macros") and arguments.get("hold") is False
    if way == "anew" and begun and problem.target != "proxy":
        raise Mistake(
            "`way` anew places macros itself, so where they begin means nothing: hold them, or say cells"
        )
    return str(way)


def _made(
    arguments: Mapping[str, Any], way: str, base: Base | None, opened: dict[str, tuple[Any, ...]]
) -> Proposal:
    """What is not said is taken over from the base; macros that only began somewhere are where its placement has them."""
    before = proposal_of(base.candidate.files) if base else Proposal()
    constraints, macros = before.constraints, before.macros if before.hold else ()
    if arguments.get("constraints") is not None:
        constraints = _texts(arguments["constraints"])
    if arguments.get("macros") is not None:
        macros = _stands(arguments["macros"])
    hold = arguments.get("hold", True)
    if not isinstance(hold, bool):
        raise Mistake("`hold` is true or false")
    begin = base.candidate.id if base and way != "anew" else ""
    return Proposal(way, begin, constraints, macros, hold, opened or None)


def _texts(given: Any) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(c, str) for c in given):
        raise Mistake('`constraints` is a list of texts, such as ["halo ram_* 5"]')
    if len(given) > MOST_CONSTRAINTS or any(len(c) > LONGEST for c in given):
        raise Mistake(f"at most {MOST_CONSTRAINTS} constraints of {LONGEST} characters")
    return tuple(given)


def _stands(given: Any) -> tuple[Stand, ...]:
    if not isinstance(given, list) or len(given) > MOST_MACROS:
        raise Mistake(f"`macros` is a list of at most {MOST_MACROS}")
    found: dict[str, Stand] = {}
    for item in given:
        if not _places(item):
            raise Mistake(
                'each of `macros` is {"cell": NAME, "left": X, "bottom": Y, "orient": "N"}; the last may be left out'
            )
        found[item["cell"]] = Stand(
            item["cell"], float(item["left"]), float(item["bottom"]), str(item.get("orient") or "")
        )
    return tuple(found.values())


def _places(item: Any) -> bool:
    if not isinstance(item, Mapping) or not isinstance(item.get("cell"), str):
        return False
    return _number(item.get("left")) and _number(item.get("bottom"))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= FARTHEST


def _recipe(given: Any, begun: Recipe, space: RecipeSpace) -> tuple[Recipe, dict[str, tuple[Any, ...]]]:
    """With the first of each list of choices, and the lists."""
    if not isinstance(given, Mapping):
        raise Mistake('`recipe` is an object, such as {"density": 0.5}')
    opened: dict[str, tuple[Any, ...]] = {}
    for name, value in given.items():
        if name not in space.decisions:
            raise Mistake(
                f"the recipe has no open value {name!r}; it has {', '.join(sorted(space.decisions))}"
            )
        choices = value if isinstance(value, list) else [value]
        if not 1 <= len(choices) <= MOST_CHOICES:
            raise Mistake(f"{name}: 1 to {MOST_CHOICES} choices")
        values = tuple(_value(name, v) for v in choices)
        begun = replace(begun, **{name: values[0]})
        if len(set(values)) > 1:
            opened[name] = values
    return begun, opened


def _value(name: str, value: Any) -> Any:
    if name not in LIMITS:
        if not isinstance(value, bool):
            raise Mistake(f"{name} is true or false")
        return value
    low, high = LIMITS[name]
    if not _number(value) or not low <= value <= high:
        raise Mistake(f"{name} is a number from {low:g} to {high:g}")
    if name == "seed":
        return int(value)
    return -1.0 if name == "density" and value < 0 else float(value)


def _refuse_overlaps(made: Proposal, posed: PlacementProblem) -> None:
    """Hard macros that are to stay where they overlap one another, or what is fixed: no stage could mend that."""
    if not made.hold or not made.macros:
        return
    design, at = posed.design, posed.start
    held = {stand.cell for stand in made.macros}
    hard = (design.kind == Kind.MACRO) | (design.fixed & (design.kind == Kind.CELL))
    mine = np.array([i for i in np.flatnonzero(hard) if design.cell_names[i] in held], dtype=np.int64)
    others = np.flatnonzero(hard & posed.lowered.rules.fixed)
    box, slack = np.stack(design.boxes(at), axis=1), max(design.tolerance, 1e-9)
    for i, cell in enumerate(mine):
        near = np.concatenate([mine[i + 1 :], others[others != cell]])
        meet = np.minimum(box[near, 2:], box[cell, 2:]) - np.maximum(box[near, :2], box[cell, :2])
        if (over := near[(meet > slack).all(axis=1)]).size:
            names = design.cell_names
            raise KerfError(
                f"macros {names[cell]} and {names[over[0]]} would overlap where they are to stand"
            )


# ---------------------------------------------------------------- in other forms


def written(text: str) -> dict[str, Any] | None:
    """An answer without a call: its last block of JSON that looks like a proposal."""
    for block in reversed(blocks(text, ("json", ""))):
        try:
            found = json.loads(block)
        except ValueError:
            continue
        if isinstance(found, dict) and any(key in found for key in KEYS):
            return {"idea": text.partition("```")[0].strip()[:400], **found}
    return None


def handed_in(files: Any) -> dict[str, Any]:
    """What an agent that writes files has proposed: `proposal.json`, with the keys of a submission."""
    try:
        found = json.loads(files[proposal.FILE])
    except (KeyError, ValueError, TypeError) as error:
        raise Mistake(f"a candidate's folder holds {proposal.FILE}, one JSON object: {error}") from error
    if not isinstance(found, dict):
        raise Mistake(f"{proposal.FILE} holds one JSON object")
    return {k: v for k, v in found.items() if k not in ("base", "open")}


def form(candidate: Candidate) -> str:
    """Equal for candidates that say the same in another order, or leave other values open."""
    made = asdict(replace(proposal_of(candidate.files), open=None))
    made["constraints"] = sorted(" ".join(c.split()) for c in made["constraints"])
    made["macros"] = sorted(made["macros"], key=lambda m: m["cell"])
    return content_hash([made, asdict(recipe_of(candidate.files))])


def variants(candidate: Candidate) -> ChoiceSpace | None:
    """The values that its recipe leaves open."""
    opened = proposal_of(candidate.files).open
    if not opened:
        return None
    chosen = asdict(recipe_of(candidate.files))
    parameters = [
        Parameter(name, tuple(json.dumps(v) for v in choices), json.dumps(chosen[name]))
        for name, choices in opened.items()
    ]

    def files(values: Mapping[str, str]) -> Mapping[str, str]:
        tried = Recipe.of(chosen | {name: json.loads(value) for name, value in values.items()})
        return {**candidate.files, recipe.FILE: tried.text()}

    return ChoiceSpace(candidate, _distinct(parameters), files)


def _distinct(parameters: Sequence[Parameter]) -> list[Parameter]:
    return [replace(p, choices=tuple(dict.fromkeys(p.choices))) for p in parameters]
