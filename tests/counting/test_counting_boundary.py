"""The 0 boundary: on an amplifier with a known one, and against ngspice."""

from dataclasses import dataclass

import numpy as np
import pytest

from rramsim.circuits import SenseConditions, sense_circuit
from rramsim.counting import ZeroBoundary, zero_boundary
from rramsim.counting.boundary import LARGEST_OHM
from rramsim.engines import BatchEngine, NgspiceEngine, SenseOutcome, SenseSamples
from rramsim.exceptions import InputError
from rramsim.processes import load_process

CIRCUIT = sense_circuit(process=load_process("sky130-5v"))
CONDITIONS = SenseConditions(vdd_v=1.2)


@dataclass(frozen=True)
class KnownBoundary:
    """Reads 0 from 50 kohm * exp(0.3 * z) on, z the first mismatch deviate: median 50 kohm."""

    name: str = "known boundary"

    def sense(self, circuit, conditions, samples, *, waveforms=False):
        del circuit, conditions, waveforms
        zero = samples.r_bl_ohm >= 50e3 * np.exp(0.3 * samples.mismatch[:, 0])
        none = np.full(len(samples), np.nan)
        return SenseOutcome(
            read=np.where(zero, 0, 1).astype(np.int8),
            resolve_time_s=none,
            margin_v=none,
            energy_j=none,
            clock_energy_j=none,
            word_line_energy_j=none,
            converged=samples.mismatch[:, 1] < 3.5,
        )


def test_quantiles_cover_a_known_boundary():
    covered = 0
    for seed in range(60):
        found = zero_boundary(CIRCUIT, CONDITIONS, KnownBoundary(), draws=200, seed=seed)
        value, low, high = found.quantile(0.5)
        assert low <= value <= high
        covered += low <= 50e3 <= high
        # 84.1 % of the draws lie below one deviation above the median.
        assert found.quantile(0.841)[0] == pytest.approx(50e3 * np.exp(0.3), rel=0.15)
        assert found.unconverged + len(found.resistance_ohm) == 200
    # 95 % intervals; 50 of 60 or fewer would be a chance of 1e-4.
    assert covered > 50


def test_outside_the_bracket_is_told_as_that():
    boundary = ZeroBoundary(conditions=CONDITIONS, resistance_ohm=np.array([0.0, 1e4, np.inf]))
    assert boundary.share_reading_zero(1e9).events == 2
    assert boundary.quantile(0.9)[0] == np.inf
    with pytest.raises(InputError, match="share = 1"):
        boundary.quantile(1.0)
    with pytest.raises(InputError, match="draws = 1"):
        zero_boundary(CIRCUIT, CONDITIONS, BatchEngine(), draws=1)


def test_ngspice_reads_either_side_of_the_boundary_and_it_rises_with_the_supply():
    draws = 8
    found = zero_boundary(CIRCUIT, CONDITIONS, BatchEngine(), draws=draws, seed=3)
    middle = found.resistance_ohm[(found.resistance_ohm > 0) & np.isfinite(found.resistance_ohm)]
    assert len(middle) >= draws - 2
    sites = len(CIRCUIT.mismatch_sites("tt"))
    mismatch = np.random.default_rng(np.random.SeedSequence([3, 0xB0])).standard_normal(
        (draws, sites)
    )
    for factor, zero in ((1.15 * middle.max(), True), (0.85 * middle.min(), False)):
        resistance = np.full(draws, factor)
        read = (
            NgspiceEngine()
            .sense(
                CIRCUIT,
                CONDITIONS,
                SenseSamples(r_bl_ohm=resistance, r_blb_ohm=resistance, mismatch=mismatch),
            )
            .read
        )
        assert ((read == 0) == zero).all()
    higher = zero_boundary(CIRCUIT, SenseConditions(vdd_v=1.3), BatchEngine(), draws=draws, seed=3)
    assert higher.quantile(0.5)[0] > found.quantile(0.5)[0] + 10e3
    assert higher.resistance_ohm.max() < LARGEST_OHM
