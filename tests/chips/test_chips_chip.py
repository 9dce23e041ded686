from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from rramsim.chips import ArrayShape, Chip, ChipModel, Verify, fit_surface
from rramsim.circuits import SenseConditions
from rramsim.devices import Persistence, Retention
from rramsim.engines import SenseSamples
from rramsim.exceptions import InputError

WEIGHTS = {
    "conv": np.random.default_rng(0).integers(-1, 2, (40, 16, 3, 3)).astype(np.int8),
    "fc": np.random.default_rng(1).integers(-1, 2, (30, 500)).astype(np.int8),
}
ZEROS = {"fc": np.zeros((64, 32 * 40), dtype=np.int8)}


@pytest.fixture
def model(circuit, statistics):
    return ChipModel(circuit=circuit, statistics=statistics)


def test_a_chips_reads_are_the_engines(model, surface, circuit, engine, conditions):
    """Its own reads of its own devices, the parameters that the surface leaves out included."""
    chip = Chip(model, WEIGHTS, seed=3)
    read = chip.read(surface)
    bl, blb = chip.resistances_ln("fc")
    chosen = np.random.default_rng(0).choice(bl.size, 4000, replace=False)
    outcome = engine.sense(
        circuit,
        conditions,
        SenseSamples(
            r_bl_ohm=np.exp(bl.ravel()[chosen].astype(float)),
            r_blb_ohm=np.exp(blb.ravel()[chosen].astype(float)),
            mismatch=chip.mismatch("fc").reshape(bl.size, -1)[chosen].astype(float),
        ),
    )
    agree = outcome.read == read.weights["fc"].ravel()[chosen]
    assert agree.mean() >= 0.998  # 800 points; docs/chips.md has the figure for 1,600
    assert len(np.unique(outcome.read)) == 3


def test_surface_decides_samples_as_a_chip_does(model, surface):
    chip = Chip(model, WEIGHTS, seed=3)
    bl, blb = chip.resistances_ln("conv")
    z = chip.mismatch("conv")
    used = [*chip._columns, *chip._access_sites()]
    rest = [i for i in range(z.shape[-1]) if i not in used]
    z[..., rest] = 0.0
    flat = surface.read(
        np.exp(bl.ravel().astype(float)),
        np.exp(blb.ravel().astype(float)),
        z.reshape(bl.size, -1).astype(float),
    )
    assert (flat == chip.read(surface).weights["conv"].ravel()).mean() > 0.9999


def test_mirroring_a_synapse_mirrors_its_read(surface, statistics):
    rng = np.random.default_rng(0)
    bl, blb = statistics.resistances.draw(0, 5000, rng)
    z = rng.standard_normal((5000, len(surface.mirror)))
    there = surface.read(bl, blb, z)
    back = surface.read(blb, bl, z[:, surface.mirror])
    assert np.array_equal(there, -back) and len(np.unique(there)) == 3


def test_the_residual_is_small_beside_the_mismatch(surface):
    from rramsim.chips.surface import spread_ln

    assert 0 < surface.residual_ln < 0.25 * spread_ln(surface, np.log(500e3))
    assert surface.senses < 20 * 800


def test_a_window_that_reads_nothing_is_refused(circuit, engine):
    with pytest.raises(InputError, match="raise the supply or the window"):
        fit_surface(engine, circuit, SenseConditions(vdd_v=0.9, window_s=5e-9), points=400)


def test_a_chip_is_its_seed_and_index(model, surface):
    first, same, other = (Chip(model, WEIGHTS, seed=3, index=i).read(surface) for i in (0, 0, 1))
    assert all(np.array_equal(first.weights[n], same.weights[n]) for n in WEIGHTS)
    assert not np.array_equal(first.weights["fc"], other.weights["fc"])
    assert first.statistics == same.statistics
    assert first.statistics.counts.sum() == sum(w.size for w in WEIGHTS.values())


def test_frozen_devices_read_the_same_until_noise_or_redrawing(model, surface):
    def differ(chip):
        a, b = (chip.read(surface, number=n).weights["fc"] for n in (0, 1))
        return int((a != b).sum())

    assert differ(Chip(model, ZEROS, seed=1)) == 0
    noisy = differ(Chip(replace(model, read_noise_ln=0.05), ZEROS, seed=1))
    redrawn = differ(Chip(replace(model, devices="redrawn"), ZEROS, seed=1))
    assert 0 < noisy < redrawn


