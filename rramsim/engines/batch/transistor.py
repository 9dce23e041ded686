"""One transistor's current and charges from its tables, compiled; used by generated code.

`grid` holds (start, 1 / step) of vgs, vds, vsb of the current, of the charge, then (start,
1 / step, end) of z and (start, 1 / step) of the junction's voltage; `dim` the numbers of
coefficients (vgs, vds, vsb) of current and charge, of z and of the junction. Cell numbers are kept
inside the tables, so that no voltage reads outside of them.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs

from numba import njit

from rramsim.engines.batch.contractions import (
    charge2,
    charge3,
    current2,
    current3,
    shift2,
    spline1,
)

__all__ = ["free_charge", "free_current", "junction", "tied_charge", "tied_current"]

_jit = njit(forceinline=True, error_model="numpy", fastmath={"contract", "nsz"})


@_jit
def _place(v, start, inverse, count):
    """Cell and place inside it of a cubic spline."""
    x = (v - start) * inverse
    cell = min(max(int(x), 0), count - 4)
    return cell, x - cell


@_jit
def _centre(v, start, inverse, count):
    """Cell and place inside it of a quadratic spline."""
    x = (v - start) * inverse
    cell = min(max(int(x + 0.5), 0), count - 3)
    return cell, x - cell


@_jit
def tied_current(gs, ds, tab, at, grid, dim, par, gain, tilt):
    """Current, then its derivatives over vgs and vds; source on the bulk."""
    cell, t = _place(min(max(gs, grid[12]), grid[14]), grid[12], grid[13], dim[6])
    shift, slope, _, _ = spline1(par, cell, t)
    slope *= grid[13]
    if gs < grid[12] or gs > grid[14]:
        slope = 0.0
    if ds <= 0.0:
        tilt = 0.0
    g, tg = _place(gs + shift + tilt * ds, grid[0], grid[1], dim[0])
    d, td = _place(ds, grid[2], grid[3], dim[1])
    i, i_g, i_d, _ = current2(tab, at + g * dim[1] + d, dim[1], tg, td)
    i_g = gain * grid[1] * i_g
    return gain * i, i_g * (1.0 + slope), gain * grid[3] * i_d + i_g * tilt


@_jit
def free_current(gs, ds, sb, tab, at, grid, dim, par, body, gain, tilt):
    """Current, then its derivatives over vgs, vds and vsb."""
    z = gs - body * sb
    cell, t = _place(min(max(z, grid[12]), grid[14]), grid[12], grid[13], dim[6])
    shift, slope, shift_s, _ = shift2(par, cell, dim[6], t, sb)
    slope *= grid[13]
    if z < grid[12] or z > grid[14]:
        slope = 0.0
    if ds <= 0.0:
        tilt = 0.0
    g, tg = _place(gs + shift + tilt * ds, grid[0], grid[1], dim[0])
    d, td = _place(ds, grid[2], grid[3], dim[1])
    s, ts = _place(sb, grid[4], grid[5], dim[2])
    start = at + (s * dim[0] + g) * dim[1] + d
    i, i_g, i_d, i_s = current3(tab, start, dim[0] * dim[1], dim[1], ts, tg, td)
    i_g = gain * grid[1] * i_g
    return (
        gain * i,
        i_g * (1.0 + slope),
        gain * grid[3] * i_d + i_g * tilt,
        gain * grid[5] * i_s + i_g * (shift_s - body * slope),
    )


@_jit
def junction(v, tab, at, grid, dim):
    """Current from a diffusion into the bulk, and its derivative; v is its voltage over the bulk.

    Nearly always 0 (in reverse), but a branch around each of many splines costs more than they do.
    """
    cell, t = _place(min(v, 0.0), grid[15], grid[16], dim[7])
    i, i_v, _, _ = spline1(tab, at + cell, t)
    return i, grid[16] * i_v


@_jit
def tied_charge(gs, ds, tab, at, grid, dim, moves):
    """Charges (gate, drain, source), their derivatives over vgs, over vds.

    `moves`: behind the current's two numbers, scale, offset and capacitances of the sample.
    """
    g, tg = _centre(gs + moves[3], grid[6], grid[7], dim[3])
    d, td = _centre(ds, grid[8], grid[9], dim[4])
    c, a, b = moves[2], moves[2] * grid[7], moves[2] * grid[9]
    x = charge2(tab, at + 4 * (g * dim[4] + d), 4 * dim[4], tg, td)
    over, below = moves[4], moves[5]
    return (
        c * x[0] + over * (gs + gs - ds),
        c * x[1] + over * (ds - gs) + below * ds,
        c * x[2] - over * gs,
        a * x[3] + 2.0 * over,
        a * x[4] - over,
        a * x[5] - over,
        b * x[6] - over,
        b * x[7] + over + below,
        b * x[8],
    )


@_jit
def free_charge(gs, ds, sb, tab, at, grid, dim, moves):
    """Charges (gate, drain, source), their derivatives over vgs, over vds, over vsb."""
    g, tg = _centre(gs + moves[3], grid[6], grid[7], dim[3])
    d, td = _centre(ds, grid[8], grid[9], dim[4])
    s, ts = _centre(sb, grid[10], grid[11], dim[5])
    c, a, b, e = moves[2], moves[2] * grid[7], moves[2] * grid[9], moves[2] * grid[11]
    start = at + 4 * ((s * dim[3] + g) * dim[4] + d)
    x = charge3(tab, start, 4 * dim[3] * dim[4], 4 * dim[4], ts, tg, td)
    over, below = moves[4], moves[5]
    return (
        c * x[0] + over * (gs + gs - ds),
        c * x[1] + over * (ds - gs) + below * (ds + sb),
        c * x[2] - over * gs + below * sb,
        a * x[3] + 2.0 * over,
        a * x[4] - over,
        a * x[5] - over,
        b * x[6] - over,
        b * x[7] + over + below,
        b * x[8],
        e * x[9],
        e * x[10] + below,
        e * x[11] + below,
    )
