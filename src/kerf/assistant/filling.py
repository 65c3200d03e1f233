"""One verb's options, found in one clause: what each token was used for, what is missing, and what nobody used."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatch

from kerf.assistant.clause import LINKS, Filling, put
from kerf.assistant.declared import GAP, calls, choices, gapped, option_words, parameters, places
from kerf.assistant.plan import base
from kerf.assistant.quantities import bounded_goal, quantities
from kerf.assistant.shapes import GOAL, glob, length, pattern, text_of, within
from kerf.assistant.words import APART, FILLERS, PRONOUNS, Token, stems, verbatim
from kerf.assistant.workspace import Workspace
from kerf.core.speech import Said
from kerf.core.verb import Parameter, Verb

TOWARDS = {"to", "into", "as", "from"}
BETWEEN = (LINKS - {"of"}) | {"in", "are", "with", "file", "from"}
"""What may stand between an option's name and the file it names: "the late paths are in slack.rpt"."""
OWNED = {"of", "for", "on"}


def may_call(verb: Verb, tokens: Sequence[Token], text: str) -> bool:
    """Whether anything here could call that verb: cheap, so that the others need not be read."""
    said = {t.stem for t in tokens}
    if any(said.issuperset(w for w in phrase if w != GAP) for phrase, _ in calls(verb)):
        return True
    if verb.says.gain and any(re.search(rf"(?<![\w.]){shape}\b", text) for shape, _ in GOAL):
        return True
    shapes = [shape for _, s in parameters(verb) if s.text for shape, _ in s.patterns]
    return any(pattern(shape).search(text) for shape in shapes)


def fill(verb: Verb, tokens: Sequence[Token], workspace: Workspace) -> Filling:
    """Everything that this clause says for that verb; what is missing is left to `complete`."""
    f = Filling(verb, tokens)
    _files(f, workspace)
    _patterns(f)
    _called(f)
    if verb.says.gain:
        _goal(f)
    _choices(f)
    quantities(f)
    _switches(f)
    _words(f)
    _texts(f)
    _nouns(f)
    _file_words(f, workspace)
    _identifiers(f)
    return f


def _called(f: Filling) -> None:
    """The verb's phrases; one that only repeats the call says nothing more."""
    for phrase, meant in calls(f.verb):
        for span in gapped(f.tokens, phrase):
            if f.used & set(span):
                continue
            f.take(span, 2.0 * len(span) if not f.called else 0.5 * len(span))
            f.calling |= set(span)
            f.called += 1
            for name, value in meant.items():
                put(f, name, value)


def _patterns(f: Filling) -> None:
    text, spans = text_of(f.tokens)
    for p, said in parameters(f.verb):
        for shape, template in said.patterns:
            for m in pattern(shape).finditer(text):
                rest = set(within(spans, *m.span("rest"))) if "rest" in m.groupdict() else set()
                span = [i for i in within(spans, *m.span()) if i not in rest]
                if (span and f.free(range(span[0], span[-1] + 1))) or (span and not f.used & set(span)):
                    values = {k: _value(f, k, v, spans, m) for k, v in m.groupdict().items() if k != "rest"}
                    f.take(span, 1.0 + len(span))
                    put(f, p.name, template.format(**values))
                    _beside(f, p.name, range(span[0], span[-1] + 1))
                    f.called += 1 if said.text else 0


def _value(f: Filling, group: str, found: str | None, spans: Sequence[tuple[int, int]], m: re.Match[str]) -> str:  # fmt: skip
    if group == "names":
        return glob(_as_written(f, within(spans, *m.span(group))) or found)
    if group == "length":
        return length(found or "")
    if found is None:
        return ""
    begin, end = m.span(group)
    here = next((i for i, (a, b) in enumerate(spans) if a <= begin and end <= b), None)
    if here is None:
        return verbatim([f.tokens[i] for i in within(spans, begin, end)]) or found
    token, start = f.tokens[here], spans[here][0]
    return token.text[begin - start : end - start] if len(token.text) == len(token.norm) else found


def _as_written(f: Filling, span: Sequence[int]) -> str:
    """Names keep their capitals; what was misspelt is read as it was meant."""
    return " ".join(f.tokens[i].text if f.tokens[i].text.lower() == f.tokens[i].norm else f.tokens[i].norm for i in span)  # fmt: skip


def _goal(f: Filling) -> None:
    text, spans = text_of(f.tokens)
    for shape, factor in GOAL:
        for m in re.finditer(rf"(?<![\w.]){shape}\b", text):
            span = within(spans, *m.span())
            numbers = [i for i in span if f.tokens[i].value is not None or f.tokens[i].norm == m["n"]]
            if f.goal is None and not f.used & set(numbers):
                f.goal = factor(m["n"])
                f.called = f.called or 1
                f.take(span, 2.0)
                bounded_goal(f, span[0], span[-1])


def _choices(f: Filling) -> None:
    for phrase, name, value in choices(f.verb):
        for span in places(f.tokens, phrase):
            if f.open(span):
                f.take(span, 1.5 * len(span))
                put(f, name, float(value) if value.isdigit() else value)
                _beside(f, name, span)


