"""Questions about what was done, answered from the archive, every number with the run it was measured in."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kerf.core.records import RunRecord
from kerf.core.types import Status

SHAPES: tuple[tuple[str, str], ...] = (
    ("undo", r"(?:please )?(?:undo|revert|take (?:that|it) back)(?: (?:that|it|this|the last (?:one|change)))?"),
    ("tried", r"(?:so )?what (?:did we|have we|did you|have you|was|has been) (?:try|tried|do|done)(?: so far)?|show me what we tried"),
    ("today", r"(?:which|what) (?:runs )?(?:did|have) (?:we|i) (?:do|done|run)(?: runs)? (?P<when>today|yesterday|this week)|(?:which |what )?runs (?:of |from )?(?P<then>today|yesterday|this week)"),
    ("best", r"what(?:'s| is| was) (?:the|our) best(?: \w+)?(?: so far| yet| until now)?|which (?:one )?(?:is|was) (?:the )?best|(?:the )?best so far"),
    ("gain", r"(?:by )?how much (?:faster|better|quicker)(?: is it| did it get| now| are we| is that)*|(?:did it (?:get|become|turn out)|has it become|is it|is that|are we) (?:any |really )?(?:faster|better|quicker)(?: now| yet)?|(?:did|have) (?:we|you|it) (?:reach(?:ed)?|get|got|make|made|meet|met) (?:it|there|the goal|that|our goal)|what speed ?-?up (?:did we|have we|do we) (?:get|got|have)|how fast is it(?: now)?"),
    ("failed", r"(?:and )?(?:what|which(?: ones?| candidates?)?) failed(?: and why)?|why (?:did|has|does) (?:it|that|this) fail(?:ed)?|what went wrong|why (?:were|was) .*rejected"),
    ("slowest", r"(?:and )?(?:which|what)(?: one| candidate| kernel)? (?:is|was) (?:the |our )?(?:slowest|worst)(?: one| candidate| so far)*"),
    ("spent", r"how (?:many tokens|much(?: money)?|many dollars) (?:did|have|has) (?:we|i|it|the model) (?:spend|spent|used?|cost)(?: so far| until now| yet)?|what (?:did|has) (?:it|that|the model) cost"),
    ("help", r"help(?: me)?|what can you do(?: for me)?|what can i (?:say|do)|how does this work"),
)  # fmt: skip


@dataclass(frozen=True)
class Question:
    """`when`: today, yesterday or this week, of "today"."""

    name: str
    when: str = ""


def question(text: str) -> Question | None:
    """What a sentence asks, if it is one of the questions that the archive answers."""
    said = re.sub(r"\s+", " ", text.lower()).strip(" .?!,")
    said = re.sub(r"^(?:now|so|ok|okay|and|please|hey|well),? |(?:,? please)$", "", said)
    for name, shape in SHAPES:
        m = re.fullmatch(shape, said)
        if m:
            when = next((v for k, v in m.groupdict().items() if v), "")
            return Question(name, when)
    return None


def answer(asked: Question, archive: Any, runs: Sequence[str], goal: float | None = None) -> str:
    """From the archive alone. `runs`: of this conversation, the newest first; without any, the archive's newest."""
    if asked.name == "today":
        return _since(archive, asked.when)
    records = [archive.run(r) for r in runs] or archive.runs(1)
    if not records:
        return f"nothing was run yet: the archive in {archive.folder} is empty"
    if asked.name == "tried":
        return "\n".join(_tried(archive, r) for r in records)
    if asked.name == "failed":
        return _failures(archive, records[0])
    if asked.name == "gain":
        return _gain(archive, records[0], goal)
    if asked.name == "slowest":
        return _slowest(archive, records[0])
    if asked.name == "spent":
        return "\n".join(_spent(archive, r) for r in records)
    return _best(archive, records)


def _since(archive: Any, when: str) -> str:
    now = time.time()
    midnight = now - now % 86400
    begin = {"today": midnight, "yesterday": midnight - 86400, "this week": midnight - 6 * 86400}[when]
    end = midnight if when == "yesterday" else now + 1
    found = [r for r in archive.runs() if begin <= r.created < end]
    return "\n".join(_line(archive, r) for r in found) or f"no runs {when} (UTC)"


