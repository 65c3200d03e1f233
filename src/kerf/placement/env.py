"""Sequential macro placement as a Gymnasium environment over the exact incremental proxy cost.

As in AlphaChip (Mirhoseini et al., Nature 2021): hard macros are placed one by one, the largest first, each with its centre at the centre of a
grid cell that a mask allows; soft macros follow by a cheap rule; the reward is minus the proxy cost. The observation's
`wires` is the wire mask of MaskPlace (Lai et al., NeurIPS 2022). Needs `pip install 'kerf-ai[rl]'`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from kerf.core.types import KerfError
from kerf.placement import orient
from kerf.placement.design import Bools, Design, Floats, Grid, Kind, Placement, Rows
from kerf.placement.proxy import Proxy, ProxyCost

try:
    import gymnasium
    from gymnasium import spaces
except ImportError as error:
    raise KerfError(
        "the placement environment needs gymnasium, which is not installed: pip install 'kerf-ai[rl]'"
    ) from error

FORBIDDEN = -2.0
"""The reward that ends an episode at a forbidden action or where no grid cell is left: worse than any sensible placement's."""
ALONG = 32
"""Grid cells along the longer side of a canvas that comes without a grid."""
TRACKS, TRACKS_USED = 16.0, 12.0
"""Routing supply for a canvas that comes without: tracks in each direction per row height, and those that a macro takes. The published
Circuit Training cases have 10 to 17, and macros that take half to three quarters."""


