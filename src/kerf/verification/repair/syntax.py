"""Questions to slang's syntax tree: which names a node reads or assigns, how wide an operand is, where instances are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def bodies(body: Any, module: str) -> Iterator[Any]:
    """The bodies of instances of a module."""
    if body.definition.name == module:
        yield body
    for member in body:
        yield from _inside(member, module)


def _inside(member: Any, module: str) -> Iterator[Any]:
    kind = type(member).__name__
    if kind == "InstanceSymbol" and member.isModule:
        yield from bodies(member.body, module)
    elif kind == "GenerateBlockSymbol" and not member.isUninstantiated:
        for inner in member:
            yield from _inside(inner, module)
    elif kind == "GenerateBlockArraySymbol":
        for entry in member.entries:
            yield from _inside(entry, module)


def integer(value: Any) -> int | None:
    try:
        return int(str(value)) if str(value).lstrip("-").isdigit() else int(value)
    except (TypeError, ValueError):
        return None


def bits_of(e: Any) -> int:
    return int(e.type.bitWidth) if e.type.isIntegral else 0


def own_bits(e: Any) -> int:
    """The width before conversions; 0 for a literal without a size."""
    while type(e).__name__ == "ConversionExpression":
        e = e.operand
    if type(e).__name__ == "IntegerLiteral" and e.type.isSigned:
        return 0
    return bits_of(e)


def compared_bits(left: Any, right: Any) -> int:
    return max(own_bits(left), own_bits(right)) or max(bits_of(left), bits_of(right))


def counters_in(body: Any) -> set[str]:
    """Names that for statements count with: synthesis unrolls them, and they must stay as they are."""
    found: set[str] = set()

    def look(one: Any) -> None:
        if type(one).__name__ == "ForLoopStatement":
            for initial in one.initializers:
                found.update(names_in(getattr(initial, "left", initial)))

    body.visit(look)
    return found


def is_constant(e: Any) -> bool:
    """Made of numbers, parameters and loop variables of generate blocks."""
    found = True

    def look(one: Any) -> None:
        nonlocal found
        if type(one).__name__ == "NamedValueExpression":
            found = found and type(one.symbol).__name__ in ("ParameterSymbol", "GenvarSymbol")

    e.visit(look)
    return found


def index_bits(value: Any) -> int:
    """Bits of an index into `value`."""
    width = value.type.bitWidth if value.type.isIntegral else 0
    limits = getattr(value.type, "range", None)
    if limits is not None:
        width = max(width, abs(limits.left), abs(limits.right))
    return max(int(width) - 1, 1).bit_length()


def names_in(e: Any) -> Iterator[str]:
    """Names of variables in an expression's left-hand positions."""
    kind = type(e).__name__
    if kind in ("NamedValueExpression", "HierarchicalValueExpression"):
        yield e.symbol.name
    elif kind == "ConcatenationExpression":
        for part in e.operands:
            yield from names_in(part)
    elif kind == "ConversionExpression":
        yield from names_in(e.operand)
    elif hasattr(e, "value") and kind.endswith(("SelectExpression", "AccessExpression")):
        yield from names_in(e.value)


def names_read(node: Any) -> Iterator[str]:
    """Names of variables in an expression or statement."""
    found: dict[str, None] = {}

    def look(one: Any) -> None:
        if type(one).__name__ == "NamedValueExpression":
            found.setdefault(one.symbol.name)

    node.visit(look)
    yield from found


def uses_in(e: Any) -> Iterator[tuple[Any, list[Any]]]:
    """Variables in an expression, each with the source ranges that name it."""
    found: dict[str, tuple[Any, list[Any]]] = {}

    def look(one: Any) -> None:
        if type(one).__name__ == "NamedValueExpression":
            found.setdefault(one.symbol.name, (one.symbol, []))[1].append(one.sourceRange)

    e.visit(look)
    yield from found.values()


def counts_down(kind: Any) -> bool:
    """Whether a type's bits are numbered from its width - 1 down to 0, or it is one bit."""
    limits = getattr(kind, "range", None)
    return bool(kind.isIntegral) and (limits is None or limits.right == 0 <= limits.left)


def events_of(timing: Any) -> list[Any]:
    if type(timing).__name__ == "ImplicitEventControl":
        return []
    return list(getattr(timing, "events", None) or [timing])


def first_condition(body: Any) -> tuple[str, ...]:
    """Names in the condition of the `if` that a body consists of."""
    while type(body).__name__ == "BlockStatement":
        body = body.body
    if type(body).__name__ == "StatementList":
        inner = list(body.list)
        body = inner[0] if len(inner) == 1 else body
    return tuple(names_read(body.conditions[0].expr)) if type(body).__name__ == "ConditionalStatement" else ()


def surely_assigned(s: Any) -> set[str]:
    """Names that every way through a statement assigns."""
    kind = type(s).__name__
    if kind == "StatementList":
        return set().union(*(surely_assigned(one) for one in s.list))
    if kind == "ExpressionStatement" and type(s.expr).__name__ == "AssignmentExpression":
        return set(names_in(s.expr.left))
    if kind == "ConditionalStatement":
        return surely_assigned(s.ifTrue) & surely_assigned(s.ifFalse) if s.ifFalse is not None else set()
    if kind == "CaseStatement":
        ways = [surely_assigned(item.stmt) for item in s.items]
        if s.defaultCase is None and not _full(s):
            return set()
        ways += [surely_assigned(s.defaultCase)] if s.defaultCase is not None else []
        return set.intersection(*ways) if ways else set()
    if kind in ("BlockStatement", "ForLoopStatement"):
        return surely_assigned(s.body)
    return surely_assigned(s.stmt) if kind == "TimedStatement" else set()


def _full(s: Any) -> bool:
    """Whether a case without default has a label for every value."""
    width = bits_of(s.expr)
    labels = {str(e.constant) for item in s.items for e in item.expressions}
    return 0 < width <= 16 and len(labels) == 1 << width


def assigned(s: Any) -> Iterator[str]:
    """Names that a statement assigns."""
    kind = type(s).__name__
    if kind == "StatementList":
        for one in s.list:
            yield from assigned(one)
    elif kind == "ExpressionStatement" and type(s.expr).__name__ == "AssignmentExpression":
        yield from names_in(s.expr.left)
    elif kind == "ConditionalStatement":
        yield from assigned(s.ifTrue)
        if s.ifFalse is not None:
            yield from assigned(s.ifFalse)
    elif kind == "CaseStatement":
        for item in s.items:
            yield from assigned(item.stmt)
        if s.defaultCase is not None:
            yield from assigned(s.defaultCase)
    elif kind in ("BlockStatement", "ForLoopStatement"):
        yield from assigned(s.body)
    elif kind == "TimedStatement":
        yield from assigned(s.stmt)
