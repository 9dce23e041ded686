"""The lowest supply at which a network still loses next to nothing.

A *design* is a network, a supply and a window; temperature and corner are what it must bear. A
design meets a target if, in every simulated environment that is asked for, an upper 95 % bound of
its loss lies within the target; so a loss that is merely unknown never meets one. The bound is

* without a yield: the upper end of the two-sided 95 % interval of the mean loss;
* with a yield y: the loss that a share y of chips stays below, with 95 % confidence
  (`AccuracyLoss.high_for_share`).

A design fails if in one of these environments a lower 95 % bound of its mean loss lies above the
target. Between the two it is undecided: more draws of read errors decide it, or, where the choice
of test images leaves too much open, more images. On the test images themselves (`these_images`)
draws alone decide. Only simulated supplies are answers; nothing is interpolated.

The Pareto front holds the designs that no other one beats in cost and in value.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from rramsim.costs.losses import AccuracyLoss
from rramsim.exceptions import InputError

_DESIGN = ["network", "trained_with_errors", "vdd_v", "window_s"]
_NETWORK = _DESIGN[:2]


@dataclass(frozen=True, kw_only=True)
class SupplyTarget:
    """What is asked for: `max_loss` of accuracy (a share), at which temperature, corner and yield.

    None: every simulated temperature, every simulated corner, every network; the mean chip.
    `looks`: how often the answer may be asked while draws are added; all bounds hold together.
    `these_images`: the loss on the test images themselves; else on images drawn like them.
    """

    max_loss: float = 0.005
    temperature_c: float | None = None
    corner: str | None = None
    network: str | None = None
    yield_share: float | None = None
    looks: int = 1
    these_images: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.max_loss) and 0 <= self.max_loss <= 1):
            raise InputError(
                f"max loss = {100 * self.max_loss:g} points: must lie between 0 and 100"
            )
        if self.yield_share is not None and not 0.5 <= self.yield_share < 1:
            raise InputError(f"yield = {self.yield_share:g}: must be 0.5 or above, and below 1")

    @property
    def confidence(self) -> float:
        """Of each bound, so that those of all looks hold at 95 %."""
        return 1 - 0.05 / self.looks

    @property
    def text(self) -> str:
        """The target in words."""
        who = "mean chip" if self.yield_share is None else f"{100 * self.yield_share:g} % of chips"
        where = [
            "every temperature" if self.temperature_c is None else f"{self.temperature_c:g} °C",
            "every corner" if self.corner is None else self.corner,
        ]
        points = f"{100 * self.max_loss:g} point{'' if self.max_loss == 0.01 else 's'}"
        return f"a loss of at most {points} ({who}; {', '.join(where)})"


@dataclass(frozen=True, kw_only=True)
class Design:
    """A network at a supply with a window, and its evidence: the worst environment asked for.

    Losses and accuracies are shares; `bound` is what is held against the target, `energy_j` the
    weight reads of one image, each for every use, `adaptation_j` those with which the chip was
    adapted to first; `image_half_width` is what the choice of test images alone leaves open of the
    loss, now. `supplies_v`: where this network and window meet the target (a ternary network can
    fail again at a higher supply).
    """

    network: str
    trained_with_errors: str
    vdd_v: float
    window_s: float
    temperature_c: float
    corner: str
    loss: float
    loss_low: float
    loss_high: float
    bound: float
    accuracy: float
    energy_j: float
    draws: int
    adaptation_j: float = 0.0
    image_half_width: float = 0.0
    supplies_v: tuple[float, ...] = ()
    fails: bool = False

    def is_decided_by_draws(self, target: SupplyTarget) -> bool:
        """Whether enough draws would decide it; else the test images leave too much open."""
        return self.image_half_width < abs(target.max_loss - self.loss)

    def times_more(self, target: SupplyTarget) -> int:
        """How many times its draws are to be added, from 1 to 3: what its bound says, and a bit."""
        gap = abs(target.max_loss - self.loss)
        half = self.bound - self.loss
        return 3 if half**2 * 1.2 > 3 * gap**2 else 2 if half**2 * 1.2 > 2 * gap**2 else 1

    def rows(self, table: pd.DataFrame, target: SupplyTarget) -> pd.Series:
        """Which rows of the trade-off are this design, in the environments asked for."""
        mine = pd.Series(True, index=table.index)
        for column in _DESIGN:
            mine &= table[column] == getattr(self, column)
        if target.temperature_c is not None:
            mine &= np.isclose(table.temperature_c, target.temperature_c)
        if target.corner is not None:
            mine &= table.corner == target.corner
        return mine


@dataclass(frozen=True, kw_only=True)
class SupplyAnswer:
    """`best` meets the target if `met`; else it is the nearest. `networks`: the same for each.

    `undecided`: of the networks that meet it nowhere and do not fail everywhere, the nearest
    design that does not fail; `on_these_images`: what holds of them on the test images themselves.
    `open`: all designs of undecided networks that neither meet the target nor fail.
    """

    target: SupplyTarget
    met: bool
    best: Design
    networks: tuple[tuple[bool, Design], ...]
    undecided: tuple[Design, ...] = ()
    on_these_images: tuple[tuple[bool, Design], ...] = ()
    open: tuple[Design, ...] = ()


def lowest_supply(table: pd.DataFrame, target: SupplyTarget) -> SupplyAnswer:
    """The lowest supply of a trade-off (columns of `rramsim.records.TradeoffRow`) for a target.

    Of a network's windows that meet it at that supply the one of least energy is taken; of several
    networks the one of highest accuracy. If none meets it, the nearest is the smallest bound.
    Raises `InputError` if the table has one supply only, or nothing that is asked for.
    """
    rows = _asked(table, target)
    supplies = sorted(set(rows.vdd_v))
    if len(supplies) < 2:
        raise InputError(
            f"one supply only was simulated ({supplies[0]:g} V): the lowest that works cannot be "
            "told; give [sense] vdd_v at least two"
        )
    bounds = [_bounds(row, target) for row in rows.to_dict("records")]
    rows = rows.assign(bound=[high for _, high in bounds], least=[low for low, _ in bounds])
    designs = [_design(mine, target) for _, mine in rows.groupby(_DESIGN, sort=False)]
    answers, undecided, open_ = [], [], []
    for _, mine in rows.groupby(_NETWORK, sort=False):
        key = tuple(mine.iloc[0][_NETWORK])
        of_network = [d for d in designs if (d.network, d.trained_with_errors) == key]
        meets, design = _of_network(of_network, target)
        answers.append((meets, design))
        if not meets and not design.fails:
            undecided.append(design)
            open_ += [d for d in of_network if not d.fails]
    on_these: tuple[tuple[bool, Design], ...] = ()
    if undecided and not target.these_images:
        names = {(d.network, d.trained_with_errors) for d in undecided}
        these = lowest_supply(table, replace(target, these_images=True)).networks
        on_these = tuple(
            (meets, d) for meets, d in these if (d.network, d.trained_with_errors) in names
        )
    met = [design for meets, design in answers if meets]
    if met:
        best = min(met, key=lambda d: (d.vdd_v, -d.accuracy, d.energy_j))
    else:
        best = min((design for _, design in answers), key=lambda d: (d.bound, d.energy_j))
    return SupplyAnswer(target=target, met=bool(met), best=best, networks=tuple(answers),
                        undecided=tuple(undecided), on_these_images=on_these,
                        open=tuple(open_))  # fmt: skip


def _of_network(designs: list[Design], target: SupplyTarget) -> tuple[bool, Design]:
    meeting = [d for d in designs if d.bound <= target.max_loss]
    if not meeting:
        return False, min(designs, key=lambda d: (d.fails, d.bound, d.energy_j))
    chosen = min(meeting, key=lambda d: (d.vdd_v, d.energy_j))
    supplies = tuple(sorted(d.vdd_v for d in meeting if d.window_s == chosen.window_s))
    return True, replace(chosen, supplies_v=supplies)


def _asked(table: pd.DataFrame, target: SupplyTarget) -> pd.DataFrame:
    rows = table
    wanted = {"network": target.network, "corner": target.corner}
    for column, value in wanted.items():
        if value is not None:
            names = sorted(set(rows[column]))
            if value not in names:
                raise InputError(f"{column} = {value!r}: the trade-off has {', '.join(names)}")
            rows = rows[rows[column] == value]
    if target.temperature_c is not None:
        same = np.isclose(rows.temperature_c, target.temperature_c)
        if not same.any():
            known = ", ".join(f"{t:g}" for t in sorted(set(rows.temperature_c)))
            raise InputError(
                f"temperature = {target.temperature_c:g}: the trade-off has {known} °C; add it to "
                "[sense] temperature_c and run again"
            )
        rows = rows[same]
    if rows.empty:
        raise InputError("the trade-off's table is empty")
    return rows


def _bounds(row: dict[Any, Any], target: SupplyTarget) -> tuple[float, float]:
    """What the loss is at least, and what is held against the target."""
    loss = AccuracyLoss(
        value=row["loss"],
        deviation=row["loss_deviation"],
        image_error=0.0 if target.these_images else row["loss_image_error"],
        draws=int(row["draws"]),
    )
    half = loss.half_width(target.confidence)
    if target.yield_share is None:
        return loss.value - half, loss.value + half
    return loss.value - half, loss.high_for_share(target.yield_share, target.confidence)


def _design(rows: pd.DataFrame, target: SupplyTarget) -> Design:
    """A design as its worst environment shows it."""
    worst = rows.iloc[int(rows.bound.argmax())]
    return Design(
        network=str(worst.network),
        trained_with_errors=str(worst.trained_with_errors),
        vdd_v=float(worst.vdd_v),
        window_s=float(worst.window_s),
        temperature_c=float(worst.temperature_c),
        corner=str(worst.corner),
        loss=float(worst.loss),
        loss_low=float(worst.loss_low),
        loss_high=float(worst.loss_high),
        bound=float(worst.bound),
        accuracy=float(worst.accuracy),
        energy_j=float(worst.energy_per_use_j),
        draws=int(worst.draws),
        image_half_width=float(
            stats.norm.ppf(0.5 + target.confidence / 2) * worst.loss_image_error
        ),
        adaptation_j=float(worst.get("adaptation_j", 0.0)),
        fails=bool((rows.least > target.max_loss).any()),
    )


Floats = NDArray[np.float64]

FrontPlace = Literal["front", "within error", "behind"]
"""`front`: no design is at once as cheap and as good, and better in one. `within error`: some is,
but none by more than the 95 % intervals on both axes. `behind`: some is by more than that."""


def pareto_front(cost: ArrayLike, value: ArrayLike) -> NDArray[np.bool_]:
    """Which designs no other one beats: True, shape (designs,); equal ones are all on the front.

    Raises `InputError` for numbers that are not finite, or not as many of both.

    >>> pareto_front(np.array([1.0, 2.0, 3.0, 2.0]), np.array([0.5, 0.7, 0.6, 0.6])).tolist()
    [True, True, False, False]
    """
    cost, value = np.asarray(cost, dtype=float), np.asarray(value, dtype=float)
    if cost.shape != value.shape or cost.ndim != 1:
        raise InputError(f"a front needs as many costs, {cost.shape}, as values, {value.shape}")
    if not (np.isfinite(cost).all() and np.isfinite(value).all()):
        raise InputError("a front needs finite costs and values")
    no_worse = (cost[None] <= cost[:, None]) & (value[None] >= value[:, None])
    better = (cost[None] < cost[:, None]) | (value[None] > value[:, None])
    return np.asarray(~(no_worse & better).any(axis=1), dtype=bool)


def front_places(
    *, cost: Floats, cost_low: Floats, cost_high: Floats,
    value: Floats, value_low: Floats, value_high: Floats,
) -> list[FrontPlace]:  # fmt: skip
    """Where each design stands, its intervals counted; see `FrontPlace`.

    >>> at = np.array([1.0, 1.1])
    >>> front_places(
    ...     cost=at, cost_low=at - 0.01, cost_high=at + 0.01,
    ...     value=np.array([0.7, 0.69]), value_low=np.array([0.68, 0.67]),
    ...     value_high=np.array([0.72, 0.71]),
    ... )
    ['front', 'within error']
    """
    on_front = pareto_front(cost, value)
    places: list[FrontPlace] = []
    for index, best in enumerate(on_front):
        clearly = (cost_high < cost_low[index]) & (value_low > value_high[index])
        places.append("front" if best else "behind" if clearly.any() else "within error")
    return places