class MacroPlacementEnv(gymnasium.Env[dict[str, Any], Any]):
    """One episode places every movable hard macro. With a grid of R rows and C columns, H and W the canvas:

    Action: Discrete(R * C), the grid cell, row by row from the bottom left, that takes the macro's centre; its orientation stays.
    Observation, a Dict: `filled` (R, C) float32, the share of each grid cell under hard macros placed or fixed, 0 to 1; `soft` (R, C)
    float32, the same of soft macros, 0 and up; `wires` (R, C) float32, what the macro's nets grow by when it is put there,
    counting pins of everything but macros yet to be placed, over W + H; `allowed` (R, C) int8, 1 where the macro fits inside the canvas
    and overlaps no hard macro; `macro` (5,) float32: its width over W, height over H, pins over the most of any macro, and the
    shares of macros and of their area already placed.
    Reward: "final": 0, then minus the cost at the end; "dense": what each action takes off the cost, so that a whole episode's rewards
    sum to the first cost less the last. A forbidden action, or a macro that fits nowhere, ends the episode with FORBIDDEN.
    Info: `cost` and its terms, `placed` (macros so far), `macro` (the cell to be placed next, -1 at the end), `mask` (R * C,) bool for samplers that take one flat.

    Until its turn a macro lies at the canvas' centre; soft macros and standard cells lie where the design's initial placement has them,
    else at the centre. `soft="greedy"` ends an episode by moving each soft macro, the largest first, to the best of the point
    in the middle of its nets and its eight neighbours, if that lowers the exact cost; "leave" leaves them. The same seed
    gives the same episode; nothing is random but `shuffle`, which permutes macros of equal size at each reset.

    A design without a grid gets one (`gridded`). Raises KerfError where no hard macro may move."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012, Gymnasium's interface

    def __init__(
        self,
        design: Design,
        *,
        reward: str = "final",
        soft: str = "greedy",
        shuffle: bool = False,
        render_mode: str | None = None,
    ) -> None:
        if reward not in ("final", "dense") or soft not in ("greedy", "leave"):
            raise KerfError(f"reward is final or dense, soft is greedy or leave; not {reward!r}, {soft!r}")
        self.design, self._shift = gridded(design)
        self.reward, self.soft, self.shuffle, self.render_mode = reward, soft, shuffle, render_mode
        self._macros = np.flatnonzero((self.design.kind == Kind.MACRO) & ~self.design.fixed)
        if not len(self._macros):
            raise KerfError(f"{design.name}: no hard macro may move, so there is nothing to place")
        self._area = self.design.width * self.design.height
        self._centres = _centres(_grid(self.design))
        self._begin = _beginning(self.design, self._macros)
        self._cost = ProxyCost(self.design, self._begin)
        self._nets_of = {int(m): _Nets(self.design, int(m)) for m in self._macros}
        self._most_pins = max(1, *(nets.pins for nets in self._nets_of.values()))
        shape = (self._centres[1].size, self._centres[0].size)
        self.action_space = spaces.Discrete(shape[0] * shape[1])
        self.observation_space = spaces.Dict(
            {
                "filled": spaces.Box(0.0, 1.0, shape, np.float32),
                "soft": spaces.Box(0.0, np.inf, shape, np.float32),
                "wires": spaces.Box(0.0, np.inf, shape, np.float32),
                "allowed": spaces.Box(0, 1, shape, np.int8),
                "macro": spaces.Box(0.0, np.inf, (5,), np.float32),
            }
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        super().reset(seed=seed)
        ties = self.np_random.random(len(self._macros)) if self.shuffle else np.arange(len(self._macros))
        self._order = self._macros[np.lexsort((ties, -self._area[self._macros]))]
        self._done = 0
        self._cost = ProxyCost(self.design, self._begin)
        self._value = self._cost.value()
        self._waiting = np.zeros(self.design.cells, np.bool_)
        self._waiting[self._macros] = True
        self._look()
        return self._observation(), self._info()

    def step(self, action: Any) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        row, column = divmod(int(action), self._centres[0].size)
        if self._done >= len(self._order) or not self._allowed[row, column]:
            return self._observation(), FORBIDDEN, True, False, self._info()
        before = self._value.cost
        macro = self._order[self._done]
        one = np.array([macro])
        self._value = self._cost.move(one, self._centres[0][[column]], self._centres[1][[row]])
        self._waiting[macro] = False
        self._done += 1
        finished = self._done == len(self._order)
        if finished and self.soft == "greedy":
            self._value = _settle(self._cost)
        self._look()
        stuck = not finished and not self._allowed.any()
        gain = before - self._value.cost if self.reward == "dense" else -self._value.cost * finished
        return self._observation(), float(gain + stuck * FORBIDDEN), finished or stuck, False, self._info()

    def action_masks(self) -> Bools:
        """(R * C,) which actions are allowed, under the name that maskable policies look for."""
        return self._allowed.ravel().copy()

    @property
    def placement(self) -> Placement:
        """Where everything is now, in the design's own coordinates."""
        now = self._cost.placement
        return replace(now, x=now.x + self._shift[0], y=now.y + self._shift[1])

    def render(self) -> Any:
        """(height, width, 3) uint8: the layout."""
        if self.render_mode is None:
            return None
        import io

        from PIL import Image

        from kerf.placement.draw import draw

        png = draw(self.design, self._cost.placement, "none").png()
        return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))

    def _look(self) -> None:
        """Everything an observation needs of the present state."""
        now, d = self._cost.placement, self.design
        placed = ~self._waiting
        hard = np.flatnonzero((d.kind == Kind.MACRO) & placed)
        self._filled = np.minimum(_coverage(d, now, hard), 1.0)
        self._soft = _coverage(d, now, np.flatnonzero(d.kind == Kind.SOFT))
        shape = self._filled.shape
        self._wires, self._allowed = np.zeros(shape), np.zeros(shape, np.bool_)
        if self._done < len(self._order):
            macro = int(self._order[self._done])
            grid = _grid(d)
            self._wires = self._nets_of[macro].growth(now, self._waiting, self._centres)
            self._wires /= grid.width + grid.height
            self._allowed = _allowed(d, now, macro, hard, self._centres)

    def _observation(self) -> dict[str, Any]:
        macro = self._order[min(self._done, len(self._order) - 1)]
        grid, most = _grid(self.design), self._most_pins
        areas = self._area[self._order]
        about = [
            *(self.design.width[macro] / grid.width, self.design.height[macro] / grid.height),
            *(self._nets_of[int(macro)].pins / most, self._done / len(self._order)),
            areas[: self._done].sum() / (areas.sum() or 1.0),
        ]
        return {
            "filled": self._filled.astype(np.float32),
            "soft": self._soft.astype(np.float32),
            "wires": self._wires.astype(np.float32),
            "allowed": self._allowed.astype(np.int8),
            "macro": np.array(about, np.float32),
        }

    def _info(self) -> dict[str, Any]:
        return {
            **vars(self._value),
            "cost": self._value.cost,
            "placed": self._done,
            "macro": int(self._order[self._done]) if self._done < len(self._order) else -1,
            "mask": self.action_masks(),
        }


