"""Restricted likelihood of a cell part, a cycle part and a lag-1 memory in normal sequences.

The model of one state's (transformed) values: y = mean + c_device + e, c normal with deviation
s_cell, e a stationary first-order autoregression with deviation s_cycle and lag-1 correlation rho;
a gap of k cycles has the correlation rho^k. Whitening e leaves a one-way random-effects model, so
the restricted likelihood (Patterson and Thompson, Biometrika 58, 1971) needs only six sums for
each device and gap, however many rows there are.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from rramsim.compiled import compiled

__all__ = [
    "CellEvidence",
    "LatentFit",
    "Layout",
    "Sums",
    "fit_latent",
    "latent_loglik",
    "residuals",
]

_INDEPENDENT_GAP = 64
"""Gaps above this count as no memory: even rho = 0.9 leaves 1e-3."""
_MIN_CELLS = 5
"""Fewest devices for a cell part; a variance of fewer means nothing."""
_LN_RATIO = (-16.0, 16.0)


class Layout:
    """Where a state's rows stand: sorted by device and cycle, with the gaps between cycles."""

    def __init__(self, device: NDArray[np.int64], cycle: NDArray[np.int64]) -> None:
        self._device, self._cycle = device, cycle
        new = np.empty(len(device), dtype=bool)
        new[0] = True
        new[1:] = device[1:] != device[:-1]
        self.rows = len(device)
        self.starts = np.flatnonzero(new)
        self.labels = device[self.starts]
        self.cells = len(self.starts)
        self.group = np.cumsum(new) - 1
        self.counts = np.bincount(self.group, minlength=self.cells)
        self.followers = np.flatnonzero(~new)
        gaps = np.minimum(cycle[self.followers] - cycle[self.followers - 1], _INDEPENDENT_GAP)
        self.gaps, self._gap_of = np.unique(gaps, return_inverse=True)
        # Which of the model's parts the rows can tell apart.
        self.has_cell = self.cells >= _MIN_CELLS and bool(np.mean(self.counts > 1) > 0.5)
        self.has_lag = len(self.followers) >= 30
        keys = self.group[self.followers] * len(self.gaps) + self._gap_of
        # Sorted by key, so that a sum is one pass over runs.
        self._order = None if (np.diff(keys) >= 0).all() else np.argsort(keys, kind="stable")
        ordered = keys if self._order is None else keys[self._order]
        self._run_keys, self._runs = np.unique(ordered, return_index=True)
        self._shape = (self.cells, len(self.gaps))
        self._pairs = self._sum(np.ones(len(keys)))

    def rows_of_first(self, rows: int) -> int:
        """The rows of the leading whole devices that hold about `rows` (at least two devices)."""
        if self.rows <= rows:
            return self.rows
        ends = np.append(self.starts, self.rows)
        return int(ends[max(int(np.searchsorted(ends, rows)), min(2, self.cells))])

    def first_rows(self, rows: int) -> "Layout":
        """The layout of the leading `rows`."""
        return Layout(self._device[:rows], self._cycle[:rows])

    def _sum(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums over the pairs of each device and gap."""
        total = np.zeros(self._shape[0] * self._shape[1])
        if len(weights):
            ordered = weights if self._order is None else weights[self._order]
            total[self._run_keys] = np.add.reduceat(ordered, self._runs)
        return total.reshape(self._shape)

    def sums(self, y: NDArray[np.float64]) -> "Sums":
        """Condense the values `y` (rows,) to what the likelihood needs."""
        after, before = y[self.followers], y[self.followers - 1]
        return Sums(
            layout=self,
            first=y[self.starts],
            after=self._sum(after),
            before=self._sum(before),
            after2=self._sum(after * after),
            before2=self._sum(before * before),
            product=self._sum(after * before),
        )

    def correlations(self, rho: float) -> NDArray[np.float64]:
        """The correlation across each distinct gap."""
        powers = np.asarray(np.float64(rho) ** self.gaps)
        return np.where(self.gaps >= _INDEPENDENT_GAP, 0.0, powers)

    def per_row(self, rho: float) -> NDArray[np.float64]:
        """The correlation of each following row with the row before it."""
        return self.correlations(rho)[self._gap_of]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sums:
    """Values condensed for each device and gap: all that a likelihood needs of them."""

    layout: Layout
    first: NDArray[np.float64]
    after: NDArray[np.float64]
    before: NDArray[np.float64]
    after2: NDArray[np.float64]
    before2: NDArray[np.float64]
    product: NDArray[np.float64]

    def whitened(self, rho: float) -> tuple[NDArray, NDArray, NDArray, float]:
        """Per device: sum of o^2, o y, y^2 of the whitened ones o and values y; half the log
        determinant of the whitening."""
        ones, mixed, own = (np.empty(self.layout.cells) for _ in range(3))
        half_log = _whiten(
            self.layout.correlations(rho),
            self.layout._pairs,
            self.first,
            self.after,
            self.before,
            self.after2,
            self.before2,
            self.product,
            ones,
            mixed,
            own,
        )
        return ones, mixed, own, float(half_log)


@compiled()
def _whiten(
    r: Any,
    pairs: Any,
    first: Any,
    after: Any,
    before: Any,
    after2: Any,
    before2: Any,
    product: Any,
    ones: Any,
    mixed: Any,
    own: Any,
) -> float:
    """Fill `Sums.whitened`'s arrays; compiled, since a fit asks for them thousands of times."""
    half_log = 0.0
    for i in range(len(first)):
        ones[i], mixed[i], own[i] = 1.0, first[i], first[i] * first[i]
        for j in range(len(r)):
            if pairs[i, j] == 0:
                continue
            free = 1 - r[j] * r[j]
            ones[i] += pairs[i, j] * (1 - r[j]) ** 2 / free
            mixed[i] += (after[i, j] - r[j] * before[i, j]) * (1 - r[j]) / free
            square = after2[i, j] - 2 * r[j] * product[i, j] + r[j] * r[j] * before2[i, j]
            own[i] += square / free
            half_log += 0.5 * pairs[i, j] * math.log(free)
    return half_log


@compiled()
def _generalised(
    ratio: float, ones: Any, mixed: Any, own: Any
) -> tuple[float, float, float, float]:
    """Best mean, its information, the sum of squares around it, the log determinant of the cell
    part; `ratio` is (s_cell / s_cycle)^2."""
    information, weighted = 0.0, 0.0
    for i in range(len(ones)):
        shrink = 1 + ratio * ones[i]
        information += ones[i] / shrink
        weighted += mixed[i] / shrink
    mean = weighted / information
    square, log_shrink = 0.0, 0.0
    for i in range(len(ones)):
        shrink = 1 + ratio * ones[i]
        centred = mixed[i] - mean * ones[i]
        square += own[i] - 2 * mean * mixed[i] + mean * mean * ones[i]
        square -= ratio * centred * centred / shrink
        log_shrink += math.log(shrink)
    return mean, information, square, log_shrink


@dataclass(frozen=True, kw_only=True)
class LatentFit:
    """Estimates of the normal model, and its restricted log-likelihood."""

    mean: float
    mean_error: float
    s_cell: float
    s_cycle: float
    lag1: float
    loglik: float

    @property
    def deviation(self) -> float:
        """The deviation of one value."""
        return math.hypot(self.s_cell, self.s_cycle)

    @property
    def cell_share(self) -> float:
        """The cell part's share of the variance."""
        return self.s_cell**2 / self.deviation**2


def _profile(sums: Sums, ratio: float, rho: float) -> tuple[float, float, float, float]:
    """Restricted log-likelihood with mean and s_cycle at their best; and those two, and the
    information on the mean in units of 1/s_cycle^2. `ratio` is (s_cell / s_cycle)^2."""
    ones, mixed, own, half_log = sums.whitened(rho)
    mean, information, square, log_shrink = _generalised(ratio, ones, mixed, own)
    free = sums.layout.rows - 1
    variance = max(square / free, 1e-300)
    loglik = -0.5 * (
        free * (math.log(2 * math.pi * variance) + 1)
        + 2 * half_log
        + log_shrink
        + math.log(information)
    )
    return loglik, mean, math.sqrt(variance), information


def fit_latent(
    layout: Layout,
    y: NDArray[np.float64],
    start: tuple[float, float] | None = None,
    *,
    tolerance: float = 1e-7,
) -> LatentFit:
    """Fit the normal model to `y` (rows,) by restricted maximum likelihood.

    Parts that the rows cannot tell (`Layout.has_cell`, `has_lag`) are held at zero. `start` is
    (ln ratio, atanh lag) to begin from, `tolerance` that of the log-likelihood.
    """
    shift = float(y.mean())
    sums = layout.sums(y - shift)
    free = (layout.has_cell, layout.has_lag)

    def unpack(x: NDArray[np.float64]) -> tuple[float, float]:
        values = iter(x)
        low, high = _LN_RATIO
        ratio = math.exp(min(max(next(values), low), high)) if free[0] else 0.0
        rho = math.tanh(min(max(next(values), -4.0), 4.0)) if free[1] else 0.0
        return ratio, rho

    whole_start = start or (0.0, 0.2)
    x = np.array([value for value, used in zip(whole_start, free, strict=True) if used])
    if len(x):
        result = minimize(
            lambda x: -_profile(sums, *unpack(x))[0],
            x,
            method="Nelder-Mead",
            options={
                # Near the top the likelihood is a parabola: its square root is the distance.
                "xatol": 0.03 * math.sqrt(tolerance),
                "fatol": tolerance,
                "initial_simplex": _simplex(x, 0.5 if start is None else 0.05),
            },
        )
        x = result.x
    ratio, rho = unpack(x)
    loglik, mean, s_cycle, information = _profile(sums, ratio, rho)
    return LatentFit(
        mean=mean + shift,
        mean_error=s_cycle / math.sqrt(information),
        s_cell=math.sqrt(ratio) * s_cycle,
        s_cycle=s_cycle,
        lag1=rho,
        loglik=loglik,
    )


def _simplex(x: NDArray[np.float64], size: float) -> NDArray[np.float64]:
    return np.vstack([x, x + size * np.eye(len(x))])


def latent_loglik(sums: Sums, *, mean: float, s_cell: float, s_cycle: float, lag1: float) -> float:
    """Log-likelihood of the values that `sums` condenses."""
    ones, mixed, own, half_log = sums.whitened(lag1)
    own = own - 2 * mean * mixed + mean * mean * ones
    mixed = mixed - mean * ones
    variance = s_cycle**2
    ratio = s_cell**2 / variance
    shrink = 1 + ratio * ones
    square = float((own - ratio * mixed**2 / shrink).sum()) / variance
    return -0.5 * (
        sums.layout.rows * math.log(2 * math.pi * variance)
        + 2 * half_log
        + float(np.log(shrink).sum())
        + square
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class CellEvidence:
    """What the rows say of each device's standardised cell part c: exp(b c - a c^2 / 2)."""

    labels: NDArray[np.int64]
    a: NDArray[np.float64]
    b: NDArray[np.float64]

    @staticmethod
    def of(layout: Layout, y: NDArray[np.float64], fit: LatentFit) -> "CellEvidence":
        """The evidence under a fitted model."""
        ones, mixed, _, _ = layout.sums(y - fit.mean).whitened(fit.lag1)
        scale = fit.s_cell / fit.s_cycle**2
        return CellEvidence(labels=layout.labels, a=ones * scale * fit.s_cell, b=mixed * scale)


def residuals(
    layout: Layout, z: NDArray[np.float64], *, s_cell: float, s_cycle: float, lag1: float
) -> NDArray[np.float64]:
    """Each row's standardised distance from what the device's earlier rows predict.

    Independent standard normal if the model holds: what a goodness-of-fit test may be asked of.
    """
    r = layout.per_row(lag1)
    scale = np.sqrt(1 - r * r)
    y, ones = z.astype(np.float64, copy=True), np.ones(layout.rows)
    y[layout.followers] = (z[layout.followers] - r * z[layout.followers - 1]) / scale
    ones[layout.followers] = (1 - r) / scale
    variance = s_cycle**2
    if s_cell == 0:
        return np.asarray(y / s_cycle)
    precision = 1 / s_cell**2 + _before(layout, ones * ones) / variance
    mean = _before(layout, ones * y) / variance / precision
    return np.asarray((y - ones * mean) / np.sqrt(variance + ones * ones / precision))


def _before(layout: Layout, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum of the device's earlier values, for each row."""
    total = np.cumsum(values) - values
    return np.asarray(total - total[layout.starts][layout.group])
