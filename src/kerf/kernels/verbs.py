"""The kernel domain's verbs. Machinery is imported where it is used: `kerf --help` imports none of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from kerf.core.types import KerfError
from kerf.core.verb import Option, Verb
from kerf.kernels import render, says
from kerf.proposers.agent import options

Problem = Annotated[
    str,
    Option("A problem file in KernelBench's layout (Model, get_inputs, get_init_inputs).", metavar="PROBLEM"),
]
Threads = Annotated[int, Option("OpenMP threads; 0 means every core this process may use.", metavar="T")]
Sizes = Annotated[
    list[str],
    Option("Override a module-level size, such as batch_size=16; may be repeated.", "--set", "NAME=VALUE"),
]
Trust = Annotated[bool, Option("Run candidates even where this machine cannot isolate them.")]
Seed = Annotated[int, Option("Seed of the search (the referee draws its own).", metavar="S")]


def _ignore(event: object) -> None:
    """The watcher of calls from Python that do not watch."""


def optimize(
    problem: Problem,
    *,
    target: Annotated[str, Option("The chip to make it fast on.", metavar="TARGET")] = "cpu:native",
    evaluations: Annotated[
        int | None, Option("Stop after this many measured candidates.", metavar="N")
    ] = None,
    minutes: Annotated[
        float | None,
        Option("Stop after this long. With neither limit: 24 candidates or 2 minutes.", metavar="M"),
    ] = None,
    threads: Threads = 0,
    proposer: Annotated[
        str,
        Option(
            "heuristic, random, evolution, memory, cost_model or portfolio; agent: the model alone; claude-code, codex: your own agent's program.",
            metavar="NAME",
        ),
    ] = "portfolio",
    model: options.Model = "",
    agents: options.Agents = 1,
    max_dollars: options.MaxDollars = None,
    max_tokens: options.MaxTokens = None,
    price: options.Price = "",
    sizes: Sizes = [],  # noqa: B006
    seed: Seed = 0,
    trust: Trust = False,
    watch: Any = _ignore,
) -> dict[str, Any]:
    """Make a PyTorch operator faster: search for a kernel, check it, measure it, and write the drop-in."""
    from kerf.kernels.search import Request, budget_of, search

    _check_target(target)
    overrides = parse_sizes(sizes)
    request = Request(
        str(Path(problem).resolve()), overrides, _threads(threads), proposer, seed, trust=trust,
        model=model, agents=agents, max_dollars=max_dollars, max_tokens=max_tokens, price=price,
    )  # fmt: skip
    return search(problem, request, budget_of(evaluations, minutes), watch=watch)


def resume(
    run: str,
    *,
    evaluations: int | None = None,
    minutes: float | None = None,
    max_dollars: float | None = None,
    max_tokens: int | None = None,
    price: str | None = None,
    watch: Any = _ignore,
) -> dict[str, Any]:
    """Go on with a run of `optimize`; a limit that is given is the new total."""
    from kerf.archive import Archive
    from kerf.core.types import Budget
    from kerf.kernels.search import Request, search

    with Archive() as archive:
        record = archive.run(run)
        options = dict(record.options)
        if options.get("path") is None:
            raise KerfError(
                f"run {run} optimized a module given from Python: call kerf.optimize there again; what was measured is reused"
            )
        options["baselines"] = tuple(options["baselines"])
        ceilings = {"max_dollars": max_dollars, "max_tokens": max_tokens, "price": price}
        request = Request(**options | {name: value for name, value in ceilings.items() if value is not None})
        given = evaluations is not None or minutes is not None
        budget = Budget(evaluations, minutes * 60 if minutes else None) if given else record.budget
        return search(str(request.path), request, budget, archive=archive, resume=record.id, watch=watch)


def evaluate(
    candidate: Annotated[
        str,
        Option(
            "A Python file with ModelNew (C inline as C_SOURCE or in *.c beside it), or a candidate's folder.",
            metavar="CANDIDATE",
        ),
    ],
    problem: Problem,
    *,
    threads: Threads = 1,
    sizes: Sizes = [],  # noqa: B006
    baselines: Annotated[
        str, Option("What to compare with, separated by commas: eager, compile, onednn.", metavar="LIST")
    ] = "eager",
    trust: Trust = False,
) -> dict[str, Any]:
    """Judge anybody's candidate: does it build, is it right, how fast is it?"""
    from kerf.kernels.judge import judge

    return judge(
        Path(candidate),
        problem,
        parse_sizes(sizes),
        _threads(threads),
        tuple(filter(None, baselines.split(","))),
        trust,
    )


