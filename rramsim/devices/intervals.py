"""95 % intervals of a fitted state's parameters, from the likelihood's curvature.

The curvature is taken in (mean, ln s, h, logit share, atanh lag) of z = ln(1 + h v) / h, where
moving one parameter leaves the support alone, and carried to the parameters that are reported by
the delta method, each on a scale on which its estimate is near normal (ln of medians and
deviations, logit of shares, atanh of correlations). Student's quantile stands for the few devices
that the cell part is known from.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from rramsim.devices.latent_likelihood import LatentFit, Layout, Sums, latent_loglik

__all__ = ["MODEL_PARAMETERS", "SHARE_FLOOR", "Curve", "Estimate", "students_t"]

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
