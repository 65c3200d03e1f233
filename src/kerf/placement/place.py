"""Place a design: the whole of `kerf place` as a function on arrays."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from kerf.archive import Archive
from kerf.core.types import KerfError
from kerf.placement.ahead import compile_ahead
from kerf.placement.constraints import Constraint, Fixed, exact, read
from kerf.placement.constraints.given import given as brought
from kerf.placement.design import Design, Floats, Placement
from kerf.placement.formats import load, load_placement
from kerf.placement.output import output_for
from kerf.placement.problem import default_target, pose
from kerf.placement.search import Request, Search, Watch
from kerf.placement.shares import DEFAULT_S
from kerf.placement.telling import Telling


@dataclass(frozen=True)
class Placed:
    """`placement`: the best found, legal where `report["legal"]` says so. `report`: what `kerf place --json` prints."""

    placement: Placement
    report: dict[str, Any]

    @property
    def legal(self) -> bool:
        return bool(self.report["legal"])


def place(
    design: Design,
    *,
    target: str | None = None,
    minutes: float | None = None,
    threads: int = 0,
    seed: int = 0,
    constraints: Sequence[str | Path | Constraint] = (),
    fix: Sequence[str] = (),
    start: Placement | None = None,
    density: float | None = None,
    net_weight: Floats | None = None,
    output: str | Path | None = None,
    proposer: str = "portfolio",
    archive: Archive | None = None,
    resume: str | None = None,
    request: Request | None = None,
    watch: Watch = lambda _: None,
) -> Placed:
    """Place a design. `target`: "hpwl", "routability" or "proxy" (default: the proxy cost for clustered designs with a grid). `minutes`: all of it is
    used; without it one recipe runs to its end (five minutes at most; two for the proxy cost). `threads`: 0 is every core. `start` is
    refined, not placed afresh. `net_weight`, (M,), pulls in place of the design's. `output`: a file; None writes none. `resume`: the id
    of a run of the same design that was stopped or killed.

    Raises KerfError for what cannot be placed, naming why; KeyboardInterrupt where it was stopped before anything legal was found."""
    asked = (*read([*constraints], design), *(Fixed((glob,)) for glob in fix))
    problem = pose(
        design, (*brought(design), *asked), start, target=target, density=density, net_weight=net_weight
    )
    if minutes is not None and not 0 < minutes < float("inf"):
        raise KerfError(f"--minutes takes a positive number, got {minutes:g}")
    with ExitStack() as stack:
        store = archive or stack.enter_context(Archive())
        if resume is not None and request is None:
            request = request_of(store, resume)
        given = request or Request(threads=threads, seed=seed, density=density, proposer=proposer)
        given = replace(given, target=problem.target, minutes=minutes, constraints=tuple(map(exact, asked)))
        source = Path(given.design) if given.design else None
        written = output_for(design, output, source) if output is not None else None
        if written is not None:
            given = replace(given, output=str(written.path.absolute()))
        compile_ahead(problem.target, watch)
        stop = stack.enter_context(_interruptible())
        search = Search(problem, given, store, stop, watch, written)
        stack.callback(search.close)
        return Placed(*search.go(resume))


def place_files(
    request: Request, watch: Watch, *, archive: Archive | None = None, resume: str | None = None
) -> Placed:
    """`place` for a design in files, as `kerf place` does it; raises what `place` and the readers raise."""
    design = load(Path(request.design), [Path(p) for p in (request.start, *request.lef) if p])
    start = load_placement(Path(request.start), design) if request.start else None
    if isinstance(watch, Telling):
        proxy = (request.target or default_target(design)) == "proxy"
        watch.of(design, DEFAULT_S["proxy"] if proxy else None)
    return place(
        design, target=request.target or None, minutes=request.minutes, threads=request.threads, seed=request.seed,
        constraints=request.constraints, start=start, density=request.density,
        net_weight=_weights(design, request.slack), output=request.output, proposer=request.proposer,
        archive=archive, resume=resume, request=request, watch=watch,
    )  # fmt: skip


def request_of(archive: Archive, run: str) -> Request:
    """What a run of `place` was asked. KerfError where the run is another verb's."""
    record = archive.run(run)
    options = dict(record.options)
    if options.get("verb") != "place":
        raise KerfError(f"run {record.id} placed nothing: `kerf resume {record.id}` goes on with it")
    known = {f.name for f in fields(Request)}
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items() if k in known}
    return Request(**options)


def _weights(design: Design, slack: str) -> Floats | None:
    if not slack:
        return None
    from kerf.placement.timing import weights

    return weights(design, Path(slack))


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """The first Ctrl-C (or SIGTERM) asks the stages to wind up; a second one interrupts."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def asked(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