def audit(
    problem: Annotated[str, Option("A problem file, or a folder of them.", metavar="PROBLEM|FOLDER")],
    *,
    sizes: Sizes = [],  # noqa: B006
    harden: Annotated[bool, Option("Write the hardened form of a degenerate problem beside it.")] = True,
    watch: Any = _ignore,
) -> dict[str, Any]:
    """Would zeros, a constant, the input or a repeated row pass for an answer? And the form of the problem that mends it."""
    from kerf.kernels.audit import audit_path

    return audit_path(Path(problem), parse_sizes(sizes), harden=harden, watch=watch)


def redteam(
    corpus: Annotated[
        str,
        Option(
            "A folder with attacks/, honest/ and problems/; the shipped one where it is left out.",
            metavar="FOLDER",
        ),
    ] = "",
) -> dict[str, Any]:
    """Run the corpus of known cheats and honest kernels: attack success and false positives."""
    from kerf.kernels.redteam import run_corpus

    return run_corpus(Path(corpus) if corpus else None)


def replay(
    evidence: Annotated[
        str, Option("An evidence.json that a run or an evaluation left.", metavar="EVIDENCE")
    ],
    *,
    trust: Trust = False,
) -> dict[str, Any]:
    """Repeat a verdict from its evidence, on this machine."""
    from kerf.kernels.judge import replay_evidence

    return replay_evidence(Path(evidence), trust)


def profile(
    candidate: Annotated[
        str,
        Option(
            "A Python file with ModelNew, a candidate's folder, or its id in the archive; a run's id or last for that run's winner.",
            metavar="CANDIDATE",
        ),
    ],
    problem: Problem,
    *,
    against: Annotated[
        str,
        Option("Another candidate, named in the same way: also say what differs from it.", metavar="OTHER"),
    ] = "",
    threads: Threads = 1,
    sizes: Sizes = [],  # noqa: B006
    trust: Trust = False,
) -> dict[str, Any]:
    """Why is a candidate as fast as it is? Roofline, hot loops, vectorization, ports, strides and spills, as text."""
    from kerf.kernels.profile.given import profile_named

    return profile_named(candidate, problem, parse_sizes(sizes), _threads(threads), against, trust)


def roofline(
    *,
    threads: Threads = 0,
    again: Annotated[bool, Option("Measure anew instead of using what is cached.")] = False,
) -> dict[str, Any]:
    """What this machine can do: peak arithmetic and bandwidth by working-set size; measured once and cached."""
    from kerf.kernels.roofline import roofline as measured

    return measured(_threads(threads), again=again).as_json()


def demo(
    *,
    minutes: Annotated[float, Option("Search time for each of the three examples.", metavar="M")] = 0.2,
    threads: Threads = 0,
    watch: Any = _ignore,
) -> dict[str, Any]:
    """Optimize the three shipped examples and print what was gained."""
    from kerf.kernels.demo import run_demo

    return run_demo(minutes, _threads(threads), watch)


def parse_sizes(items: list[str]) -> dict[str, str | int | float]:
    """["batch_size=16"] -> {"batch_size": 16}."""
    found: dict[str, str | int | float] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_]\w*(\[\d+\])*", name):
            raise KerfError(f"--set takes NAME=VALUE, got {item!r}")
        found[name] = _number(value)
    return found


def _number(text: str) -> str | int | float:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _threads(count: int) -> int:
    from kerf.kernels.targets.cpu import native

    if count < 0:
        raise KerfError(f"--threads takes a positive number, or 0 for every core; got {count}")
    return count or native().cores


def _check_target(target: str) -> None:
    if target not in ("cpu", "cpu:native"):
        raise KerfError(f"no target {target!r}: this version generates code for cpu:native")


def _export(archive: Any, run: str, folder: Path) -> Path:
    """The kernel's own files: a folder that Python imports from."""
    from kerf.archive.transfer import write_files

    write_files(archive.winner(run), folder / "kernel")
    return folder / "kernel"


VERBS = (
    Verb("demo", demo, render.demo, says=says.DEMO),
    Verb("optimize", optimize, render.optimize, resume=resume, export=_export, says=says.OPTIMIZE),
    Verb("evaluate", evaluate, render.evaluate, says=says.EVALUATE),
    Verb("replay", replay, render.evaluate, says=says.REPLAY),
    Verb("profile", profile, render.profile, says=says.PROFILE),
    Verb("audit", audit, render.audit, says=says.AUDIT),
    Verb("redteam", redteam, render.redteam, says=says.REDTEAM),
    Verb("roofline", roofline, render.roofline, reads_only=True, says=says.ROOFLINE),
)
