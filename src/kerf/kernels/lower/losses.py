"""Losses, as torch.nn.functional defines them. `reduction` is torch's code: 0 none, 1 mean, 2 sum."""

from __future__ import annotations

from math import log as log_of
from math import pi
from typing import Any

from kerf.kernels.ir import Const, DType, Expr, apply, const_index
from kerf.kernels.lower.activations import add, mul
from kerf.kernels.lower.norms import log_softmax
from kerf.kernels.lower.pointwise import choose, num, x_log_y
from kerf.kernels.lower.reductions import averaged, scaled, stat_type, total
from kerf.kernels.lower.registry import Context, cast, lowers
from kerf.kernels.lower.values import Indices, Value


def _difference(c: Context, fn: Any, a: Value, b: Value, reduction: int) -> Value:
    kind = stat_type(c.dtype)
    return averaged(c, c.pointwise(lambda x, y: fn(apply("sub", x, y)), a, b, dtype=kind), reduction)


@lowers("mse_loss")
def _mse(c: Context, a: Value, b: Value, reduction: int = 1) -> Value:
    return _difference(c, lambda d: apply("mul", d, d), a, b, reduction)


@lowers("l1_loss")
def _l1(c: Context, a: Value, b: Value, reduction: int = 1) -> Value:
    return _difference(c, lambda d: apply("abs", d), a, b, reduction)


@lowers("smooth_l1_loss")
def _smooth_l1(c: Context, a: Value, b: Value, reduction: int = 1, beta: float = 1.0) -> Value:
    def one(d: Expr) -> Expr:
        size = apply("abs", d)
        near = mul(apply("mul", size, size), 0.5 / beta) if beta else size
        return choose(apply("lt", size, num(beta, size)), near, add(size, -0.5 * beta))

    return _difference(c, one, a, b, reduction)


@lowers("huber_loss")
def _huber(c: Context, a: Value, b: Value, reduction: int = 1, delta: float = 1.0) -> Value:
    def one(d: Expr) -> Expr:
        size = apply("abs", d)
        far = mul(add(size, -0.5 * delta), delta)
        return choose(apply("le", size, num(delta, size)), mul(apply("mul", size, size), 0.5), far)

    return _difference(c, one, a, b, reduction)


@lowers("kl_div")
def _kl_div(c: Context, logs: Value, target: Value, reduction: int = 1, *, log_target: bool = False) -> Value:
    def one(x: Expr, t: Expr) -> Expr:
        if log_target:
            return apply("mul", apply("exp", t), apply("sub", t, x))
        return apply("sub", x_log_y(t, t), apply("mul", t, x))

    return averaged(c, c.pointwise(one, logs, target, dtype=stat_type(c.dtype)), reduction)


@lowers("binary_cross_entropy")
def _bce(c: Context, p: Value, t: Value, weight: Value | None = None, reduction: int = 1) -> Value:
    def one(x: Expr, y: Expr, *w: Expr) -> Expr:
        floor = num(-100, x)
        yes = apply("max", apply("log", x), floor)
        no = apply("max", apply("log1p", apply("neg", x)), floor)
        out = apply("sub", apply("mul", apply("sub", y, num(1, y)), no), apply("mul", y, yes))
        return apply("mul", out, w[0]) if w else out

    args = [p, t] + ([weight] if weight is not None else [])
    return averaged(c, c.pointwise(one, *args, dtype=stat_type(c.dtype)), reduction)


@lowers("binary_cross_entropy_with_logits")
def _bce_logits(
    c: Context,
    x: Value,
    t: Value,
    weight: Value | None = None,
    pos_weight: Value | None = None,
    reduction: int = 1,
) -> Value:
    """(1 - y) x + w (log1p(exp(-|x|)) + max(-x, 0)), with w = 1 + (pos_weight - 1) y."""
    extra = [v for v in (weight, pos_weight) if v is not None]

    def one(e: Expr, y: Expr, *rest: Expr) -> Expr:
        found = iter(rest)
        w = next(found) if weight is not None else None
        tail = apply("log1p", apply("exp", apply("neg", apply("abs", e))))
        tail = apply("add", tail, apply("max", apply("neg", e), num(0, e)))
        if pos_weight is not None:
            tail = apply("mul", add(apply("mul", add(next(found), -1.0), y), 1.0), tail)
        out = apply("add", apply("mul", apply("sub", num(1, y), y), e), tail)
        return apply("mul", out, w) if w is not None else out

    return averaged(c, c.pointwise(one, x, t, *extra, dtype=stat_type(c.dtype)), reduction)


