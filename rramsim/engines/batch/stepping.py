"""The march through time of one sample, and the loop over samples; the text of compiled code.

The functions here are not called as Python: `kernel.py` writes their source into a module beside
the circuit's `system` and its sizes (N unknown nodes, DRIVEN driven ones, Q and QB the outputs),
and numba compiles it there. The names below stand for what that module defines.

Method: charge-based trapezoidal rule, steps chosen by the local error that the difference to a
quadratic extrapolation shows, one short backward-Euler step after each corner of a source.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs

import math
from typing import Any

import numpy as np

N = DRIVEN = Q = QB = 0
system: Any = None
mismatch: Any = None
njit: Any = lambda **options: lambda function: function  # noqa: E731

# Per sample results, columns of `out`.
READ, RESOLVE, MARGIN, CONVERGED, STEPS, SOLVES = range(6)


@njit(nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def march(
    corners, kinks, pulses, setup, hold, held, start, weight, noise_c, model, out, marks, trace,
    work,
):  # fmt: skip
    """Simulate one sample.

    `corners` times to hit, with `kinks` where a source bends; `marks[corner, source]` receives
    the charge that each source delivered until then. `model` is what `system` needs to know of
    the circuit. `setup`: tolerance_v, newton_v, first_s,
    largest_s, smallest_s, threshold_v, edge middle, strobe, extra weight, low_v, high_v, begin,
    early, late: the tolerance is `early` times as wide before `begin`, `late` times after the
    strobe. Its last numbers: the weight's floor; above 0 if the march ends at the strobe; the
    corner at which the charge `noise_c` (coulomb) goes from Q to QB, within the step after it.
    """
    tolerance, newton_v, first, largest, smallest = setup[:5]
    threshold, edge, strobe, extra, low, high, begin, early, late = setup[5:14]
    v, v1, v2, guess = work[0, :N], work[1, :N], work[2, :N], work[3, :N]
    q, i, q1, i1 = work[4, :N], work[5, :N], work[6, :N], work[7, :N]
    rhs, dv, free, target = work[8, :N], work[9, :N], work[10, :N], work[11, :N]
    qs, is_, qs1, is1 = work[12, :DRIVEN], work[13, :DRIVEN], work[14, :DRIVEN], work[15, :DRIVEN]
    u, through, qs0 = work[16, :DRIVEN], work[17, :DRIVEN], work[18, :DRIVEN]

    # Start: the direct-current solution with the .ic nodes held.
    for k in range(N):
        v[k] = start[k]
        rhs[k] = 0.0
        free[k] = 0.0
    for f in range(DRIVEN):
        u[f] = pulses[f, 0]
        through[f] = 0.0
    newton_weight = work[19, :N]
    for k in range(N):
        newton_weight[k] = max(weight[k], setup[14])
    settled = False
    for _ in range(60):
        system(v, u, 0.0, rhs, hold, held, model, q, i, qs, is_, dv)
        most = 0.0
        for k in range(N):
            most = max(most, abs(dv[k]))
            v[k] = min(max(v[k] + min(max(dv[k], -0.2), 0.2), low), high)
        if most < 1e-6:
            settled = True
            break
    out[CONVERGED] = 0.0
    out[STEPS] = 0.0
    out[SOLVES] = 0.0
    if not settled:
        return
    for f in range(DRIVEN):
        qs0[f] = qs[f]

    t, h, h1, h2 = 0.0, first, first, first
    history, steps, solves, traced = 0, 0, 0, 0
    was_differ = (v[Q] > threshold) != (v[QB] > threshold)
    since = 0.0
    for corner in range(corners.size):
        end = corners[corner]
        while t < end:
            # Land on the corner, without a sliver of a step before it.
            left = end - t
            if h >= left * 0.999999:
                h = left
            elif 2.0 * h > left:
                h = 0.5 * left
            now = end if h == left else t + h
            for f in range(1, DRIVEN):
                u[f] = source(pulses, f, now)
            euler = history == 0
            c = 1.0 / h if euler else 2.0 / h
            slope1, slope2 = h / h1, h * (h + h1) / (h1 + h2)
            for k in range(N):
                q1[k] = q[k]
                i1[k] = i[k]
                rhs[k] = -c * q[k] + (0.0 if euler else i[k])
                change = v[k] - v1[k]
                move = 0.0
                if history >= 1:
                    move = change * slope1
                if history >= 2:
                    move += slope2 * (change / h1 - (v1[k] - v2[k]) / h2)
                guess[k] = v[k] + move
                target[k] = min(max(guess[k], low), high)
            if t == setup[16]:
                rhs[Q] += c * noise_c
                rhs[QB] -= c * noise_c
            for f in range(DRIVEN):
                qs1[f] = qs[f]
                is1[f] = is_[f]
            met = False
            for _ in range(10):
                system(target, u, c, rhs, free, held, model, q, i, qs, is_, dv)
                solves += 1
                most, largest_move = 0.0, 0.0
                for k in range(N):
                    most = max(most, newton_weight[k] * abs(dv[k]))
                    largest_move = max(largest_move, abs(dv[k]))
                    moved = target[k] + min(max(dv[k], -0.3), 0.3)
                    target[k] = min(max(moved, low), high)
                if most < newton_v and largest_move < 0.25:
                    met = True
                    break
            # Local error from the difference to the extrapolation.
            worst = 0.0
            if met and history >= 1:
                if history >= 2:
                    ratio = h * h / ((h + h1) * (h + h1 + h2) * 2.0 + h * h)
                else:
                    ratio = 1.0 / 6.0
                for k in range(N):
                    worst = max(worst, weight[k] * abs(target[k] - guess[k]))
                apart = abs((target[Q] - guess[Q]) - (target[QB] - guess[QB]))
                worst = ratio * max(worst, extra * apart) / tolerance
                if now <= begin:
                    worst /= early
                elif now > strobe:
                    worst /= late
            if (not met or worst > 1.5) and h > smallest:
                for k in range(N):
                    q[k] = q1[k]
                    i[k] = i1[k]
                for f in range(DRIVEN):
                    qs[f] = qs1[f]
                    is_[f] = is1[f]
                h = max(smallest, h * (0.25 if not met else max(0.2, 0.85 * worst ** (-1.0 / 3.0))))
                continue
            if not met:
                out[STEPS] = steps
                out[SOLVES] = solves
                return
            # Accepted.
            steps += 1
            for f in range(1, DRIVEN):
                if euler:
                    through[f] += h * is_[f]
                else:
                    through[f] += 0.5 * h * (is_[f] + is1[f])
            differ = (target[Q] > threshold) != (target[QB] > threshold)
            if differ and not was_differ and now > edge:
                # Which output crossed, and when: the quadratic through the last three points.
                node = Q if (target[Q] > threshold) != (v[Q] > threshold) else QB
                since = t + h * crossing(
                    v[node] - threshold,
                    target[node] - threshold,
                    v1[node] - threshold,
                    h1 / h,
                    history >= 1,
                )
            elif differ and now <= edge:
                since = edge
            was_differ = differ
            for k in range(N):
                v2[k] = v1[k]
                v1[k] = v[k]
                v[k] = target[k]
            h2 = h1
            h1 = h
            t = now
            history += 1
            if trace.shape[0] > 0:
                if traced < trace.shape[0]:
                    trace[traced, 0] = t
                    for k in range(N):
                        trace[traced, 1 + k] = v[k]
                    for f in range(DRIVEN):
                        trace[traced, 1 + N + f] = u[f]
                traced += 1
            if history >= 2:
                # 0.9 worst^(-1/3), within 2 %.
                grow = 3.0
                if worst > 0.027:
                    root = (4.0875 + 7.0171 * worst) / (1.0 + 10.4852 * worst)
                    grow = 0.3 * root * (4.0 - worst * root * root * root)
                h = min(largest, h * max(0.3, grow))
            else:
                h = min(largest, 2.0 * h)
            if steps > 200000:
                return
        for f in range(DRIVEN):
            marks[corner, f] = qs[f] - qs0[f] + through[f]
        if end == strobe:
            out[MARGIN] = v[QB] - v[Q]
            out[READ] = 0.0
            out[RESOLVE] = np.nan
            if was_differ:
                out[READ] = 1.0 if v[Q] <= threshold else -1.0
                out[RESOLVE] = max(since, edge) - edge
            if setup[15] > 0.0:
                break
        if kinks[corner]:
            history = 0
            h = first
    fine = True
    for k in range(N):
        fine = fine and math.isfinite(v[k]) and low < v[k] < high
    out[CONVERGED] = 1.0 if fine else 0.0
    out[STEPS] = steps
    out[SOLVES] = solves


@njit(nogil=True, error_model="numpy")
def source(pulses, f, t):
    """Voltage of a PULSE source (first period) at a time."""
    v1, v2 = pulses[f, 0], pulses[f, 1]
    x = t - pulses[f, 2]
    rise, fall, width = pulses[f, 3], pulses[f, 4], pulses[f, 5]
    if x <= 0.0:
        return v1
    if x < rise:
        return v1 + (v2 - v1) * x / rise
    x -= rise + width
    if x <= 0.0:
        return v2
    if x < fall:
        return v2 + (v1 - v2) * x / fall
    return v1


@njit(nogil=True, error_model="numpy")
def crossing(a, b, before, ratio, curved):
    """Share of a step at which a quantity crosses zero: a at 0, b at 1, `before` at -ratio."""
    x = a / (a - b)
    if curved:
        # Newton's divided differences: a + (b - a) x + bend x (x - 1).
        bend = ((b - a) - (a - before) / ratio) / (1.0 + ratio)
        for _ in range(3):
            value = a + (b - a) * x + bend * x * (x - 1.0)
            slope = (b - a) + bend * (2.0 * x - 1.0)
            if slope != 0.0:
                x = min(max(x - value / slope, 0.0), 1.0)
    return x


@njit(nogil=True, error_model="numpy")
def run(first, last, plan, model, drawn, results, scratch):
    """Simulate the samples from `first` to `last`; the rest are the tuples of `arguments`."""
    gr = model.conductance.copy()
    work, par, moves = scratch.work, scratch.par, scratch.moves
    for sample in range(first, last):
        gr[0] = drawn.varied[sample, 0]
        gr[1] = drawn.varied[sample, 1]
        mismatch(
            sample, model.frame, model.body, drawn.deviates, model.site_of, model.powers,
            model.power_of, model.shift, model.whole, par, moves, work[20],
        )  # fmt: skip
        march(
            plan.corners, plan.kinks, plan.pulses, plan.setup, plan.hold, plan.held, plan.start,
            plan.weight, drawn.varied[sample, 2],
            (
                gr, model.capacitance, model.tab, model.off, model.frame, model.strides,
                par, moves, scratch.draft, scratch.found, scratch.leaks,
            ),
            results.out[sample], results.marks[sample], results.trace, work,
        )  # fmt: skip
