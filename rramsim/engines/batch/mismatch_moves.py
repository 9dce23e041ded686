"""What a sample's mismatch does to its transistors, from their tables' polynomials; compiled."""

# mypy: allow-untyped-defs, allow-incomplete-defs

import math

from numba import njit

from rramsim.engines.batch.layout import Frame, Move

__all__ = ["mismatch"]

OUTER, INNER = int(Frame.OUTER_INVERSE), int(Frame.INNER_INVERSE)
CURRENT, TILT, BODY, BEND, CHARGE, GATE, DRAIN, SOURCE, BOW = (4 * int(row) for row in Move)


@njit(nogil=True, error_model="numpy")
def mismatch(
    sample, frame, body, deviates, site_of, powers, power_of, shift, whole, par, moves, values,
):  # fmt: skip
    """Write a sample's `par` (its shift splines) and `moves` (rows of `layout.Move`).

    `deviates` (samples, sites); transistor k's are those from `site_of[k]` on. Its shift is the
    polynomial with the exponents `powers[power_of[k]:power_of[k + 1]]`; `whole` (terms, 15) are
    those of its log gain, tilt, bow, lean and of what moves its charges (see `DeviceTable`).
    `values` is scratch for these.
    """
    over_z = frame[OUTER, 0]
    # Of a value and its derivatives over vgs, vds, vsb, which the splines give per grid step.
    current = (1.0, frame[INNER, 0], frame[OUTER, 1], frame[OUTER, 2])
    charge = (1.0, frame[INNER, 1], frame[INNER, 2], frame[INNER, 3])
    for k in range(par.shape[0]):
        for p in range(par.shape[1]):
            par[k, p] = 0.0
        for p in range(moves.shape[1]):
            moves[k, p] = 0.0
        for column in range(whole.shape[1]):
            values[column] = 0.0
        if deviates.shape[1] > 0:
            for term in range(power_of[k], power_of[k + 1]):
                value = 1.0
                for parameter in range(powers.shape[1]):
                    x = 1.0
                    if powers[term, parameter] > 0:
                        x = deviates[sample, site_of[k] + parameter]
                    for _ in range(powers[term, parameter]):
                        value *= x
                for column in range(whole.shape[1]):
                    values[column] += value * whole[term, column]
                for p in range(par.shape[1]):
                    par[k, p] += value * shift[term, p]
        for lane in range(4):
            moves[k, CURRENT + lane] = math.exp(values[0]) * current[lane]
            moves[k, CHARGE + lane] = math.exp(values[4]) * charge[lane]
        moves[k, TILT] = values[1]
        moves[k, BOW] = values[2]
        moves[k, BOW + 1] = values[3]
        moves[k, TILT + 1] = values[5]
        moves[k, BODY] = -body[k]
        moves[k, BEND + 1] = over_z
        moves[k, BEND + 3] = -body[k] * over_z
        # Linear capacitors: charges of (gate, drain, source) per volt of vgs, of vds, of vsb.
        for lane in range(3):
            moves[k, GATE + lane] = values[6 + lane]
            moves[k, DRAIN + lane] = values[9 + lane]
            moves[k, SOURCE + lane] = values[12 + lane]
