"""Fit distributions and their cell and cycle parts to measured resistances; goodness of fit; the
model file that `rramsim devices fit` writes and an experiment names.

The skewed family is a log-normal seen through z = ln(1 + h v) / h, v the standardised ln R, so
one fit serves both: at each h the normal model (`latent_likelihood`) is fitted to z, and h = 0 is
the log-normal. Intervals come from the likelihood's curvature (`intervals`).
"""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import minimize_scalar

from rramsim.devices.history import DeviceStatistics, Persistence
from rramsim.devices.latent_likelihood import (
    SHARE_FLOOR,
    CellEvidence,
    Curve,
    Estimate,
    LatentFit,
    Layout,
    fit_latent,
    residuals,
    students_t,
)
from rramsim.devices.marginals import Empirical, LogNormal, Marginal, Skewed
from rramsim.devices.measurements import Measurements, StateMeasurements
from rramsim.devices.resistances import ResistanceModel
from rramsim.exceptions import InputError
from rramsim.files import atomic_path
from rramsim.spice import read_text


@dataclass(frozen=True, kw_only=True)
class Goodness:
    """How well a model fits.

    `cdf_distance` is the largest distance between the measured and the fitted distribution
    function (Kolmogorov's; how wrong the model is). `p_value` is Anderson and Darling's for the
    normality of what each device's earlier cycles do not predict (whether the data can tell that
    it is wrong): values of one device are not independent, these residuals are.
    """

    cdf_distance: float
    p_value: float


def goodness_of_fit(layout: Layout, u: NDArray[np.float64], persistence: Persistence) -> Goodness:
    """Judge the standard-normal scores `u` (rows,) that a fitted model gives to the rows."""
    ordered = np.sort(stats.norm.cdf(u))
    steps = np.arange(len(u) + 1) / len(u)
    distance = max(
        float(np.max(np.abs(ordered - steps[1:]))), float(np.max(np.abs(ordered - steps[:-1])))
    )
    finite = np.clip(u, -12, 12)
    share = persistence.cell_share
    rest = residuals(
        layout,
        finite,
        s_cell=math.sqrt(share),
        s_cycle=math.sqrt(max(1 - share, 1e-12)),
        lag1=persistence.lag1,
    )
    return Goodness(cdf_distance=distance, p_value=anderson_darling(rest))


def anderson_darling(values: NDArray[np.float64]) -> float:
    """P-value of normality with fitted mean and deviation (D'Agostino and Stephens,
    "Goodness-of-Fit Techniques", 1986, table 4.9).

    >>> rng = np.random.default_rng(1)
    >>> anderson_darling(rng.normal(3, 2, 5000)) > 0.05, anderson_darling(rng.gamma(9, 1, 5000))
    (True, 0.0)
    """
    n = len(values)
    z = np.sort((values - values.mean()) / values.std(ddof=1))
    odd = 2 * np.arange(1, n + 1) - 1
    a2 = -n - float(np.sum(odd * (stats.norm.logcdf(z) + stats.norm.logsf(z[::-1])))) / n
    a = a2 * (1 + 0.75 / n + 2.25 / n**2)
    if a >= 0.6:
        exponent = 1.2937 - 5.709 * a + 0.0186 * a * a
        return float(math.exp(exponent)) if a < 13 else 0.0
    if a >= 0.34:
        return float(math.exp(0.9177 - 4.279 * a - 1.38 * a * a))
    if a >= 0.2:
        return float(1 - math.exp(-8.318 + 42.796 * a - 59.938 * a * a))
    return float(1 - math.exp(-13.436 + 101.14 * a - 223.73 * a * a))


FAMILIES = ("lognormal", "skewed", "empirical")
"""The families that are fitted."""

_MIN_PAIRS = 5
"""Fewest devices with both states for a correlation of their cell parts."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StateFit:
    """One family fitted to one state.

    `estimates` holds median_ohm, cell_share, lag1, and the family's own: sigma_ln (and its parts
    sigma_cell_ln and sigma_cycle_ln for the log-normal), skew_g. What the rows cannot tell (a cell
    part from one device, a memory from one cycle) is missing there, and zero in `persistence`.
    """

    family: str
    marginal: Marginal
    persistence: Persistence
    estimates: dict[str, Estimate]
    loglik: float
    parameters: int
    goodness: Goodness
    rows: int
    devices: int
    evidence: CellEvidence | None

    @property
    def bic(self) -> float:
        """Schwarz's criterion; the family with the lower one is preferred."""
        return self.parameters * math.log(self.rows) - 2 * self.loglik