@lowers("hinge_embedding_loss")
def _hinge_embedding(c: Context, x: Value, t: Value, margin: float = 1.0, reduction: int = 1) -> Value:
    def one(e: Expr, y: Expr) -> Expr:
        far = apply("max", apply("sub", num(margin, e), e), num(0, e))
        zero = num(0, e)
        negative = choose(apply("ne", y, num(1, y)), far, zero)
        return apply("add", negative, choose(apply("ne", y, num(-1, y)), e, zero))

    return averaged(c, c.pointwise(one, x, t, dtype=stat_type(c.dtype)), reduction)


@lowers("margin_ranking_loss")
def _margin_ranking(
    c: Context, a: Value, b: Value, t: Value, margin: float = 0.0, reduction: int = 1
) -> Value:
    def one(x: Expr, y: Expr, s: Expr) -> Expr:
        gap = apply("neg", apply("mul", s, apply("sub", x, y)))
        return apply("max", add(gap, margin) if margin else gap, num(0, x))

    return averaged(c, c.pointwise(one, a, b, t, dtype=stat_type(c.dtype)), reduction)


@lowers("soft_margin_loss")
def _soft_margin(c: Context, x: Value, t: Value, reduction: int = 1) -> Value:
    return averaged(
        c,
        c.pointwise(
            lambda e, y: apply("log1p", apply("exp", apply("neg", apply("mul", e, y)))),
            x,
            t,
            dtype=stat_type(c.dtype),
        ),
        reduction,
    )


@lowers("poisson_nll_loss")
def _poisson(
    c: Context, x: Value, t: Value, log_input: bool, full: bool, eps: float, reduction: int
) -> Value:
    def one(e: Expr, y: Expr) -> Expr:
        log = e if log_input else apply("log", add(e, eps))
        out = apply("sub", apply("exp", e) if log_input else e, apply("mul", y, log))
        return apply("add", out, _stirling(y)) if full else out

    return averaged(c, c.pointwise(one, x, t, dtype=stat_type(c.dtype)), reduction)


def _stirling(y: Expr) -> Expr:
    """Stirling's approximation of log(y!) as torch adds it: y log y - y + log(2 pi y) / 2, and nothing where y <= 1."""
    log = apply("log", y)
    term = add(apply("sub", apply("mul", y, log), y), 0.5 * log_of(2 * pi))
    return choose(apply("le", y, num(1, y)), num(0, y), apply("add", term, mul(log, 0.5)))


@lowers("nll_loss_nd", "nll_loss", "nll_loss2d", "nll_loss_forward", "nll_loss2d_forward")
def _nll(
    c: Context,
    logs: Value,
    target: Value,
    weight: Value | None = None,
    reduction: int = 1,
    ignore_index: int = -100,
) -> Any:
    out, weights = negative_likelihood(c, logs, target, weight, reduction, ignore_index)
    return (out, weights) if "forward" in str(c.node.target) else out


