"""The verification domain's verbs. Machinery is imported where it is used: `kerf --help` imports none of it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated, Any

from kerf.core.types import KerfError
from kerf.core.verb import Option, Verb
from kerf.verification import render, says

Files = Annotated[
    list[str],
    Option(
        "Verilog or SystemVerilog sources; `example` is a small one that comes with kerf, with a bug.",
        metavar="DESIGN.sv...",
    ),
]
Top = Annotated[
    str, Option("The module to verify; by default the one that no other instantiates.", metavar="MODULE")
]
Define = Annotated[
    list[str], Option("A macro, NAME or NAME=VALUE; may be repeated.", "--define -D", "NAME=VALUE")
]
Include = Annotated[list[str], Option("A folder of included files; may be repeated.", "--include -I", "DIR")]
Parameter = Annotated[
    list[str],
    Option("A parameter of the top module, NAME=VALUE; may be repeated.", "--parameter -P", "NAME=VALUE"),
]
Minutes = Annotated[float, Option("Stop after this long; what is open then is undecided.", metavar="M")]
Reset = Annotated[
    str | None,
    Option(
        "The reset input (`!name`: active low, empty: none). By default found by its name and what it does.",
        metavar="NAME",
    ),
]


def _ignore(event: object) -> None:
    """The watcher of calls from Python that do not watch."""


def verify(
    design: Files,
    *,
    top: Top = "",
    spec: Annotated[
        list[str],
        Option(
            "A property: SVA, English, or a file of them (.sva, .spec or .txt, one a line); may be repeated.",
            metavar="SPEC",
        ),
    ] = [],  # noqa: B006
    goal: Annotated[
        str, Option("prove, cover, mutate, mine, several with commas, or all.", metavar="GOAL")
    ] = "all",
    minutes: Annotated[
        float,
        Option(
            "End this long after the start, reading and synthesis included; what is open then is undecided.",
            metavar="M",
        ),
    ] = 1.0,
    test: Annotated[
        list[str],
        Option(
            "A run that exists: a table of inputs and outputs (.csv), a dump (.vcd), a testbench (.sv) or a test for cocotb (.py); may be repeated.",
            metavar="FILE",
        ),
    ] = [],  # noqa: B006
    define: Define = [],  # noqa: B006
    include: Include = [],  # noqa: B006
    parameter: Parameter = [],  # noqa: B006
    reset: Reset = None,
    reset_free: Annotated[
        bool, Option("The reset may come again at any time, where it is otherwise held inactive.")
    ] = False,
    seed: Annotated[int, Option("Seed of everything that draws.", metavar="S")] = 0,
    watch: Any = _ignore,
) -> dict[str, Any]:
    """Verify a design: prove its assertions, close its coverage, score its tests by mutants, mine assertions that hold."""
    _check_installed()
    from kerf.verification.verify import Request
    from kerf.verification.verify import verify as run

    request = Request(
        tuple(map(_source, design)), top, _pairs(define), tuple(map(_absolute, include)), _pairs(parameter),
        tuple(_absolute(s) if Path(s).is_file() else s for s in spec), tuple(map(_absolute, test)), goal, minutes,
        reset, reset_free, seed,
    )  # fmt: skip
    return run(request, watch=watch)


def go_on(
    run: str, *, evaluations: int | None = None, minutes: float | None = None, watch: Any = _ignore
) -> dict[str, Any]:
    """Go on with a run of `verify`: what it had decided stays decided."""
    _check_installed()
    from kerf.archive import Archive
    from kerf.verification.verify import request_of
    from kerf.verification.verify import verify as again

    if evaluations is not None or minutes is not None:
        raise KerfError(
            "a run of `kerf verify` goes on with the time that it was given: start a new one for another"
        )
    with Archive() as archive:
        record = archive.run(run)
    return again(request_of(record), resume=record.id, watch=watch)


def judge(
    references: Annotated[
        str,
        Option(
            "A folder of NAME_ref.sv, with NAME_test.sv beside them (VerilogEval's layout), or a table of reference assertions (.csv, FVEval's).",
            metavar="REFERENCES",
        ),
    ],
    answers: Annotated[
        str, Option("A folder of answers, NAME*.sv; or a table of them (.csv).", metavar="ANSWERS")
    ],
    *,
    seconds: Annotated[float, Option("For the proof of one answer.", metavar="S")] = 20.0,
    testbenches: Annotated[bool, Option("Ask the testbench where no proof is found.")] = True,
    watch: Any = _ignore,
) -> dict[str, Any]:
    """Grade Verilog against references by proof, then by testbench; assertions against assertions by proof."""
    _check_installed()
    from collections import Counter

    from kerf.core.records import Moment
    from kerf.verification import judge as judging

    rows: list[dict[str, Any]] = []
    if references.endswith(".csv"):
        graded: Any = judging.judge_assertions(Path(references), Path(answers), timeout_s=seconds)
    else:
        graded = judging.judge(Path(references), Path(answers), timeout_s=seconds, testbenches=testbenches)
    for answer in graded:
        rows.append(answer.as_json())
        watch(Moment(render.graded(rows[-1]), passing=False))
    counts = Counter(r.get("grade") or r["verdict"] for r in rows)
    return {"answers": rows, "counts": dict(counts), "total": len(rows)}


def repair(
    design: Files,
    *,
    trace: Annotated[
        str,
        Option(
            "What it should do: a table of inputs and expected outputs (.csv, x where it does not matter).",
            metavar="T.csv",
        ),
    ] = "",
    assertion: Annotated[
        list[str], Option("What should hold, SVA or English; may be repeated.", "--assert", "SENTENCE")
    ] = [],  # noqa: B006
    reference: Annotated[
        str, Option("A design that it should equal: a file, or several with commas between.", metavar="R.v")
    ] = "",
    top: Top = "",
    minutes: Minutes = 1.0,
    most: Annotated[int, Option("How many repairs to look for.", metavar="N")] = 5,
    zero: Annotated[
        bool,
        Option("Registers without an initial value start at 0, as tables from two-state simulators assume."),
    ] = False,
    out: Annotated[str, Option("Write the sources of the first repair here.", metavar="DIR")] = "",
    define: Define = [],  # noqa: B006
    include: Include = [],  # noqa: B006
    watch: Any = _ignore,
) -> dict[str, Any]:
    """The smallest change to the source after which a design does what a table, assertions or another design say. Without any of
    them, what its own assertions say."""
    _check_installed()
    from kerf.verification.asking import repaired

    how: dict[str, Any] = {"defines": _pairs(define), "includes": [Path(i) for i in include]}
    return repaired(
        [_source(d) for d in design], top, how, trace, assertion, reference.split(",") if reference else [],
        seconds=60 * minutes, most=most, zero=zero, out=out, watch=watch,
    )  # fmt: skip


def export(archive: Any, run: str, folder: Path) -> Path:
    """A run's counterexamples and stimulus for other tools."""
    _check_installed()
    from kerf.verification.artifacts import export as write

    return write(archive, run, folder)