@dataclass(frozen=True, kw_only=True, eq=False)
class DeviceFit:
    """Every family fitted to both states.

    `states[state][family]`; `cell_correlation[family]` ties the states' cell parts (missing where
    either has none). `chosen[state]` is the family with the lower BIC of log-normal and skewed.
    """

    states: dict[str, dict[str, StateFit]]
    cell_correlation: dict[str, Estimate]
    chosen: dict[str, str]

    def statistics(self, family: str = "best") -> DeviceStatistics:
        """The fitted model of one family for both states, or of the best for each."""
        if family not in ("best", *FAMILIES):
            raise InputError(f"kind = {family!r}: must be one of best, {', '.join(FAMILIES)}")
        lrs, hrs = (
            self.states[s][self.chosen[s] if family == "best" else family] for s in ("lrs", "hrs")
        )
        correlation = self.cell_correlation.get(family)
        return DeviceStatistics(
            resistances=ResistanceModel(lrs=lrs.marginal, hrs=hrs.marginal),
            lrs=lrs.persistence,
            hrs=hrs.persistence,
            cell_correlation=correlation.value if correlation else 0.0,
        )


def fit_devices(measurements: Measurements) -> DeviceFit:
    """Fit every family to both states, and the correlation of their cell parts.

    Raises `InputError` for values without any spread.
    """
    states: dict[str, dict[str, StateFit]] = {}
    for name, of in (("lrs", measurements.lrs), ("hrs", measurements.hrs)):
        if np.ptp(of.resistance_ohm) <= 1e-9 * of.resistance_ohm[0]:
            raise InputError(
                f"{measurements.source}: every {name.upper()} is {of.resistance_ohm[0]:g} ohm; "
                "without a spread there is nothing to fit"
            )
        layout = Layout(of.device, of.cycle)
        states[name] = {family: fit_state(of, family, layout=layout) for family in FAMILIES}
    chosen = {
        name: min(("lognormal", "skewed"), key=lambda family: fits[family].bic)
        for name, fits in states.items()
    }
    pairs = {family: (family, family) for family in FAMILIES}
    pairs["best"] = (chosen["lrs"], chosen["hrs"])
    correlations = {
        name: estimate
        for name, (lrs, hrs) in pairs.items()
        if (estimate := _correlation(states["lrs"][lrs].evidence, states["hrs"][hrs].evidence))
    }
    return DeviceFit(states=states, cell_correlation=correlations, chosen=chosen)


def fit_state(
    measured: StateMeasurements, family: str, *, layout: Layout | None = None
) -> StateFit:
    """Fit one family (`FAMILIES`) to one state's rows."""
    layout = layout or Layout(measured.device, measured.cycle)
    if family == "empirical":
        return _fit_empirical(measured, layout)
    ln_ohm = np.log(measured.resistance_ohm)
    centre, scale = float(np.median(ln_ohm)), float(ln_ohm.std())
    v = (ln_ohm - centre) / scale
    h, latent = (0.0, fit_latent(layout, v)) if family == "lognormal" else _fit_shape(layout, v)
    curve = Curve(layout=layout, v=v, centre=centre, scale=scale, skewed=family == "skewed")
    at = curve.point(h, latent)
    values = curve.parameters(at)
    marginal: Marginal
    if family == "skewed":
        marginal = Skewed(
            median_ohm=values["median_ohm"], sigma_ln=values["sigma_ln"], skew_g=values["skew_g"]
        )
    else:
        marginal = LogNormal(median_ohm=values["median_ohm"], sigma_ln=values["sigma_ln"])
    persistence = Persistence(cell_share=latent.cell_share, lag1=latent.lag1)
    u = marginal.score(measured.resistance_ohm)
    return StateFit(
        family=family,
        marginal=marginal,
        persistence=persistence,
        estimates=curve.intervals(at),
        loglik=curve.loglik(at) - layout.rows * math.log(scale),
        parameters=2 + (family == "skewed") + layout.has_cell + layout.has_lag,
        goodness=goodness_of_fit(layout, u, persistence),
        rows=layout.rows,
        devices=layout.cells,
        evidence=_evidence(layout, u, persistence),
    )


def _fit_shape(layout: Layout, v: NDArray[np.float64]) -> tuple[float, LatentFit]:
    """The h with the highest restricted likelihood, and the normal model there.

    The likelihood of a threshold just below the least value grows without bound (a known fault
    of the three-parameter log-normal); the maximum that is meant is the interior one.
    """
    least, most = float(v.min()), float(v.max())
    # Shares of the largest h that keeps every value inside the support, denser towards it.
    shares = np.array([0.0, 0.15, 0.3, 0.5, 0.7, 0.85, 0.93, 0.97, 0.99, 0.997, 0.9997])
    grid = np.concatenate([-shares[:0:-1] / most, shares / -least])
    # Some whole devices are enough to find the hill; all of them find its top.
    rows = layout.rows_of_first(_SCAN_ROWS)
    part = layout if rows == layout.rows else layout.first_rows(rows)
    scan = _ShapeLikelihood(part, v[:rows], tolerance=1e-3)
    values = [scan.at(h)[0] for h in grid]
    inner = [
        i
        for i in range(1, len(grid) - 1)
        if values[i] >= values[i - 1] and values[i] >= values[i + 1]
    ]
    best = max(inner, key=lambda i: values[i]) if inner else int(np.argmax(values))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    whole = _ShapeLikelihood(layout, v, tolerance=1e-6)
    found = minimize_scalar(
        lambda h: -whole.at(h)[0],
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-4 * (high - low)},
    )
    h = float(found.x)
    return h, whole.at(h)[1]