def gridded(design: Design) -> tuple[Design, tuple[float, float]]:
    """The design, its die's corner moved to the origin, with a grid: its own, or ALONG square-like cells along the longer side and TRACKS of
    supply per row height (of the lowest row, else of the lowest hard object). Also how far it was moved."""
    if design.grid is not None:
        return design, (0.0, 0.0)
    left, bottom, right, top = design.die
    width, height = right - left, top - bottom
    cell = max(width, height) / ALONG
    solid = ((design.kind == Kind.CELL) | (design.kind == Kind.MACRO)) & (design.height > 0)
    heights = design.rows.height if len(design.rows) else design.height[solid]
    unit = float(heights.min()) if len(heights) else height / 100
    supply = (TRACKS / unit, TRACKS / unit, TRACKS_USED / unit, TRACKS_USED / unit)
    grid = Grid(max(1, round(width / cell)), max(1, round(height / cell)), width, height, *supply, 2)
    first, rows = design.initial, design.rows
    moved = replace(
        design,
        grid=grid,
        die=(0.0, 0.0, width, height),
        initial=replace(first, x=first.x - left, y=first.y - bottom),
        rows=replace(rows, x=rows.x - left, y=rows.y - bottom) if len(rows) else Rows.of([]),
        rects={c: r - np.array([left, bottom] * 2) for c, r in design.rects.items()},
    )
    return moved, (left, bottom)


def _grid(design: Design) -> Grid:
    assert design.grid is not None, "gridded gives every design one"
    return design.grid


def _centres(grid: Grid) -> tuple[Floats, Floats]:
    """x of each column's centre, y of each row's."""
    x = np.linspace(0.0, grid.width, 2 * grid.columns + 1)[1::2]
    y = np.linspace(0.0, grid.height, 2 * grid.rows + 1)[1::2]
    return x, y


def _beginning(design: Design, macros: np.ndarray) -> Placement:
    """Macros at the canvas' centre, and so is what has no place; soft macros inside the canvas."""
    first, grid = design.initial.copy(), _grid(design)
    lost = ~(np.isfinite(first.x) & np.isfinite(first.y))
    lost[macros] = True
    first.x[lost], first.y[lost] = grid.width / 2, grid.height / 2
    soft = np.flatnonzero((design.kind == Kind.SOFT) & ~design.fixed)
    w, h = (side[soft] / 2 for side in design.extent(first))
    first.x[soft] = np.clip(first.x[soft], w, np.maximum(w, grid.width - w))
    first.y[soft] = np.clip(first.y[soft], h, np.maximum(h, grid.height - h))
    return first


class _Nets:
    """The nets of one macro: its own pins' reach on each, and everybody else's pins."""

    def __init__(self, design: Design, macro: int) -> None:
        self.design, self.macro = design, macro
        mine = np.flatnonzero(design.pin_cell == macro)
        self.pins = len(mine)
        net_of = np.searchsorted(design.net_start, mine, side="right") - 1
        self.nets = np.unique(net_of)
        spans = [np.arange(design.net_start[n], design.net_start[n + 1]) for n in self.nets]
        self.ends = np.concatenate([*spans, np.empty(0, np.int64)]).astype(np.int64)
        self.group = np.repeat(np.arange(len(self.nets)), [len(s) for s in spans])

    def growth(self, placement: Placement, waiting: Bools, centres: tuple[Floats, Floats]) -> Floats:
        """(rows, columns): by how much the nets' weighted half-perimeters grow with the macro at each grid cell."""
        cell = self.design.pin_cell[self.ends]
        counted = (cell != self.macro) & ~waiting[cell]
        x, y = _pins(self.design, placement, self.ends)
        axes = []
        for at, home, tries in zip((x, y), (placement.x, placement.y), centres):
            low, high = self._span(at, counted)
            near, far = self._span(at - home[self.macro], cell == self.macro)
            grown = np.maximum(0.0, low[:, None] - (tries + near[:, None]))
            grown += np.maximum(0.0, tries + far[:, None] - high[:, None])
            grown[~np.isfinite(low)] = 0.0
            axes.append(self.design.net_weight[self.nets] @ grown)
        return axes[1][:, None] + axes[0][None, :]

    def _span(self, at: Floats, counted: Bools) -> tuple[Floats, Floats]:
        """Least and greatest of each net's counted pins, infinite where it has none."""
        low, high = np.full(len(self.nets), np.inf), np.full(len(self.nets), -np.inf)
        np.minimum.at(low, self.group[counted], at[counted])
        np.maximum.at(high, self.group[counted], at[counted])
        return low, high