def _winner(archive: Any, record: RunRecord) -> Any:
    if record.best is None:
        return None
    return archive.confirmations(record.id).get(record.best) or archive.lookup(record.best, record.evaluator_key)  # fmt: skip


def _line(archive: Any, record: RunRecord) -> str:
    found = _winner(archive, record)
    return f"{record.id}  {record.problem_name}: {found.headline if found else 'no winner'} ({record.state})"


def _tried(archive: Any, record: RunRecord) -> str:
    trials = archive.trials(record.id)
    counts: dict[str, int] = {}
    for t in trials:
        key = f"{t.candidate.proposer or 'given'}: {t.evaluation.status}"
        counts[key] = counts.get(key, 0) + 1
    listed = ", ".join(f"{n} {what}" for what, n in counts.items())
    return f"{_line(archive, record)}\n  {len(trials)} candidates{': ' + listed if listed else ''}"


def _failures(archive: Any, record: RunRecord) -> str:
    failed = [t for t in archive.trials(record.id) if t.evaluation.status is not Status.PASSED]
    if not failed:
        return f"nothing failed in run {record.id} ({record.problem_name}); `kerf show {record.id}` lists its candidates"
    rows = [
        f"  {t.candidate.id[:12]} {t.evaluation.status}: {t.evaluation.reason[:160] or '-'}"
        for t in failed[:8]
    ]
    more = [f"  and {len(failed) - 8} more: kerf show {record.id}"] if len(failed) > 8 else []
    return "\n".join([f"{len(failed)} candidates of run {record.id} ({record.problem_name}) failed:", *rows, *more])  # fmt: skip


def _gain(archive: Any, record: RunRecord, goal: float | None) -> str:
    found = _winner(archive, record)
    if found is None:
        return f"run {record.id} ({record.problem_name}) has no winner: kerf show {record.id} says why"
    said = f"{found.headline} (run {record.id}, {record.problem_name}, measured)"
    if goal and found.score is not None and "x" in found.headline:
        reached = "reached" if found.score >= goal else "not reached"
        said += f"; the goal of {goal:g}x is {reached}"
    return said


def _slowest(archive: Any, record: RunRecord) -> str:
    """Of the candidates that passed: a failed one is slow at nothing."""
    passed = [t for t in archive.trials(record.id) if t.evaluation.status is Status.PASSED]
    if not passed:
        return f"no candidate passed in run {record.id} ({record.problem_name})"
    worst = min(passed, key=lambda t: t.evaluation.score)
    return f"{worst.candidate.id[:12]}: {worst.evaluation.headline}, the least of {len(passed)} that passed (run {record.id}, {record.problem_name}, measured)"


def _spent(archive: Any, record: RunRecord) -> str:
    """What the language model used in a run, by its turns in the archive and what attempts cost that brought none; dollars only where each
    has a price."""
    asked = [body for _, _, body in archive.turns(record.id)]
    turns = [body for body in asked if "usage" in body]
    lost = [body for _, kind, body in archive.events(record.id) if kind == "lost"]
    if not turns + lost:
        none = (
            f"{len(asked)} turns of an agent that does not tell its tokens"
            if asked
            else "no language model was asked"
        )
        return f"run {record.id} ({record.problem_name}): {none}"
    tokens = sum(body["usage"].get(k, 0) for body in turns + lost for k in ("input_tokens", "output_tokens"))
    priced = [body.get("dollars") for body in turns + lost]
    dollars = f", ${sum(priced):.4f}" if None not in priced else ", dollars not known: no price was given"
    return f"run {record.id} ({record.problem_name}): {tokens:,} tokens in {len(turns)} turns{_broken(len(lost))}{dollars}"


def _broken(lost: int) -> str:
    return f" and {lost} attempts that broke off" if lost else ""


def _best(archive: Any, records: Sequence[RunRecord]) -> str:
    """Per problem, since scores of two problems cannot be compared."""
    best: dict[str, tuple[float, RunRecord]] = {}
    for record in records:
        found = _winner(archive, record)
        if found is not None and found.score > best.get(record.problem, (float("-inf"), record))[0]:
            best[record.problem] = (found.score, record)
    if not best:
        return f"no candidate passed in {', '.join(r.id for r in records)}"
    return "\n".join(f"{_line(archive, r)}; winner {str(r.best)[:12]}, measured" for _, r in best.values())
