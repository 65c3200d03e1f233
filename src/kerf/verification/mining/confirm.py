"""What was proved, shown again by others: runs, and the model checker on the texts that a user is shown."""

from __future__ import annotations

import time
from collections.abc import Sequence

from kerf.core.types import KerfError
from kerf.verification.mining.propose import run
from kerf.verification.model import Model
from kerf.verification.prove import Property, Unsound, Verdict, prove
from kerf.verification.sva.compiler import compiled

CHECKED, AT_ONCE = 4000, 500  # cycles of the runs, and of those between two looks at the clock


def confirmed(model: Model, bad: Sequence[int], texts: Sequence[str], seed: int, deadline: float) -> tuple[str, ...]:  # fmt: skip
    """What confirms that no cycle makes a literal of `bad` true, the monitors of `texts` (SVA). Unsound where anything contradicts it."""
    if not bad:
        return ()
    told = [f"{_simulated(model, bad, seed + 99, deadline)} random cycles of 512 runs"]
    again = _from_texts(model, texts, deadline) if model.clock else 0
    if again:
        told.append(f"{again} of {len(texts)} proved from their texts by the model checker")
    if again < len(texts) and _proved_at_once(model, bad, deadline):
        told.append("the model checker, all at once")
    return tuple(told)


def _simulated(model: Model, bad: Sequence[int], seed: int, deadline: float) -> int:
    """Cycles in which none was broken."""
    for cycle in range(0, CHECKED, AT_ONCE):
        if run(model, bad, AT_ONCE, seed + cycle, keep=False).any():
            raise Unsound("a mined assertion that was proved is broken in simulation")
        if time.monotonic() > deadline:
            return cycle + AT_ONCE
    return CHECKED


def _proved_at_once(model: Model, bad: Sequence[int], deadline: float) -> bool:
    left = deadline - time.monotonic()
    if left < 0.2:
        return False
    (found,) = prove(model, [Property("mined", model.graph.any_of(bad))], timeout_s=left)
    if found.verdict is Verdict.REFUTED:
        raise Unsound("the model checker refutes mined assertions that induction proved")
    return found.verdict is Verdict.PROVED


def _from_texts(model: Model, texts: Sequence[str], deadline: float) -> int:
    """How many a compiler that knows nothing of mining, and the model checker, prove."""
    reset = "" if model.reset is None else ("" if model.reset.active else "!") + model.reset.name
    left = deadline - time.monotonic()
    if left < 0.2:
        return 0
    try:
        made, assertions, source = compiled(
            model.design, texts, reset=reset, reset_free=model.reset_free, timeout_s=left
        )
    except KerfError:
        return 0  # the design holds assertions of its own that are not supported, or the time is up
    mined = [a for a, origin in zip(assertions, source.origin) if origin >= 0]
    left = deadline - time.monotonic()
    if left < 0.2:
        return 0
    results = prove(made, [Property(a.name, a.bad, a.text) for a in mined], timeout_s=left)
    for result, assertion in zip(results, mined):
        if result.verdict is Verdict.REFUTED:
            raise Unsound(f"the text of a mined assertion does not hold: {assertion.text}")
    return sum(r.verdict is Verdict.PROVED for r in results)
