"""Global placement by electrostatics."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from kerf.placement.analytic import field_kernels as field
from kerf.placement.analytic import step_kernels as steps
from kerf.placement.analytic.model import Model, Singles, build
from kerf.placement.analytic.options import GlobalOptions, GlobalResult
from kerf.placement.analytic.poisson import Poisson
from kerf.placement.design import Design, Placement
from kerf.placement.hpwl import hpwl
from kerf.placement.rules import Rules
from kerf.placement.steps import Deadline, Step, Watch, unwatched


class Charges:
    """The density of a model's objects wherever they are, and its force on them."""

    def __init__(self, model: Model, threads: int) -> None:
        self.model = model
        region = model.region
        self.poisson = Poisson(region.columns, region.rows, region.aspect, threads)
        shape = (region.columns + field.PAD, region.rows + field.PAD)
        self.cells, self.all = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self.overflow = 1.0

    def force(self, x: Singles, y: Singles, out_x: Singles, out_y: Singles) -> None:
        m = self.model
        boxes = (x, y, m.half_w, m.half_h, m.density)
        n, columns, rows = m.movable, m.region.columns, m.region.rows
        self.cells.fill(0)
        field.spread_small(*boxes, 0, m.small, self.cells)
        self._spread_large(x, y, m.small, n)
        inner = self.cells[:columns, :rows]
        self.overflow = field.excess(self.cells, m.blocked, m.target) / max(float(m.area[:n].sum()), 1e-9)
        self.all[:] = self.cells
        field.spread_small(*boxes, n, m.objects, self.all)
        inner = self.all[:columns, :rows] + np.float32(m.target) * m.blocked
        self.poisson.solve(inner)
        slopes = (self.poisson.slope_x, self.poisson.slope_y, out_x, out_y)
        field.force_small(*boxes, 0, m.small, *slopes)
        field.force_large(*boxes, m.small, n, *slopes)
        field.force_small(*boxes, n, m.objects, *slopes)

    def _spread_large(self, x: Singles, y: Singles, first: int, last: int) -> None:
        m = self.model
        w, h = m.half_w[first:last], m.half_h[first:last]
        x, y = x[first:last], y[first:last]
        field.spread_large(x - w, y - h, x + w, y + h, m.density[first:last], self.cells)


def place_global(
    design: Design,
    start: Placement,
    rules: Rules,
    options: GlobalOptions = GlobalOptions(),
    *,
    seed: int = 0,
    threads: int = 1,
    deadline: Deadline = Deadline(),
    watch: Watch = unwatched,
) -> GlobalResult:
    rng = np.random.default_rng(seed)
    m = build(design, start, rules, options, rng)
    n, t = m.movable, m.objects
    x = np.zeros(t + 1, np.float32)
    y = np.zeros(t + 1, np.float32)
    r = m.region
    x[:t] = r.columns / 2
    y[:t] = r.rows / 2
    if options.keep_start:
        x[:n] = r.across(start.x[m.cells])
        y[:n] = r.along(start.y[m.cells])
    x[:n] += rng.normal(0, 0.001 * r.columns, n)
    y[:n] += rng.normal(0, 0.001 * r.rows, n)
    x[n:t] = rng.uniform(0, r.columns, t - n)
    y[n:t] = rng.uniform(0, r.rows, t - n)
    x[:t] = np.clip(x[:t], m.low_x, m.high_x)
    y[:t] = np.clip(y[:t], m.low_y, m.high_y)
    charges = Charges(m, threads)
    wx, wy, fx, fy = (np.zeros(t, np.float32) for _ in range(4))
    owx, owy, ofx, ofy = (np.zeros(t, np.float32) for _ in range(4))
    g = [np.zeros(t, np.float32) for _ in range(4)]  # gx, gy, old gx, old gy

    def evaluate(x, y, gamma, penalty, gx, gy):
        length = m.nets.gradient(x, y, gamma, wx[:n], wy[:n])
        charges.force(x, y, fx, fy)
        if penalty is not None:
            steps.combine(wx, fx, penalty, m.pins, m.area, gx)
            steps.combine(wy, fy, penalty, m.pins, m.area, gy)
        return length

    def gamma_of(overflow):
        return options.gamma * 10 ** ((overflow - 0.1) * 20 / 9)

    gamma = gamma_of(1.0)
    evaluate(x, y, gamma, None, None, None)
    gamma = gamma_of(min(charges.overflow, 1.0))
    evaluate(x, y, gamma, None, None, None)
    penalty = (
        options.first_penalty
        * (steps.norm(wx) + steps.norm(wy))
        / max(steps.norm(fx[:n]) + steps.norm(fy[:n]), 1e-9)
    )
    steps.combine(wx, fx, penalty, m.pins, m.area, g[2])
    steps.combine(wy, fy, penalty, m.pins, m.area, g[3])
    u = [x.copy(), y.copy()]
    v_old = [x, y]
    small = 0.1 / max(np.abs(g[2]).max(), np.abs(g[3]).max(), 1e-9)
    v = [x.copy(), y.copy()]
    v[0][:t] = np.clip(x[:t] - small * g[2], m.low_x, m.high_x)
    v[1][:t] = np.clip(y[:t] - small * g[3], m.low_y, m.high_y)
    v_next = [x.copy(), y.copy()]
    a = 1.0
    last = None
    alpha = small
    lim = ((m.low_x, m.high_x), (m.low_y, m.high_y))
    for k in range(1, options.max_iterations + 1):
        if CONS:
            owx[:], owy[:], ofx[:], ofy[:] = wx, wy, fx, fy
        length = evaluate(v[0], v[1], gamma, penalty, g[0], g[1])
        if CONS:
            steps.combine(owx, ofx, penalty, m.pins, m.area, g[2])
            steps.combine(owy, ofy, penalty, m.pins, m.area, g[3])
        p = [
            sum(c)
            for c in zip(
                steps.products(v[0], v_old[0], g[0], g[2]), steps.products(v[1], v_old[1], g[1], g[3])
            )
        ]
        ss, sy, yy = p
        if yy > 0 and ss > 0:
            alpha = sy / yy if sy > 0 and BB else min(np.sqrt(ss / yy), alpha * GROW)
        overflow = charges.overflow
        if k % 50 == 0:
            watch(Step("global", k, options.max_iterations, length * r.wide, overflow))
        if overflow <= options.stop_overflow or deadline.passed:
            break
        a_next = (1 + np.sqrt(4 * a * a + 1)) / 2
        for d in (0, 1):
            steps.accelerate(u[d], v[d], g[d], lim[d][0], lim[d][1], alpha, (a - 1) / a_next, v_next[d])
        a = a_next
        v_old, v, v_next = v, v_next, v_old
        g = g[2:] + g[:2]
        if last is not None:
            rise = (length - last) / (REF * length)
            mu = options.growth ** (1 - rise)
            mu = np.clip(mu, 0.95, options.growth)
            penalty *= mu
        last = length
        gamma = gamma_of(min(overflow, 1.0))
    result = start.copy()
    result.x[m.cells] = v[0][:n] * r.wide + r.left
    result.y[m.cells] = v[1][:n] * r.high + r.bottom
    return GlobalResult(result, k, overflow, hpwl(design, result))


BB = False
CONS = True
GROW=1e9
REF = 0.005
