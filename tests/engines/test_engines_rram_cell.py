"""The solver of pulses against ngspice, on the same 1T1R cell."""

import numpy as np
import pytest

from rramsim.devices.filament import SKY130_RERAM, Pulse, SeriesElement, apply_pulse
from rramsim.engines import AccessTransistor, access_transistor_table, apply_pulse_in_ngspice
from rramsim.exceptions import InputError
from rramsim.processes import load_process

MODEL = SKY130_RERAM
LEVELS = (1.7, 2.5, 3.5)


@pytest.fixture(scope="module")
def cell():
    transistor = AccessTransistor(process=load_process("sky130-5v"))
    return transistor, access_transistor_table(transistor, LEVELS)


def test_table_is_a_transistor(cell):
    _, table = cell
    current = table.table_a
    assert current.shape == (3, 141, 141)
    # No current without a voltage across it, and the other way round when it is turned about.
    assert np.abs(np.diagonal(current, axis1=1, axis2=2)).max() < 1e-8
    assert current[:, 120, 0] == pytest.approx(-current[:, 0, 120], rel=0.01)
    assert (np.diff(current[:, :, 0], axis=1) > -1e-12).all()
    assert (np.diff(current[:, 120, 0]) > 0).all()
    assert 1e-15 < table.inner_f < 5e-15


# (start, pulse, word line): forming, SET, RESET that stops half way, full RESET, a disturb.
PULSES = [
    (MODEL.pristine_m, Pulse(bl_v=2.6), 1.7),
    (MODEL.shortest_m, Pulse(bl_v=2.2), 1.7),
    (MODEL.shortest_m, Pulse(bl_v=2.4), 2.5),
    (4.85e-9, Pulse(sl_v=1.8), 3.5),
    (4.85e-9, Pulse(sl_v=2.6), 3.5),
    (4.85e-9, Pulse(sl_v=2.6), 2.5),
    (4.3e-9, Pulse(bl_v=0.6), 3.5),
]


@pytest.mark.parametrize(("start", "pulse", "word_line_v"), PULSES)
def test_both_forms_agree_on_a_1t1r_cell(cell, start, pulse, word_line_v):
    transistor, table = cell
    ours = apply_pulse([start], pulse, series=table, level=table.level(word_line_v))
    theirs = apply_pulse_in_ngspice([start], pulse, word_line_v=word_line_v, transistor=transistor)
    ohm, expected = MODEL.resistance_ohm(ours.filament_m), MODEL.resistance_ohm(theirs.filament_m)
    assert ohm == pytest.approx(expected, rel=2e-3)
    assert ours.energy_j == pytest.approx(theirs.energy_j, rel=5e-3)
    # The table knows one capacitance of the transistor, which an overshoot of picoseconds shows.
    assert ours.peak_a == pytest.approx(theirs.peak_a, rel=0.15)


def test_both_forms_agree_on_a_resistor_all_along_the_pulse():
    series = SeriesElement(resistance_ohm=2e3)
    pulse = Pulse(sl_v=1.8)
    ours = apply_pulse([4.85e-9], pulse, series=series, samples=400)
    theirs = apply_pulse_in_ngspice([4.85e-9], pulse, word_line_v=0, series=series, samples=400)
    for name, scale in (("filament_m", 1.6e-9), ("inner_v", 1.8), ("current_a", 3e-4)):
        difference = getattr(ours.waveforms, name) - getattr(theirs.waveforms, name)
        assert np.abs(difference).max() < 0.02 * scale, name
    assert ours.waveforms.temperature_k == pytest.approx(theirs.waveforms.temperature_k, abs=5)


def test_what_the_transistor_cannot_be_is_refused(cell):
    transistor, table = cell
    with pytest.raises(InputError, match="word_line_v = 9"):
        access_transistor_table(transistor, (9.0,))
    with pytest.raises(InputError, match="no card of"):
        access_transistor_table(AccessTransistor(process=transistor.process, width_m=80e-6), (1.7,))
    with pytest.raises(InputError, match=r"table ends at 3\.5 V"):
        apply_pulse([4e-9], Pulse(bl_v=4.0), series=table)
    with pytest.raises(InputError, match=r"table ends at 3\.5 V"):
        apply_pulse([4e-9], Pulse(bl_v=-1.0), series=table)