def _beside(f: Filling, name: str, span: range) -> None:
    """The option's own name next to its value: "the evolution proposer", "map congestion"."""
    for words in option_words(f.verb, name):
        for near in (range(span.stop, span.stop + len(words)), range(span.start - len(words), span.start)):
            if (
                near.start >= 0
                and f.free(near)
                and tuple(t.stem for t in f.tokens[near.start : near.stop]) == words
            ):
                f.take(near, 0.5)


def _switches(f: Filling) -> None:
    """Options that are on or off; "without" and "no" turn one off."""
    for p, _ in parameters(f.verb):
        if base(p.kind)[0] is not bool:
            continue
        for words in sorted(option_words(f.verb, p.name), key=len, reverse=True):
            for span in places(f.tokens, words):
                if not f.open(span):
                    continue
                off = span.start > 0 and f.tokens[span.start - 1].norm in ("without", "no", "not")
                f.take([*span, *([span.start - 1] if off else [])])
                f.arguments[p.name] = not off


def _words(f: Filling) -> None:
    """A value after its option's word: "top fifo_ctrl", "to out.svg"."""
    for p, said in parameters(f.verb):
        kind, _ = base(p.kind)
        if kind is not str or said.text or said.choices or said.thing == "none" or p.name in f.arguments:
            continue
        if said.name or (said.files and said.thing != ""):
            continue
        for words in option_words(f.verb, p.name):
            for span in places(f.tokens, words):
                i = span.stop
                while i < len(f.tokens) and f.tokens[i].norm in LINKS | {"in"} and f.tokens[i].norm != "to":
                    i += 1
                if p.name in f.arguments or i >= len(f.tokens) or i in f.used or not f.open(span):
                    continue
                if _says_only_what(f, i):
                    continue
                if f.tokens[span.start].norm in TOWARDS and not re.search(r"[./]", f.tokens[i].text):
                    continue  # "to" is said of many things
                if _identifier(f.tokens[i]) or f.tokens[i].quoted:
                    f.take([*span, i])
                    put(f, p.name, f.tokens[i].text.rstrip("/") or "/")


def _says_only_what(f: Filling, i: int) -> bool:
    """An option's word before a path: "the answers in answers/"."""
    is_word = any((f.tokens[i].stem,) in option_words(f.verb, p.name) for p, _ in parameters(f.verb))
    return is_word and any("/" in t.text for j, t in enumerate(f.tokens) if j > i and j not in f.used)


def _identifier(token: Token) -> bool:
    return bool(re.fullmatch(r"[A-Za-z_./][\w./\[\]:*-]*", token.text)) and token.norm not in FILLERS | APART and token.norm not in PRONOUNS  # fmt: skip


def _texts(f: Filling) -> None:
    """The rest of the clause, verbatim, for an option that takes a sentence: what is in quotation marks, or all words after the call."""
    for p, said in parameters(f.verb):
        if not said.text or p.name in f.arguments or not f.called:
            continue
        quoted = [i for i, t in enumerate(f.tokens) if t.quoted and i not in f.used]
        if quoted:
            f.take(quoted[:1])
            put(f, p.name, f.tokens[quoted[0]].text)
        elif p.required or any(places(f.tokens, stems(w)) for w in said.words):
            _told(f, p, said)


def _told(f: Filling, p: Parameter, said: Said) -> None:
    """Words after the first "that" of the call, else after its last word, up to "in FILE"."""
    starts = [s.stop for phrase, _ in calls(f.verb) for s in places(f.tokens, phrase)]
    starts += [s.stop for w in said.words for s in places(f.tokens, stems(w))]
    thats = [s for s in starts if f.tokens[s - 1].norm == "that"]
    begin = min(thats) if thats else max(starts, default=0)
    while begin < len(f.tokens) and f.tokens[begin].norm in ("that", "whether", ":", ","):
        begin += 1
    end = len(f.tokens)
    while end > begin and (f.tokens[end - 1].norm in "?.!" or f.tokens[end - 1].norm in ("please",)):
        end -= 1
    inside = [i for i in range(begin, end) if f.tokens[i].norm in ("in", "of", "for", "on")]
    for i in reversed(inside):
        named = f.tokens[i + 1 : end]
        if named and len(named) <= 3 and (end - 1 in f.used or named[0].norm == "the"):
            end = i
            break
    told = f.tokens[begin:end]
    if told and not any(i in f.used and "." in f.tokens[i].text for i in range(begin, end)):
        f.take(range(begin, end), 0.5 * len(told))
        put(f, p.name, verbatim(told))


def _nouns(f: Filling) -> None:
    """Words that go with the verb, and its options' own names where nothing more is said of them."""
    for noun in sorted(f.verb.says.nouns, key=lambda n: -len(stems(n))):
        for span in places(f.tokens, stems(noun)):
            if f.free(span):
                f.take(span, 0.4)


def _file_options(f: Filling) -> list[tuple[Parameter, Said]]:
    return [(p, s) for p, s in parameters(f.verb) if s.files]


