"""From waveforms to what was read: decision, resolve time, margin and energy of one sense."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Decision", "charge_c", "decide", "decide_product"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The read value, its resolve time (NaN if unresolved) and v(QB) - v(Q) at the strobe."""

    read: int
    resolve_time_s: float
    margin_v: float


def decide(
    time_s: Floats, q_v: Floats, qb_v: Floats, *, threshold_v: float, window_s: float
) -> Decision:
    """Decide what a sense read at the end of its window.

    `time_s` (from the SEN edge), `q_v`, `qb_v`: shape (points,). The outputs are taken as
    digital against `threshold_v`: Q low and QB high is +1, Q high and QB low is -1, equal outputs
    (XOR = 0) are 0. The resolve time is the start of the last stretch up to the strobe over which
    the outputs differ, interpolated between points.

    >>> t = np.array([0.0, 1.0, 2.0, 3.0])
    >>> decide(t, np.array([1.0, 0.8, 0.0, 0.0]), np.ones(4), threshold_v=0.4, window_s=3.0)
    Decision(read=1, resolve_time_s=1.5, margin_v=1.0)
    """
    inside = (time_s > 0) & (time_s < window_s)
    time = np.concatenate(([0.0], time_s[inside], [window_s]))
    q = np.interp(time, time_s, q_v) - threshold_v
    qb = np.interp(time, time_s, qb_v) - threshold_v
    differ = (q > 0) != (qb > 0)
    margin_v = float(qb[-1] - q[-1])
    if not differ[-1]:
        return Decision(read=0, resolve_time_s=math.nan, margin_v=margin_v)
    equal = np.flatnonzero(~differ)
    resolve_time_s = 0.0
    if equal.size:
        before = int(equal[-1])
        # Between `before` and the next point exactly one output crosses the threshold.
        crossing = q if (q[before] > 0) != (q[before + 1] > 0) else qb
        share = crossing[before] / (crossing[before] - crossing[before + 1])
        resolve_time_s = float(time[before] + share * (time[before + 1] - time[before]))
    return Decision(read=1 if q[-1] <= 0 else -1, resolve_time_s=resolve_time_s, margin_v=margin_v)


def decide_product(
    time_s: Floats, nonzero_v: Floats, sign_v: Floats, *, threshold_v: float, window_s: float
) -> Decision:
    """Decide what a gated XNOR's outputs say at the end of the window.

    Arguments and times as for `decide`; the read is 0 while `nonzero_v` is low, else the sign that
    `sign_v` gives. The resolve time is the start of the last stretch over which the read stays;
    the margin is v(S) - threshold where the product is not 0, else how far NZ is below it.

    >>> t = np.array([0.0, 1.0, 2.0, 3.0])
    >>> decide_product(t, np.array([0, 0, 1.0, 1.0]), np.zeros(4), threshold_v=0.5, window_s=3.0)
    Decision(read=-1, resolve_time_s=1.5, margin_v=-0.5)
    """
    inside = (time_s > 0) & (time_s < window_s)
    time = np.concatenate(([0.0], time_s[inside], [window_s]))
    nonzero = np.interp(time, time_s, nonzero_v) - threshold_v
    sign = np.interp(time, time_s, sign_v) - threshold_v
    if nonzero[-1] <= 0:
        return Decision(read=0, resolve_time_s=math.nan, margin_v=float(nonzero[-1]))
    changed = (nonzero <= 0) | ((sign > 0) != (sign[-1] > 0))
    resolve_time_s = 0.0
    if changed.any():
        before = int(np.flatnonzero(changed)[-1])
        crossing = nonzero if nonzero[before] <= 0 else sign
        share = crossing[before] / (crossing[before] - crossing[before + 1])
        resolve_time_s = float(time[before] + share * (time[before + 1] - time[before]))
    read = 1 if sign[-1] > 0 else -1
    return Decision(read=read, resolve_time_s=resolve_time_s, margin_v=float(sign[-1]))


def charge_c(time_s: Floats, current_a: Floats, *, start_s: float, stop_s: float) -> float:
    """Charge in coulomb that a current carried between two times, by the trapezoidal rule.

    >>> charge_c(np.array([0.0, 1.0, 2.0]), np.ones(3), start_s=0.5, stop_s=1.75)
    1.25
    """
    inside = (time_s > start_s) & (time_s < stop_s)
    time = np.concatenate(([start_s], time_s[inside], [stop_s]))
    ends = np.interp([start_s, stop_s], time_s, current_a)
    current = np.concatenate((ends[:1], current_a[inside], ends[1:]))
    return float(np.trapezoid(current, time))