_SCAN_ROWS = 20_000


class _ShapeLikelihood:
    """The restricted likelihood against h; each fit starts from the one before."""

    def __init__(self, layout: Layout, v: NDArray[np.float64], *, tolerance: float) -> None:
        self._layout, self._v, self._tolerance = layout, v, tolerance
        self._start: tuple[float, float] | None = None

    def at(self, h: float) -> tuple[float, LatentFit]:
        """The restricted log-likelihood of v at h, and the normal model of z there."""
        logs = np.log1p(h * self._v)
        z = self._v if abs(h) < 1e-9 else logs / h
        fit = fit_latent(self._layout, z, self._start, tolerance=self._tolerance)
        if fit.s_cell > 0 and fit.s_cycle > 0:
            ratio = float(np.clip((fit.s_cell / fit.s_cycle) ** 2, 1e-6, 1e6))
            self._start = (math.log(ratio), math.atanh(fit.lag1))
        return fit.loglik - float(logs.sum()), fit


def _fit_empirical(measured: StateMeasurements, layout: Layout) -> StateFit:
    """Store the distribution; cell and cycle parts from the normal scores of the ranks."""
    ohm = measured.resistance_ohm
    marginal = Empirical.of(ohm)
    u = stats.norm.ppf((stats.rankdata(ohm) - 0.5) / len(ohm))
    latent = fit_latent(layout, u)
    curve = Curve(layout=layout, v=u, centre=0.0, scale=1.0, skewed=False)
    estimates = curve.intervals(curve.point(0.0, latent))
    persistence = Persistence(cell_share=latent.cell_share, lag1=latent.lag1)
    return StateFit(
        family="empirical",
        marginal=marginal,
        persistence=persistence,
        estimates={
            "median_ohm": _median_interval(ohm, layout),
            **{name: estimates[name] for name in ("cell_share", "lag1") if name in estimates},
        },
        loglik=math.nan,
        parameters=len(marginal.scores),
        goodness=goodness_of_fit(layout, marginal.score(ohm), persistence),
        rows=layout.rows,
        devices=layout.cells,
        evidence=_evidence(layout, u, persistence),
    )


def _median_interval(ohm: NDArray[np.float64], layout: Layout) -> Estimate:
    """Woodruff's interval (1952): the spread of the devices' shares below the median, inverted."""
    median = float(np.median(ohm))
    below = np.bincount(layout.group, weights=(ohm <= median) - 0.5, minlength=layout.cells)
    if layout.has_cell:
        counted, error = layout.cells, math.sqrt(float((below**2).sum())) / layout.rows
    else:
        counted, error = layout.rows, 0.5 / math.sqrt(layout.rows)
    shares = [
        min(max(0.5 + sign * students_t(counted, joint=joint) * error, 0.0), 1.0)
        for joint in (False, True)
        for sign in (-1, 1)
    ]
    low, high, joint_low, joint_high = (float(q) for q in np.quantile(ohm, shares))
    return Estimate(value=median, low=low, high=high, joint_low=joint_low, joint_high=joint_high)


def _evidence(
    layout: Layout, u: NDArray[np.float64], persistence: Persistence
) -> CellEvidence | None:
    share = persistence.cell_share
    if not (layout.has_cell and SHARE_FLOOR < share < 1 - SHARE_FLOOR):
        return None
    fit = LatentFit(
        mean=0.0,
        mean_error=0.0,
        s_cell=math.sqrt(share),
        s_cycle=math.sqrt(1 - share),
        lag1=persistence.lag1,
        loglik=0.0,
    )
    return CellEvidence.of(layout, u, fit)