def _files(f: Filling, workspace: Workspace) -> None:
    """Names of files that are there. Each goes to the option that is named before it ("the design is b.def"), one that belongs to another
    ("a.def of b.def") lets that have the first option; then each to the first that takes it and has none yet, the most exact pattern first."""
    if not _file_options(f):
        return
    named = [(i, n) for i in range(len(f.tokens)) if (n := _file(f, i, workspace))]
    for pick in (_announced, _owner, _next):
        for i, name in named[::-1] if pick is _owner else named:  # "the wires of a.def for b.def"
            if i in f.used:
                continue
            takers = [p for p, s in _file_options(f) if workspace.fits(s, name) and (base(p.kind)[1] or p.name not in f.arguments)]  # fmt: skip
            if taker := pick(f, i, name, takers):
                f.take([i])
                put(f, taker.name, name)


def _file(f: Filling, i: int, workspace: Workspace) -> str:
    """The file that this word names, or is a spelling mistake of; or ""."""
    text = f.tokens[i].text
    if "." not in text[1:] and "/" not in text and not workspace.exists(text):
        return ""
    name = text.rstrip(".?!,")
    if not (i and f.tokens[i - 1].norm in TOWARDS) and (meant := workspace.misspelt(name)):
        f.notes.append(f"{name!r} as {meant}")
        return meant
    return name if workspace.exists(name) else ""


def _announced(f: Filling, i: int, name: str, takers: Sequence[Parameter]) -> Parameter | None:
    """The option whose own word stands before the name; the word is taken too, unless it calls the verb."""
    stop = i
    while stop > 0 and f.tokens[stop - 1].norm in BETWEEN:
        stop -= 1
    for p in takers:
        for words in option_words(f.verb, p.name):
            for end in {i, stop}:
                span = range(end - len(words), end)
                if span.start >= 0 and f.open(span) and tuple(f.tokens[j].stem for j in span) == words:
                    f.take([] if any(words == phrase for phrase, _ in calls(f.verb)) else span, 0.2)
                    return p
    return None


def _owner(f: Filling, i: int, name: str, takers: Sequence[Parameter]) -> Parameter | None:
    """The first option, where another file is said to be of, for or on this one."""
    rivals = [q for q, s in _file_options(f) if any(fnmatch(name, g) for g in s.files)]
    among = len(takers) > 1 and takers[0] is rivals[0] and not base(takers[0].kind)[1]
    return takers[0] if i and f.tokens[i - 1].norm in OWNED and among else None


def _next(f: Filling, i: int, name: str, takers: Sequence[Parameter]) -> Parameter | None:
    """Two files joined by "and" are two of a kind: the second is no optional companion of the first."""
    free = [p for p in takers if p.name not in f.arguments] or list(takers)
    first, said = _file_options(f)[0]
    alike = i > 1 and f.tokens[i - 1].norm in ("and", ",") and i - 2 in f.used
    if alike and any(fnmatch(name.lower(), g) for g in said.files):
        free = [p for p in free if p.required or p is first]
    exact = {p.name: max(len(g) for g in f.verb.says.options[p.name].files if fnmatch(name.lower(), g)) for p in free}  # fmt: skip
    return max(free, key=lambda p: exact[p.name], default=None)


def _file_words(f: Filling, workspace: Workspace) -> None:
    """Names in words: "the softmax", "ct_ariane". Several that fit are asked about."""
    for p, said in _file_options(f):
        if p.name in f.arguments or not (p.required or p.option.positional):
            continue
        hits = [
            i
            for i, t in enumerate(f.tokens)
            if i not in f.used and _may_name(f, i, workspace) and workspace.named(said, [t.stem])
        ]
        if not hits or (said.thing == "placement"):
            continue
        both = workspace.named(said, [f.tokens[i].stem for i in hits])
        found, hits = (both, hits) if both else (workspace.named(said, [f.tokens[hits[0]].stem]), hits[:1])
        f.take(hits)
        if len(found) == 1:
            put(f, p.name, found[0])
            word = " ".join(f.tokens[i].text for i in hits)
            if word.lower() != found[0].lower():
                f.notes.append(f"{word!r} as {found[0]}")
        else:
            f.missing[p.name] = found


def _may_name(f: Filling, i: int, workspace: Workspace) -> bool:
    """Words that call a verb name a file only after "the" or "this"."""
    token = f.tokens[i]
    if token.norm in FILLERS or token.value is not None:
        return False
    return token.stem not in workspace.reserved or (i > 0 and f.tokens[i - 1].norm in ("the", "this"))


def _identifiers(f: Filling) -> None:
    """The one word that nobody used, where an option takes a name of the user's own."""
    for p, said in parameters(f.verb):
        rest = [i for i, t in enumerate(f.tokens) if i not in f.used and _identifier(t)]
        asked = said.name and p.name not in f.arguments and f.called and len(rest) == 1
        if asked and not (rest[0] and f.tokens[rest[0] - 1].norm in PRONOUNS):  # "is it slow" names no signal
            f.take(rest)
            put(f, p.name, f.tokens[rest[0]].text)
