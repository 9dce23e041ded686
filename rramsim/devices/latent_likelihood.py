"""Restricted likelihood of a cell part, a cycle part and a lag-1 memory in normal sequences.

The model of one state's (transformed) values: y = mean + c_device + e, c normal with deviation
s_cell, e a stationary first-order autoregression with deviation s_cycle and lag-1 correlation rho;
a gap of k cycles has the correlation rho^k. Whitening e leaves a one-way random-effects model, so
the restricted likelihood (Patterson and Thompson, Biometrika 58, 1971) needs only six sums for
each device and gap, however many rows there are.

95 % intervals of a fitted state's parameters come from the likelihood's curvature. It is taken in
(mean, ln s, h, logit share, atanh lag) of z = ln(1 + h v) / h, where moving one parameter leaves
the support alone, and carried to the parameters that are reported by the delta method, each on a
scale on which its estimate is near normal (ln of medians and deviations, logit of shares, atanh of
correlations). Student's quantile stands for the few devices that the cell part is known from.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import minimize

from rramsim.compiled import compiled

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


SHARE_FLOOR = 1e-5
"""A cell or cycle share below this is a boundary, not an estimate with a curvature."""

Point = dict[str, float]

# How a parameter is reported: the scale on which its interval is symmetric, and the way back.
_SCALES: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "median_ohm": (math.log, math.exp),
    "sigma_ln": (math.log, math.exp),
    "sigma_cell_ln": (math.log, math.exp),
    "sigma_cycle_ln": (math.log, math.exp),
    "skew_g": (float, float),
    "cell_share": (lambda p: math.log(p / (1 - p)), lambda x: 1 / (1 + math.exp(-x))),
    "lag1": (math.atanh, math.tanh),
}


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A fitted value with its 95 % interval (`low`, `high`).

    `joint_low` and `joint_high` are simultaneous: with 95 % probability all parameters of the
    model of both states lie in theirs (Bonferroni).
    """

    value: float
    low: float
    high: float
    joint_low: float
    joint_high: float

    def covers(self, value: float, *, joint: bool = False) -> bool:
        """Tell whether a value lies in the interval."""
        if joint:
            return self.joint_low <= value <= self.joint_high
        return self.low <= value <= self.high


MODEL_PARAMETERS = 11
"""Free parameters of both states: median, deviation, skew, cell share and lag-1 of each, and the
correlation; what the simultaneous intervals are simultaneous over."""


