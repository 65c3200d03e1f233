"""Sentences to plans, with no model: every verb reads the sentence by its own schema, and the one that leaves no word unread is meant.

Nothing is guessed silently: a word that nobody understands, a thing that is missing and two verbs that read alike are asked back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rapidfuzz import fuzz, process

from kerf.assistant import following
from kerf.assistant.clause import Filling
from kerf.assistant.context import Context, Pending, complete, unread
from kerf.assistant.declared import calls, parameters
from kerf.assistant.filling import fill, may_call
from kerf.assistant.plan import Plan, Step
from kerf.assistant.questions import Question, question
from kerf.assistant.runs_named import name_runs
from kerf.assistant.shapes import GOAL, text_of, within
from kerf.assistant.spelling import Speller
from kerf.assistant.words import FILLERS, Token, tokens, written_out
from kerf.assistant.workspace import Workspace, listed
from kerf.core.types import KerfError
from kerf.core.verb import Verb

THEN = {"then", ";", "afterwards", "afterward"}
ORDINALS = {"first": 0, "second": 1, "third": 2, "fourth": 3, "last": -1, "1": 0, "2": 1, "3": 2, "4": 3}
LONGEST = 2000
QUESTIONS = "what did we try?   what is the best so far?   how much faster is it?   what failed and why?"
PAST = re.compile(
    r"(?:(?:and|so|but|hey|well|ok|please),? )*(?:did|was|were|has|had|have (?:we|you|i|they)|when (?:did|was|were|will|is|are)|who|should (?:i|we|you)|"
    r"how (?:long|much|many|often) (?:did|would|will|does)|what (?:happens|happened|would|if))\b",
    re.I,
)
"""Questions about what was done, or would be: a verb must not do what was only asked about."""


@dataclass(frozen=True)
class Ask:
    """What is asked back, with the choices there are."""

    text: str
    choices: Sequence[str] = ()
    pending: Pending | None = field(default=None, compare=False)


Understood = Plan | Ask | Question


def understand(sentence: str, context: Context) -> Understood:
    """What a sentence means in this conversation. Never raises for what was said."""
    said = written_out(" ".join(sentence.split())[:LONGEST])
    if not said:
        return Ask(f"say what to do, for example: {_examples(context.verbs)}")
    asked = question(said)
    if asked:
        return asked
    if PAST.match(said):
        return Ask(f"that asks about what was or might be, and I do only what is said: {QUESTIONS}")
    heard = tokens(said)
    if heard and heard[0].norm == "kerf":
        heard = heard[1:]
    context.workspace.reserved = context.workspace.reserved or _reserved(context.verbs)
    if context.pending and (answered := _answered(heard, context)):
        return answered
    spelt = _speller(context).corrected(heard)
    return _planned(spelt, said, context)


def _reserved(verbs: Mapping[str, Verb]) -> frozenset[str]:
    return frozenset(s for v in verbs.values() for phrase, _ in calls(v) for s in phrase)


def _planned(spelt: list[Token], said: str, context: Context) -> Plan | Ask:
    read: list[Filling] = []
    clauses = _clauses(spelt)
    if len(clauses) == 1:
        changed = _changed(clauses[0], context, said)
        if isinstance(changed, Plan):
            return changed
    for clause in clauses:
        found = _read(clause, context, read)
        if isinstance(found, Ask):
            again = _again(clause, context, read, said)
            if not again:
                return found
            found = again
        read += found
    return Plan(tuple(map(_step, read)), said)


def _again(clause: list[Token], context: Context, read: Sequence[Filling], said: str) -> list[Filling]:
    """A clause that changes the one before it ("then again with another seed"), or as the first one the last plan; [] where it does not."""
    if read:
        f = following.change(_step(read[-1]), clause, context.workspace)
        return [f] if f and f.clean else []
    plan = _changed(clause, context, said)
    return (
        [Filling(s.verb, clause, dict(s.arguments), notes=list(s.notes)) for s in plan.steps] if plan else []
    )


def _step(f: Filling) -> Step:
    return Step(f.verb, {p.name: f.arguments[p.name] for p, _ in parameters(f.verb) if p.name in f.arguments}, (*_spelling(f), *f.notes), f.goal)  # fmt: skip


def _spelling(f: Filling) -> Iterator[str]:
    for t in f.tokens:
        if t.misspelt:
            yield f"{t.misspelt!r} as {t.norm!r}"


# Clauses


def _clauses(spelt: Sequence[Token]) -> list[list[Token]]:
    """Cut at "then", ";" and "after that"."""
    found: list[list[Token]] = [[]]
    skip = 0
    for i, t in enumerate(spelt):
        if skip:
            skip -= 1
        elif t.norm == "after" and spelt[i + 1 : i + 2] and spelt[i + 1].norm == "that":
            found.append([])
            skip = 1
        elif t.norm in THEN and not t.quoted:
            found.append([])
        else:
            found[-1].append(t)
    return [c for c in (_trimmed(c) for c in found) if c]


def _trimmed(clause: list[Token]) -> list[Token]:
    while clause and clause[0].norm in ("and", ",", ".", "also"):
        clause = clause[1:]
    while clause and clause[-1].norm in ("and", ",", ".", "?", "!"):
        clause = clause[:-1]
    return clause


def _read(clause: list[Token], context: Context, earlier: list[Filling]) -> list[Filling] | Ask:
    """One clause, or several where "and" or a comma joins them."""
    whole = _best(clause, context, earlier)
    if isinstance(whole, Filling) and whole.clean:
        return _apart(whole, context)
    if each := _each(clause, context, earlier):
        return each
    for i, t in enumerate(clause):
        if t.norm not in ("and", ",") or not (0 < i < len(clause) - 1):
            continue
        left = _best(_trimmed(clause[:i]), context, earlier)
        parts = _apart(left, context) if isinstance(left, Filling) and left.clean else []
        if isinstance(parts, list) and parts:
            right = _read(_trimmed(clause[i + 1 :]), context, [*earlier, *parts])
            if isinstance(right, list):
                return [*parts, *right]
    return whole if isinstance(whole, Ask) else _ask(whole, context)


def _each(clause: list[Token], context: Context, earlier: list[Filling]) -> list[Filling]:
    """Files that are listed where a verb takes one: the same with each of them, or []."""
    files = [i for i, t in enumerate(clause) if context.workspace.exists(t.text)]
    for first, last in ((i, j) for i in files for j in reversed(files) if i < j):
        among = clause[first : last + 1]
        if all(t.norm in ("and", ",") or context.workspace.exists(t.text) for t in among):
            one = [[*clause[:first], t, *clause[last + 1 :]] for t in among if t.norm not in ("and", ",")]
            return _all_clean(one, context, earlier)
    return []


def _all_clean(clauses: list[list[Token]], context: Context, earlier: list[Filling]) -> list[Filling]:
    """Each clause as the same verb, or []."""
    found: list[Filling] = []
    for clause in clauses:
        f = _best(clause, context, earlier)
        if isinstance(f, Ask) or not f.clean or (found and f.verb is not found[0].verb):
            return []
        found.append(f)
    return found


def _fillings(clause: Sequence[Token], context: Context, earlier: Sequence[Filling]) -> list[Filling]:
    found = []
    text, _ = text_of(clause)
    for verb in context.verbs.values():
        if not may_call(verb, clause, text):
            continue
        f = fill(verb, clause, context.workspace)
        if f.called:
            name_runs(f, context.recent())
            found.append(_misread(_without_goal(complete(f, context, earlier)), text))
    return found


def _refused(f: Filling, folder: Path) -> Filling:
    """What the verb would refuse in that folder, asked back instead of planned."""
    if f.clean and f.verb.says.refuses:
        f.wrong = f.verb.says.refuses(f.arguments, folder)
    return f


def _apart(f: Filling, context: Context) -> list[Filling] | Ask:
    """One call for each thing that its files are of, unless they are named as one ("together")."""
    if f.verb.says.apart is None or any(t.norm == "together" for t in f.tokens):
        return [f]
    try:
        return [
            replace(f, arguments=dict(a)) for a in f.verb.says.apart(f.arguments, context.workspace.folder)
        ]
    except KerfError as why:
        return Ask(f"read as `{_step(f).command()}`, but {why}")


def _misread(f: Filling, text: str) -> Filling:
    """What only looks like that verb: its own shapes, and "is it placed", which asks about what was done."""
    for shape, why in f.verb.says.misread:
        if re.search(rf"(?<![\w.]){shape}(?!\w)", text):
            f.wrong = f.wrong or why
    declared = {w for phrase in (*f.verb.says.words, *f.verb.says.means) for w in phrase.split()}
    done = [
        f.tokens[i].norm
        for i in f.calling
        if f.tokens[i].norm.endswith("ed") and f.tokens[i].norm not in declared
    ]
    if done and f.tokens[0].norm in ("is", "are"):
        f.wrong = (
            f.wrong or f"{done[0]!r} asks about what was done, and that would do it: `what did we try?` tells"
        )
    return f


def _without_goal(f: Filling) -> Filling:
    text, spans = text_of(f.tokens)
    for shape, _ in GOAL:
        m = re.search(rf"(?<![\w.]){shape}\b", text)
        if m and not f.verb.says.gain and not f.used & set(within(spans, *m.span())):
            f.take(within(spans, *m.span()), 0.0)
            f.wrong = f.wrong or f"`{f.verb.name}` takes no goal such as twice as fast: leave it out"
    return f


def _badness(f: Filling) -> float:
    return 3 * len(f.leftover) + 2.5 * len(f.missing) + 2.9 * bool(f.wrong) + 4 * (not f.called)


def _uncalled(clause: Sequence[Token], context: Context) -> list[Filling]:
    """What no verb is said of ("gcd.def: routability, 12 minutes"): every verb that takes the file and an option of those that are named,
    and leaves no word over."""
    here = [t.text for t in clause if context.workspace.exists(t.text)]
    takers = [v for v in context.verbs.values() if any(context.workspace.fits(s, n) for _, s in parameters(v) if s.files for n in here)]  # fmt: skip
    read = [complete(fill(verb, clause, context.workspace), context, ()) for verb in takers]
    files = {p.name for f in read for p, said in parameters(f.verb) if said.files}
    return [
        f for f in read if f.clean and any(n not in files for n in f.arguments) and files & f.arguments.keys()
    ]


def _best(clause: Sequence[Token], context: Context, earlier: Sequence[Filling]) -> Filling | Ask:
    found = sorted(_fillings(clause, context, earlier), key=lambda f: (_badness(f), -f.weight))
    if not any(f.clean for f in found):
        found = sorted(_uncalled(clause, context), key=lambda f: -f.weight) or found
    if not found:
        return _unknown(clause, context)
    first = _refused(found[0], context.workspace.folder)
    alike = [f for f in found[1:] if f.clean and first.clean and f.weight == first.weight]
    if alike:
        names = [first.verb.name, *(f.verb.name for f in alike)]
        return Ask(f"{' or '.join(f'`{n}`' for n in names)}? Both read that: say which", names)
    return first


# What changes the last plan


def _changed(clause: list[Token], context: Context, said: str) -> Plan | None:
    """The last plan that these words change, with the change; None where they say something new."""
    fresh = _best(clause, context, ())
    new = isinstance(fresh, Filling) and fresh.clean
    for turn in reversed(context.turns):
        for at in reversed(range(len(turn.plan.steps))):
            step = turn.plan.steps[at]
            f = following.change(step, clause, context.workspace)
            if f is None or not _refused(f, context.workspace.folder).clean:
                continue
            if any("THEM" in str(v) for v in f.arguments.values()):
                continue
            coupled = any(t.norm in following.AGAIN for t in clause)
            if new and isinstance(fresh, Filling) and (fresh.verb is not step.verb or not coupled):
                return None
            return Plan(tuple(_everywhere(turn.plan.steps, at, f, clause, context)), said)
    return None


def _everywhere(steps: Sequence[Step], at: int, f: Filling, clause: list[Token], context: Context) -> Iterator[Step]:  # fmt: skip
    """The steps with the change of the one at `at`, and of those of the same verb, unless it speaks of a file."""
    said_of = {n for n, v in f.arguments.items() if steps[at].arguments.get(n) != v}
    files = {p.name for p, said in parameters(f.verb) if said.files}
    for i, step in enumerate(steps):
        same = step.verb is f.verb and i != at and said_of and not said_of & files
        also = following.change(step, clause, context.workspace) if same else None
        yield _step(f) if i == at else _step(also) if also and also.clean else step


# What is asked back


def _ask(f: Filling, context: Context) -> Ask:
    read = f"read as `{_step(f).command()}`"
    if f.wrong:
        return Ask(f"{read}, but {f.wrong}")
    if f.leftover:
        words = " ".join(unread(f))
        return Ask(f"{read}, but not understood: {words!r}. Say it in other words or leave it out; `kerf {f.verb.name} --help` lists what there is")  # fmt: skip
    name, choices = next(iter(f.missing.items()))
    p = next(p for p, _ in parameters(f.verb) if p.name == name)
    label = p.option.metavar or name.upper()
    it = " (I know nothing that 'it' could be)" if any(t.norm == "it" for t in f.tokens) else ""
    there = f" There are: {listed(choices)}" if choices else f" {p.option.help}"
    return Ask(f"`{f.verb.name}`: which {label}?{it}{there}", choices, Pending(f, name, choices))


def _unknown(clause: Sequence[Token], context: Context) -> Ask:
    said = " ".join(t.misspelt or t.text for t in clause)
    examples = [e for v in context.verbs.values() for e in v.says.examples]
    near = process.extract(said, examples, scorer=fuzz.token_set_ratio, limit=2)
    can = " or ".join(f'"{e}"' for e, _, _ in near)
    return Ask(f"not understood: {said!r}. The nearest I can do, for example: {can}. `help` lists more")


def _answered(heard: Sequence[Token], context: Context) -> Plan | None:
    """The answer to what was asked back."""
    pending = context.pending
    assert pending is not None
    words = [t for t in heard if t.norm not in FILLERS - {"last"} and t.norm != "1"] or list(heard)
    said = next(p[1] for p in parameters(pending.filling.verb) if p[0].name == pending.parameter)
    picked = [pending.choices[ORDINALS[t.norm]] for t in words if t.norm in ORDINALS and len(pending.choices) > ORDINALS[t.norm]]  # fmt: skip
    if not picked:
        stems_said = [t.stem for t in words]
        picked = [c for c in pending.choices if c in {t.text for t in words} or set(stems_said) <= context.workspace.words(c)]  # fmt: skip
    if not picked and said.files and len(words) == 1:
        picked = [words[0].text] if context.workspace.fits(said, words[0].text) and context.workspace.exists(words[0].text) else context.workspace.named(said, [words[0].stem])  # fmt: skip
    if len(picked) != 1:
        return None
    f = pending.filling
    kind = next(p.kind for p, _ in parameters(f.verb) if p.name == pending.parameter)
    f.arguments[pending.parameter] = [picked[0]] if "list" in str(kind) else picked[0]
    f.missing.pop(pending.parameter, None)
    return Plan((_step(f),)) if f.clean else None


def _examples(verbs: Mapping[str, Verb]) -> str:
    return "; ".join(v.says.examples[0] for v in verbs.values() if v.says.examples)


def help_text(verbs: Mapping[str, Verb]) -> str:
    """What can be said: every verb's own examples."""
    rows = [f"  {e}" for v in verbs.values() for e in (v.says.examples or (v.name,))]
    asks = f"  {QUESTIONS}   undo that"
    return "\n".join(["You can say, for example:", *rows, "and about what was done:", asks])


# Vocabulary


def _speller(context: Context) -> Speller:
    if not hasattr(context, "_speller"):
        context._speller = Speller(set(_vocabulary(context.verbs, context.workspace)))  # type: ignore[attr-defined]
    return context._speller  # type: ignore[attr-defined,no-any-return]


def _vocabulary(verbs: Mapping[str, Verb], workspace: Workspace) -> Iterator[str]:
    for verb in verbs.values():
        says = verb.says
        phrases = [verb.name, *says.words, *says.means, *says.nouns, *says.examples]
        for p, said in parameters(verb):
            phrases += [p.name.replace("_", " "), *said.words, *(w for ways in said.choices.values() for w in ways), *said.choices]  # fmt: skip
            phrases += [re.sub(r"\W+|_", " ", shape) for shape, _ in said.patterns]
        for phrase in phrases:
            yield from re.findall(r"[a-z]{3,}", phrase.lower())
    yield from workspace.vocabulary([s for v in verbs.values() for _, s in parameters(v)])