def test_shared_amplifiers_tie_a_columns_errors_at_the_same_mean_rate(circuit, statistics, surface):
    """Errors of a column scatter more than independent ones; the mean over chips stays."""
    spread = replace(
        statistics,
        resistances=replace(
            statistics.resistances, hrs=replace(statistics.resistances.hrs, sigma_ln=0.0)
        ),
    )
    # HRS of one value at the boundary: what is read is decided by the amplifier alone.
    edge = float(np.exp(surface.critical_ln(np.log([130e3]), np.zeros((1, 27)))[0]))
    spread = replace(
        spread, resistances=replace(spread.resistances, hrs=spread.resistances.hrs.scaled(edge))
    )
    dispersion, rates = {}, {}
    for amplifiers in ("shared", "own"):
        model = ChipModel(circuit=circuit, statistics=spread, amplifiers=amplifiers)
        wrong = np.concatenate(
            [
                (Chip(model, ZEROS, seed=2, index=i).read(surface).weights["fc"] != 0)
                .reshape(64, 40, 32)
                .sum(axis=2)
                .ravel()
                for i in range(2)
            ]
        )
        rates[amplifiers] = wrong.mean() / 32
        p = rates[amplifiers]
        dispersion[amplifiers] = wrong.var() / (32 * p * (1 - p))
    assert dispersion["own"] == pytest.approx(1.0, abs=0.15)
    assert dispersion["shared"] > 5
    # Each column counts once: 5,120 of them, so the rates agree within 5 deviations.
    assert abs(rates["shared"] - rates["own"]) < 5 * np.sqrt(0.25 / 5120)


def test_unresolved_binary_reads_take_a_random_sign(circuit, statistics, surface):
    weights = {"fc": np.random.default_rng(0).choice([-1, 1], (40, 900)).astype(np.int8)}
    high = replace(statistics.resistances, lrs=statistics.resistances.lrs.scaled(120e3))
    model = ChipModel(circuit=circuit, statistics=replace(statistics, resistances=high))
    ternary = Chip(model, weights, seed=1).read(surface)
    binary = Chip(model, weights, seed=1, binary=frozenset({"fc"})).read(surface)
    open_ = ternary.weights["fc"] == 0
    assert open_.mean() > 0.1
    assert np.array_equal(binary.weights["fc"][~open_], ternary.weights["fc"][~open_])
    signs = binary.weights["fc"][open_]
    assert set(np.unique(signs)) == {-1, 1}
    assert stats.binomtest(int((signs > 0).sum()), signs.size).pvalue > 1e-6
    assert binary.statistics == ternary.statistics


def test_verify_writes_again_what_is_out_of_band(circuit, statistics, surface):
    verify = Verify(lrs_max_ohm=20e3, hrs_min_ohm=200e3, max_writes=20)
    free = ChipModel(circuit=circuit, statistics=statistics, verify=verify)
    chip = Chip(free, WEIGHTS, seed=1)
    plain = Chip(replace(free, verify=None), WEIGHTS, seed=1)
    devices = 2 * chip.mapping.synapses
    assert plain.writes == devices
    # Without a cell's part each write fails with the probability of the first.
    ones = sum(int((w != 0).sum()) for w in WEIGHTS.values())
    p_low = stats.norm.sf(np.log(20e3 / 10e3) / 0.22)
    p_high = stats.norm.cdf(np.log(200e3 / 630e3) / 1.0)
    rewrites = ones * p_low / (1 - p_low) + (devices - ones) * p_high / (1 - p_high)
    assert chip.writes - devices == pytest.approx(rewrites, rel=0.05)
    assert chip.failed == 0
    assert chip.read(surface).statistics.type3.value < plain.read(surface).statistics.type3.value
    sticky = replace(statistics, hrs=Persistence(cell_share=0.9))
    stuck = Chip(replace(free, statistics=sticky), WEIGHTS, seed=1)
    assert stuck.failed > 0 and stuck.writes > chip.writes


def test_age_moves_devices_along_their_own_direction(circuit, statistics, surface):
    model = ChipModel(circuit=circuit, statistics=statistics, retention=Retention())
    chip = Chip(model, ZEROS, seed=1)
    fresh, day, year = (chip.resistances_ln("fc", age_s=t)[0] for t in (0.0, 86400.0, 3.15e7))
    early, late = (day - fresh).ravel(), (year - fresh).ravel()
    assert np.corrcoef(early, late)[0, 1] > 0.999
    assert early.std() == pytest.approx(0.1 * np.sqrt(np.log10(86401)), rel=0.02)
    assert late.std() > early.std()
    again = chip.resistances_ln("fc", age_s=86400.0)[0]
    assert np.array_equal(day, again)
    assert chip.read(surface, age_s=3.15e7).statistics != chip.read(surface).statistics


def test_what_is_no_chip_is_refused(circuit, statistics, surface):
    model = ChipModel(circuit=circuit, statistics=statistics)
    with pytest.raises(InputError, match="the chip model has no retention"):
        Chip(model, ZEROS, seed=0).read(surface, age_s=1.0)
    with pytest.raises(InputError, match="the circuit's column has 32 rows"):
        ChipModel(circuit=circuit, statistics=statistics, array=ArrayShape(rows=64))
    with pytest.raises(InputError, match="devices = 'warm'"):
        replace(model, devices="warm")
    with pytest.raises(InputError, match="read_noise_ln = -1"):
        replace(model, read_noise_ln=-1.0)
    with pytest.raises(InputError, match="must be -1, 0 or"):
        Chip(model, {"a": np.full((2, 2), 3, np.int8)}, seed=0)
    with pytest.raises(InputError, match="lrs_max_ohm = 20000"):
        Verify(lrs_max_ohm=20e3, hrs_min_ohm=10e3)
