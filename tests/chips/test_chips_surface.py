"""Reads of chips where no surface serves: near the lowest supply the engine itself decides."""

import numpy as np
import pytest
from scipy import stats

from rramsim.chips import Chip, ChipModel, EngineReads, ReadSurface, fit_surface, read_decision
from rramsim.circuits import SenseConditions
from rramsim.engines import BatchEngine, SenseSamples
from rramsim.exceptions import InputError

WEIGHTS = {"fc": np.random.default_rng(2).choice([-1, 1], (150, 40)).astype(np.int8)}


@pytest.mark.parametrize(("vdd_v", "lost"), [(0.95, (0.4, 0.65)), (0.97, (0.05, 0.1))])
def test_near_the_lowest_supply_chips_lose_what_the_engine_loses(
    circuit, engine, statistics, vdd_v, lost
):
    """6,000 synapses of a chip, an amplifier each, against 6,000 fresh senses that no chip drew."""
    conditions = SenseConditions(vdd_v=vdd_v)
    reads = read_decision(engine, circuit, conditions, statistics.resistances, points=600)
    assert isinstance(reads, EngineReads) and "\n" not in reads.why
    model = ChipModel(circuit=circuit, statistics=statistics, amplifiers="own")
    chip = Chip(model, WEIGHTS, seed=4)
    read = chip.read(reads)
    counts = read.statistics.counts
    assert counts.sum() == WEIGHTS["fc"].size and not counts[:, 3].any()
    rng = np.random.default_rng(8)
    bl, blb = statistics.resistances.draw(1, 6000, rng)
    fresh = engine.sense(
        circuit,
        conditions,
        SenseSamples(
            r_bl_ohm=bl, r_blb_ohm=blb, mismatch=rng.standard_normal((6000, len(chip.sites)))
        ),
    )
    of_chip, of_engine = int(counts[[0, 2], 1].sum()), int((fresh.read == 0).sum())
    assert lost[0] < of_chip / 6000 < lost[1]
    table = [[of_chip, 6000 - of_chip], [of_engine, 6000 - of_engine]]
    assert stats.chi2_contingency(table).pvalue > 1e-3
    # And each read is the sense of that synapse.
    some = slice(0, 900)
    again = engine.sense(
        circuit,
        conditions,
        SenseSamples(
            r_bl_ohm=np.exp(chip.resistances_ln("fc")[0].ravel()[some].astype(float)),
            r_blb_ohm=np.exp(chip.resistances_ln("fc")[1].ravel()[some].astype(float)),
            mismatch=chip.mismatch("fc").reshape(6000, -1)[some].astype(float),
        ),
    )
    assert np.array_equal(again.read, read.weights["fc"].ravel()[some])


def test_a_surface_serves_where_it_reads_fresh_synapses_as_the_engine(circuit, engine, statistics):
    reads = read_decision(
        engine, circuit, SenseConditions(vdd_v=1.2), statistics.resistances, points=600
    )
    assert isinstance(reads, ReadSurface) and 0 <= reads.otherwise <= 0.005


def test_a_surface_that_reads_otherwise_is_not_used(circuit, engine, statistics):
    """0.98 V: most synapses resolve, so that a surface can be fitted, but not well enough."""
    conditions = SenseConditions(vdd_v=0.98)
    assert isinstance(fit_surface(engine, circuit, conditions, points=400), ReadSurface)
    reads = read_decision(engine, circuit, conditions, statistics.resistances, points=400)
    assert isinstance(reads, EngineReads)
    assert "of 6000 fresh reads otherwise than the engine, at most 0.5 %" in reads.why


def test_a_supply_at_which_nothing_resolves_is_an_outcome(circuit, statistics):
    conditions = SenseConditions(vdd_v=0.9, window_s=5e-9)
    reads = read_decision(BatchEngine(), circuit, conditions, statistics.resistances, points=400)
    chip = Chip(ChipModel(circuit=circuit, statistics=statistics), WEIGHTS, seed=1)
    assert (chip.read(reads).weights["fc"] == 0).mean() > 0.9
    with pytest.raises(InputError, match=r"resolve|is read as") as caught:
        fit_surface(BatchEngine(), circuit, conditions, points=400)
    assert "\n" not in str(caught.value)


def test_unconverged_senses_are_counted_and_read_as_zero(circuit, engine, statistics):
    """An engine that finds no waveform of every third sense; the others are the real ones."""

    class Flaky:
        name = "flaky"

        def sense(self, circuit, conditions, samples, *, waveforms=False):
            found = engine.sense(circuit, conditions, samples)
            found.converged[::3] = False
            return found

    reads = EngineReads(
        engine=Flaky(), circuit=circuit, conditions=SenseConditions(vdd_v=1.2), why=""
    )
    read = Chip(ChipModel(circuit=circuit, statistics=statistics), WEIGHTS, seed=1).read(reads)
    assert read.statistics.counts[:, 3].sum() == 2000
    assert (read.weights["fc"].ravel()[::3] == 0).all()
    assert (read.weights["fc"] == WEIGHTS["fc"]).mean() > 0.6