def students_t(devices: int, *, joint: bool = False) -> float:
    """Student's two-sided 95 % quantile for a number of devices."""
    risk = 0.05 / (MODEL_PARAMETERS if joint else 1)
    return float(stats.t.ppf(1 - risk / 2, max(devices - 1, 1)))


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """The likelihood of standardised values `v` = (ln R - centre) / scale around a fit."""

    layout: Layout
    v: NDArray[np.float64]
    centre: float
    scale: float
    skewed: bool
    _kept: dict[float, tuple[Sums, float] | None] = field(default_factory=dict, init=False)

    def point(self, h: float, latent: LatentFit) -> Point:
        """A fit as a point; parts that the rows cannot tell, or that lie on their boundary, are
        left out."""
        point = {"mean": latent.mean, "ln_s": math.log(latent.deviation)}
        if self.skewed:
            point["h"] = h
        share = min(latent.cell_share, 1 - SHARE_FLOOR)
        if self.layout.has_cell and share > SHARE_FLOOR:
            point["logit_share"] = math.log(share / (1 - share))
        if self.layout.has_lag and abs(latent.lag1) < 0.999:
            point["atanh_lag"] = math.atanh(latent.lag1)
        return point

    def parameters(self, at: Point) -> dict[str, float]:
        """The parameters that are reported."""
        h, mean, s = at.get("h", 0.0), at["mean"], math.exp(at["ln_s"])
        offset = math.expm1(h * mean) / h if abs(h) > 1e-12 else mean
        sigma = self.scale * s * math.exp(h * mean)
        values = {"median_ohm": math.exp(self.centre + self.scale * offset), "sigma_ln": sigma}
        if self.skewed:
            values["skew_g"] = h * s
        if "logit_share" in at:
            share = 1 / (1 + math.exp(-at["logit_share"]))
            values["cell_share"] = share
            if not self.skewed:
                values["sigma_cell_ln"] = sigma * math.sqrt(share)
                values["sigma_cycle_ln"] = sigma * math.sqrt(1 - share)
        if "atanh_lag" in at:
            values["lag1"] = math.tanh(at["atanh_lag"])
        return values

    def loglik(self, at: Point) -> float:
        """Log-likelihood of `v`; -inf outside the support."""
        condensed = self._condensed(at.get("h", 0.0))
        if condensed is None:
            return -math.inf
        sums, logs = condensed
        share = 1 / (1 + math.exp(-at["logit_share"])) if "logit_share" in at else 0.0
        s = math.exp(at["ln_s"])
        found = latent_loglik(
            sums,
            mean=at["mean"],
            s_cell=s * math.sqrt(share),
            s_cycle=s * math.sqrt(1 - share),
            lag1=math.tanh(at.get("atanh_lag", 0.0)),
        )
        return found - logs

    def _condensed(self, h: float) -> tuple[Sums, float] | None:
        """The sums of z at h and the log of its slope; None outside the support. Kept: only steps
        in h need them anew."""
        if h not in self._kept:
            inside = h * self.v
            if inside.min() <= -1:
                self._kept[h] = None
            else:
                bent = np.log1p(inside)
                z = bent / h if abs(h) > 1e-9 else self.v
                self._kept[h] = self.layout.sums(z), float(bent.sum())
        return self._kept[h]

    def intervals(self, at: Point) -> dict[str, Estimate]:
        """Every reported parameter with its 95 % interval."""
        names = list(at)
        centre = np.array([at[name] for name in names])
        hessian = _information(
            lambda x: self.loglik(dict(zip(names, map(float, x), strict=True))), centre
        )
        covariance = np.linalg.pinv(hessian, hermitian=True)
        # Without a cell part the rows are what is counted, not the devices.
        counted = self.layout.cells if self.layout.has_cell else self.layout.rows
        t, joint_t = students_t(counted), students_t(counted, joint=True)
        estimates = {}
        for name, value in self.parameters(at).items():
            there, back = _SCALES[name]
            gradient = np.empty(len(names))
            for i, own in enumerate(names):
                step = 1e-5
                up, down = (
                    there(self.parameters(at | {own: at[own] + d})[name]) for d in (step, -step)
                )
                gradient[i] = (up - down) / (2 * step)
            error = math.sqrt(max(float(gradient @ covariance @ gradient), 0.0))
            middle = there(value)
            estimates[name] = Estimate(
                value=value,
                low=back(middle - t * error),
                high=back(middle + t * error),
                joint_low=back(middle - joint_t * error),
                joint_high=back(middle + joint_t * error),
            )
        if self.layout.has_cell and "logit_share" not in at:
            estimates["cell_share"] = self._no_cell_part(at)
        return estimates

    def _no_cell_part(self, at: Point) -> Estimate:
        """A cell share of 0: up to where the log-likelihood has fallen by half of t squared."""
        top, ends = self.loglik(at), []
        for joint in (False, True):
            fall, logit = students_t(self.layout.cells, joint=joint) ** 2 / 2, -14.0
            while logit < 14 and self.loglik(at | {"logit_share": logit}) > top - fall:
                logit += 0.1
            ends.append(1 / (1 + math.exp(-logit)))
        return Estimate(value=0.0, low=0.0, high=ends[0], joint_low=0.0, joint_high=ends[1])


def _information(
    value: Callable[[NDArray[np.float64]], float], centre: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The negative Hessian by central differences, with steps of about half a standard error."""
    top, count = value(centre), len(centre)
    steps, unit = np.full(count, 1e-3), np.eye(count)

    def fall(i: int) -> float:
        e = steps[i] * unit[i]
        return 2 * top - value(centre + e) - value(centre - e)

    for i in range(count):
        for _ in range(4):
            found = fall(i)
            while not math.isfinite(found):
                steps[i] /= 10
                found = fall(i)
            if 0.05 < found < 1.0:
                break
            steps[i] *= float(np.clip(math.sqrt(0.25 / max(found, 1e-8)), 0.05, 20.0))
        while not math.isfinite(fall(i)):
            steps[i] /= 2
    hessian = np.zeros((count, count))
    for i in range(count):
        hessian[i, i] = fall(i) / steps[i] ** 2
        for j in range(i):
            e, f = steps[i] * unit[i], steps[j] * unit[j]
            cross = (
                value(centre + e + f)
                - value(centre + e - f)
                - value(centre - e + f)
                + value(centre - e - f)
            )
            hessian[i, j] = hessian[j, i] = -cross / (4 * steps[i] * steps[j])
    return hessian