def why(
    signal: Annotated[str, Option("The signal to explain, as the design names it.", metavar="SIGNAL")],
    *,
    at: Annotated[int | None, Option("The cycle; by default the last of the run.", metavar="TIME")] = None,
    run: Annotated[
        str, Option("A run of `kerf verify` with a counterexample; by default the last.", metavar="RUN")
    ] = "last",
    assertion: Annotated[
        str, Option("Whose counterexample; by default the first refuted one's.", metavar="NAME")
    ] = "",
    design: Annotated[
        list[str],
        Option("Explain a run of your own: the sources of its design; may be repeated.", metavar="FILE"),
    ] = [],  # noqa: B006
    trace: Annotated[
        str, Option("The run of your own: a table (.csv) or a dump (.vcd).", metavar="FILE")
    ] = "",
    top: Top = "",
) -> dict[str, Any]:
    """Why does a signal have its value? The lines, signals and inputs that made it so, and no others."""
    _check_installed()
    from kerf.verification.asking import explained, of_files, of_run

    found = of_files(design, trace, top) if design or trace else of_run(run, assertion)
    return explained(*found, signal, at)


def assert_(
    sentence: Annotated[
        str,
        Option(
            'What should hold, in English: "whenever req rises then ack within 4 cycles, unless reset"; or SVA.',
            metavar="SENTENCE",
        ),
    ],
    design: Files,
    *,
    top: Top = "",
    minutes: Minutes = 1.0,
    define: Define = [],  # noqa: B006
    include: Include = [],  # noqa: B006
    parameter: Parameter = [],  # noqa: B006
    reset: Reset = None,
    watch: Any = _ignore,
) -> dict[str, Any]:
    """A sentence as an assertion: shown as SVA over the design's own names, checked for vacuity, then proved or refuted."""
    _check_installed()
    from kerf.verification.asking import asserted
    from kerf.verification.verify import Request

    request = Request(
        tuple(map(_source, design)), top, _pairs(define), tuple(map(_absolute, include)), _pairs(parameter),
        goal="prove", minutes=minutes, reset=reset, asked_only=True,
    )  # fmt: skip
    return asserted(request, sentence, watch)