def _correlation(lrs: CellEvidence | None, hrs: CellEvidence | None) -> Estimate | None:
    """Correlation of the states' cell parts over the devices that have both: the maximum of its
    likelihood given each state's fit, with the profile's 95 % interval."""
    if lrs is None or hrs is None:
        return None
    _, i, j = np.intersect1d(lrs.labels, hrs.labels, return_indices=True)
    if len(i) < _MIN_PAIRS:
        return None
    a1, b1, a2, b2 = lrs.a[i], lrs.b[i], hrs.a[j], hrs.b[j]

    def loglik(rho: float) -> float:
        # c ~ N(0, S), evidence exp(b c - c A c / 2): -ln det(1 + S A) / 2 + b (S^-1 + A)^-1 b / 2.
        free = 1 - rho * rho
        determinant = (1 + a1) * (1 + a2) - rho * rho * a1 * a2
        quadratic = b1**2 * (1 + a2 * free) + b2**2 * (1 + a1 * free) + 2 * rho * b1 * b2
        return 0.5 * float((quadratic / determinant - np.log(determinant)).sum())

    found = minimize_scalar(
        lambda x: -loglik(math.tanh(x)), bounds=(-5, 5), method="bounded", options={"xatol": 1e-6}
    )
    top, best = -float(found.fun), float(found.x)
    ends = []
    for joint in (False, True):
        fall = students_t(len(i), joint=joint) ** 2 / 2
        for sign in (-1, 1):
            step, x = 0.5, best
            # Walk outwards, halving the step at each crossing.
            while step > 1e-5 and abs(x) < 8:
                if top - loglik(math.tanh(x + sign * step)) < fall:
                    x += sign * step
                else:
                    step /= 2
            ends.append(math.tanh(x))
    low, high, joint_low, joint_high = ends
    return Estimate(
        value=math.tanh(best), low=low, high=high, joint_low=joint_low, joint_high=joint_high
    )


_SCHEMA = "rramsim device model 1"
_KINDS: dict[str, type[Any]] = {"lognormal": LogNormal, "skewed": Skewed, "empirical": Empirical}


def fit_record(measurements: Measurements, fit: DeviceFit) -> dict[str, Any]:
    """Everything that a fit found, as JSON values; undefined numbers are null."""
    return {
        "schema": _SCHEMA,
        "status": "fitted",
        "measurements": {
            "file": measurements.source,
            "sha256": measurements.sha256,
            "condition": measurements.condition,
            "devices": measurements.devices,
            "rows": {s: len(getattr(measurements, s).cycle) for s in ("lrs", "hrs")},
            "left_out": list(measurements.left_out),
        },
        "interval": "95 %: of each (low, high), of all at once (joint_low, joint_high)",
        "chosen": dict(fit.chosen),
        "cell_correlation": {name: asdict(e) for name, e in fit.cell_correlation.items()},
        "states": {
            state: {
                family: {
                    "marginal": asdict(found.marginal),  # type: ignore[call-overload]
                    "persistence": asdict(found.persistence),
                    "estimates": {name: asdict(e) for name, e in found.estimates.items()},
                    "goodness": asdict(found.goodness),
                    "loglik": None if math.isnan(found.loglik) else found.loglik,
                    "bic": None if math.isnan(found.loglik) else found.bic,
                }
                for family, found in fits.items()
            }
            for state, fits in fit.states.items()
        },
    }


def write_model_file(path: Path, record: dict[str, Any]) -> None:
    """Write a fit's record, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(
            json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
            encoding="utf-8",
        )


def load_model_file(path: Path, *, kind: str = "best") -> DeviceStatistics:
    """The statistics that a model file holds: of one family, or of the best for each state.

    Raises `InputError` for a file that is none or damaged, or a kind that it lacks.
    """
    if kind not in ("best", *FAMILIES):
        raise InputError(f"kind = {kind!r}: must be one of best, {', '.join(FAMILIES)}")
    try:
        record = json.loads(read_text(path, "a device model"))
        if not isinstance(record, dict) or record.get("schema") != _SCHEMA:
            raise InputError(
                f"{path}: not a device model (schema {_SCHEMA!r}); make one with "
                "'rramsim devices fit FILE --out MODEL.json'"
            )
        families = {s: record["chosen"][s] if kind == "best" else kind for s in ("lrs", "hrs")}
        found = {s: record["states"][s][families[s]] for s in ("lrs", "hrs")}
        lrs, hrs = (_marginal(families[s], found[s]["marginal"]) for s in ("lrs", "hrs"))
        persistence = {s: Persistence(**found[s]["persistence"]) for s in ("lrs", "hrs")}
        correlation = record["cell_correlation"].get(kind)
        return DeviceStatistics(
            resistances=ResistanceModel(lrs=lrs, hrs=hrs),
            lrs=persistence["lrs"],
            hrs=persistence["hrs"],
            cell_correlation=float(correlation["value"]) if correlation else 0.0,
        )
    except InputError as error:
        message = str(error)
        raise InputError(message if str(path) in message else f"{path}: {message}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{path}: damaged device model ({type(error).__name__}: {error}); "
            "make it again with 'rramsim devices fit'"
        ) from error


def _marginal(family: str, values: dict[str, Any]) -> Marginal:
    if family == "empirical":
        return Empirical(scores=tuple(values["scores"]), ln_ohm=tuple(values["ln_ohm"]))
    marginal: Marginal = _KINDS[family](**values)
    return marginal