def negative_likelihood(
    c: Context, logs: Value, target: Value, weight: Value | None, reduction: int, ignore: int
) -> tuple[Value, Value | None]:
    """-w[t] * logs[..., t, ...] at each target t that is not `ignore`; the mean divides by the weights' sum."""
    d = min(logs.rank - 1, 1)
    kind = stat_type(logs.dtype)

    def chosen(index: Indices) -> tuple[Expr, Expr]:
        t = cast(target.at(index), DType.I64)
        kept = apply("ne", t, const_index(ignore))
        return kept, apply("select", kept, t, const_index(0), dtype=DType.I64)

    def loss(index: Indices) -> Expr:
        kept, t = chosen(index)
        value = apply("neg", logs.at((*index[:d], t, *index[d:])))
        value = apply("mul", value, cast(weight.at((t,)), value.dtype)) if weight is not None else value
        return choose(kept, value, num(0, value))

    def weight_of(index: Indices) -> Expr:
        kept, t = chosen(index)
        one = Const(1.0, kind)
        return choose(kept, cast(weight.at((t,)), kind) if weight is not None else one, Const(0.0, kind))

    each = Value(target.shape, kind, loss, hint="nll")
    if reduction == 0:
        return c.converted(each, c.dtype), None
    added = total(c, each, range(each.rank), keepdim=False)
    weights = total(c, Value(target.shape, kind, weight_of), range(each.rank), keepdim=False, suffix="weight")
    if reduction == 2:
        return c.converted(added, c.dtype), weights
    return c.pointwise(lambda s, w: apply("div", s, w), added, weights, dtype=c.dtype), weights


@lowers("cross_entropy_loss")
def _cross_entropy(
    c: Context,
    x: Value,
    target: Value,
    weight: Value | None = None,
    reduction: int = 1,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Value:
    d = min(x.rank - 1, 1)
    x = c.builder.reusable(x)
    logs = log_softmax(c, x, d)
    if target.dtype.is_float:
        return _soft_target(c, logs, target, weight, reduction, label_smoothing, d)
    if not label_smoothing:
        return negative_likelihood(c, logs, target, weight, reduction, ignore_index)[0]
    return _smoothed(c, logs, target, weight, reduction, ignore_index, label_smoothing, d)


def _soft_target(
    c: Context, logs: Value, target: Value, weight: Value | None, reduction: int, smoothing: float, d: int
) -> Value:
    classes = logs.shape[d]
    args = [logs, target]
    if weight is not None:
        args.append(c.reshape(weight, (classes,) + (1,) * (logs.rank - 1 - d)))

    def one(x: Expr, t: Expr, *w: Expr) -> Expr:
        soft = add(mul(t, 1 - smoothing), smoothing / classes) if smoothing else t
        out = apply("neg", apply("mul", soft, x))
        return apply("mul", out, w[0]) if w else out

    each = c.pointwise(one, *args, dtype=stat_type(logs.dtype))
    summed = total(c, each, [d] if reduction == 0 else range(each.rank), keepdim=False)
    return scaled(c, summed, _share(logs, d) if reduction == 1 else 1.0, c.dtype)


def _share(logs: Value, d: int) -> float:
    """One over the number of distributions in `logs`."""
    return logs.shape[d] / max(logs.size, 1)


def _smoothed(
    c: Context,
    logs: Value,
    target: Value,
    weight: Value | None,
    reduction: int,
    ignore: int,
    smoothing: float,
    d: int,
) -> Value:
    """(1 - s) * nll + s / classes * sum over classes of -w * logs, over the targets that count."""
    hard, weights = negative_likelihood(c, logs, target, weight, reduction, ignore)
    kind = stat_type(logs.dtype)

    def spread(index: Indices) -> Expr:
        here = index[:d] + index[d + 1 :]
        kept = apply("ne", cast(target.at(here), DType.I64), const_index(ignore))
        value = apply("neg", logs.at(index))
        if weight is not None:
            value = apply("mul", value, cast(weight.at((index[d],)), value.dtype))
        return choose(kept, value, num(0, value))

    each = Value(logs.shape, kind, spread, hint="smooth")
    summed = total(c, each, [d] if reduction == 0 else range(each.rank), keepdim=False, suffix="smooth")
    part = smoothing / logs.shape[d]
    args = [hard, summed] + ([weights] if reduction == 1 and weights is not None else [])

    def one(h: Expr, s: Expr, *w: Expr) -> Expr:
        return add(mul(h, 1 - smoothing), mul(apply("div", s, w[0]) if w else s, part))

    return c.pointwise(one, *args)