def equiv(
    a: Annotated[str, Option("The golden design: a file, or several with commas between.", metavar="A")],
    b: Annotated[str, Option("The other one.", metavar="B")],
    *,
    bounded: Annotated[int | None, Option("Compare the first N cycles only.", metavar="N")] = None,
    top: Annotated[
        str, Option("The module in both; by default the one that no other instantiates.", metavar="MODULE")
    ] = "",
    top_b: Annotated[str, Option("The module in B, where it is called otherwise.", metavar="MODULE")] = "",
    minutes: Minutes = 1.0,
    define: Define = [],  # noqa: B006
    include: Include = [],  # noqa: B006
    reset: Reset = None,
) -> dict[str, Any]:
    """Are two designs the same? Proved for all time, or shown different by a run that one can read."""
    _check_installed()
    from kerf.verification.design import load
    from kerf.verification.equivalence import equivalent

    how: dict[str, Any] = {"defines": _pairs(define), "includes": [Path(i) for i in include]}
    gold = load(a.split(","), top=top, **how)
    gate = load(b.split(","), top=top_b or top, **how)
    found = equivalent(gold, gate, bounded=bounded, timeout_s=60 * minutes, reset=reset)
    return {"a": gold.top, "b": gate.top, **found.as_json()}


def _pairs(texts: list[str]) -> dict[str, str]:
    return {name: value for name, _, value in (t.partition("=") for t in texts)}


def _absolute(path: str) -> str:
    return str(Path(path).absolute())


def _source(path: str) -> str:
    if path != "example" or Path(path).exists():
        return _absolute(path)
    from kerf.verification.examples import path as example

    return str(example())


def _check_installed() -> None:
    missing = [n for n in ("pyosys", "pyslang", "pysat") if importlib.util.find_spec(n) is None]
    if missing:
        raise KerfError(f"verification needs {', '.join(missing)}: pip install 'kerf-ai[verification]'")


VERBS = (
    Verb("verify", verify, render.verify, resume=go_on, export=export, says=says.VERIFY),
    Verb("assert", assert_, render.asserted, says=says.ASSERT),
    Verb("equiv", equiv, render.equiv, reads_only=True, says=says.EQUIV),
    Verb("repair", repair, render.repair, says=says.REPAIR),
    Verb("why", why, render.why, reads_only=True, says=says.WHY),
    Verb("judge", judge, render.judge, says=says.JUDGE),
)
