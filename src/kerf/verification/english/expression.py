"""What phrases mean: expressions of SystemVerilog, and predicates on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

JOINED = {"&&": " && ", "||": " || "}


@dataclass(frozen=True)
class Expression:
    """`text` is one operand, in brackets where it has to be. `low`: what it means that this is low, where that is not its negation ("all bits of a").
    `when`: "eventually" or "always", said of it. `bare`: a name with nothing said of it; `clause`: a whole clause made a term ("whether a is high"), of which
    nothing more is said together with other terms."""

    text: str
    width: int = 1
    low: str = ""
    when: str = ""
    bare: bool = False
    clause: bool = False


Predicate = Callable[[Expression], Expression]


@dataclass(frozen=True)
class Saying:
    """What a verb says of its subject: of each of several (`each`), or of what they make together; `pair`: of two, together. `negative`: that it is not
    so; of all at once (`together`: "never both high"), or of each."""

    of: Predicate
    each: bool = True
    pair: str = ""
    when: str = ""
    negative: bool = False
    together: bool = False

    def joiner_denied(self, subject: Subject) -> bool:
        """Whether a denial is of each part by itself."""
        return self.each and subject.joiner == "&&" and not subject.count and not self.together


@dataclass(frozen=True)
class Subject:
    """Several things: joined by && or ||, or counted ("exactly one", "at most one", "none")."""

    parts: tuple[Expression, ...]
    joiner: str = ""
    count: str = ""


def bracketed(text: str) -> str:
    """`text` in brackets, unless it is one operand already."""
    return (
        text
        if text.replace("_", "").replace("$", "").replace(".", "").isalnum() or _closed(text)
        else f"({text})"
    )


def _closed(text: str) -> bool:
    """Whether the first bracket closes with the last."""
    if not (text.startswith("(") and text.endswith(")")):
        return False
    depth = 0
    for index, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if depth == 0:
            return index == len(text) - 1
    return False


def negation(e: Expression) -> Expression:
    return replace(e, text=f"(!{bracketed(e.text)})", width=1, low="", bare=False)


def low(e: Expression) -> Expression:
    return replace(e, text=e.low, low="", bare=False) if e.low else negation(e)


def binary(a: Expression, op: str, b: Expression) -> Expression:
    when = a.when or b.when
    if op in ("nand", "nor"):
        return negation(binary(a, "&&" if op == "nand" else "||", b))
    width = max(a.width, b.width) if op in ("+", "-", "^", "&", "|", "~^") else 1
    return Expression(f"({a.text} {op} {b.text})", width, when=when)


def combined(op: str, parts: Sequence[Expression]) -> Expression:
    """An operation named by a word ("the AND of a and b"), of several operands or over the bits of one."""
    if len(parts) == 1:
        return Expression(f"({op}{bracketed(parts[0].text)})")
    base = op.removeprefix("~") if op != "~^" else "^"
    single = all(p.width == 1 for p in parts)
    sign = {"&": "&&", "|": "||"}.get(base, base) if single else base
    found = parts[0]
    for part in parts[1:]:
        found = binary(found, sign, part)
    if op != base:
        return negation(found) if single else replace(found, text=f"(~{found.text})")
    return found


def joined(subject: Subject, parts: Sequence[Expression]) -> Expression:
    when = next((p.when for p in parts if p.when), "")
    if subject.count:
        listed = ", ".join(p.text for p in parts)
        text = {"one": f"$onehot({{{listed}}})", "at most one": f"$onehot0({{{listed}}})",
                "none": f"(!({' || '.join(p.text for p in parts)}))", "not all": f"(!({' && '.join(p.text for p in parts)}))", "some": f"({' || '.join(p.text for p in parts)})"}[subject.count]  # fmt: skip
        return Expression(text, when=when)
    if len(parts) == 1:
        return parts[0]
    return Expression("(" + JOINED[subject.joiner].join(p.text for p in parts) + ")", when=when)


def said(subject: Subject, saying: Saying) -> Expression | None:
    """A clause; None where the verb does not fit its subject. "a or b is not high" denies both, "a and b are not high" too, "are not both high" one."""
    if saying.each and len(subject.parts) > 1 and any(p.clause for p in subject.parts):
        return None
    each = saying.negative and saying.joiner_denied(subject)
    if saying.pair:
        if len(subject.parts) != 2 or subject.count:
            return None
        found = binary(subject.parts[0], saying.pair, subject.parts[1])
    elif saying.each or subject.count:
        found = joined(subject, [negation(saying.of(p)) if each else saying.of(p) for p in subject.parts])
    else:
        found = saying.of(joined(subject, subject.parts))
    if saying.negative and not (each and not saying.pair and saying.each):
        found = negation(found)
    return replace(found, when=saying.when or found.when, bare=False, clause=False)