def _pins(design: Design, placement: Placement, which: np.ndarray) -> tuple[Floats, Floats]:
    """Where these pins are; the same shape each."""
    cell = design.pin_cell[which]
    matrix = orient.MATRICES[placement.orient[cell]]
    dx, dy = design.pin_x[which], design.pin_y[which]
    x = placement.x[cell] + matrix[:, 0, 0] * dx + matrix[:, 0, 1] * dy
    return x, placement.y[cell] + matrix[:, 1, 0] * dx + matrix[:, 1, 1] * dy


def _coverage(design: Design, placement: Placement, cells: np.ndarray) -> Floats:
    """(rows, columns): the share of each grid cell under these cells, overlaps counted again."""
    grid = _grid(design)
    sides = [side[cells] for side in design.boxes(placement)]
    across = _overlaps(sides[0], sides[2], grid.columns, grid.width / grid.columns)
    up = _overlaps(sides[1], sides[3], grid.rows, grid.height / grid.rows)
    return up.T @ across


def _overlaps(low: Floats, high: Floats, count: int, step: float) -> Floats:
    """(K, count): the share of each of `count` intervals under each of K others."""
    edges = np.arange(count + 1) * step
    inside = np.minimum(high[:, None], edges[None, 1:]) - np.maximum(low[:, None], edges[None, :-1])
    return np.maximum(inside, 0.0) / step


def _allowed(
    design: Design, placement: Placement, macro: int, hard: np.ndarray, centres: tuple[Floats, Floats]
) -> Bools:
    """(rows, columns): where the macro is inside the canvas and overlaps none of the hard macros."""
    grid, slack = _grid(design), design.tolerance
    w, h = (float(side[macro]) for side in design.extent(placement))
    fits = [
        (at - size / 2 >= -slack) & (at + size / 2 <= most + slack)
        for at, size, most in zip(centres, (w, h), (grid.width, grid.height))
    ]
    allowed = fits[1][:, None] & fits[0][None, :]
    left, bottom, right, top = (side[hard] for side in design.boxes(placement))
    x, y = centres
    across = (x + w / 2 > left[:, None] + slack) & (x - w / 2 < right[:, None] - slack)
    up = (y + h / 2 > bottom[:, None] + slack) & (y - h / 2 < top[:, None] - slack)
    blocked: Bools = (up.T.astype(np.int64) @ across.astype(np.int64)) > 0
    return allowed & ~blocked


def _settle(cost: ProxyCost) -> Proxy:
    """Each soft macro, the largest first, to the best by exact cost of where it is, the middle of its nets, and that point's neighbours."""
    d, grid = cost.design, _grid(cost.design)
    soft = np.flatnonzero((d.kind == Kind.SOFT) & ~d.fixed)
    step_x, step_y = grid.width / grid.columns, grid.height / grid.rows
    value = cost.value()
    for cell in soft[np.argsort(-(d.width * d.height)[soft], kind="stable")]:
        now = cost.placement
        middle = _Nets(d, int(cell))
        if not len(middle.ends):
            continue
        one = np.array([cell])
        best = (value.cost, now.x[cell], now.y[cell])
        px, py = _pins(d, now, middle.ends[d.pin_cell[middle.ends] != cell])
        if not len(px):
            continue
        for dx in (-step_x, 0.0, step_x):
            for dy in (-step_y, 0.0, step_y):
                x = np.clip(np.median(px) + dx, d.width[cell] / 2, grid.width - d.width[cell] / 2)
                y = np.clip(np.median(py) + dy, d.height[cell] / 2, grid.height - d.height[cell] / 2)
                tried = cost.move(one, np.array([x]), np.array([y])).cost
                best = min(best, (tried, x, y))
        value = cost.move(one, np.array([best[1]]), np.array([best[2]]))
    return value
