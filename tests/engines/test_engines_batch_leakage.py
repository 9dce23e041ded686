"""Rows that leak are hundreds of transistors in parallel: one table, that many times."""

import numpy as np

from rramsim.circuits import Column, SenseConditions, sense_circuit
from rramsim.engines import BatchEngine, NgspiceEngine, SenseSamples
from rramsim.processes import load_process


def test_a_column_that_leaks_reads_as_in_ngspice():
    at = SenseConditions(vdd_v=1.2, temperature_c=85, corner="ff")
    samples = SenseSamples.nominal(10e3, 350e3)
    found = {}
    for leakage in (False, True):
        circuit = sense_circuit(
            process=load_process("sky130-5v"), column=Column(leakage=leakage, neighbour_ohm=1e3)
        )
        ours = BatchEngine().sense(circuit, at, samples)
        reference = NgspiceEngine().sense(circuit, at, samples)
        assert ours.read == reference.read == 1
        np.testing.assert_allclose(ours.resolve_time_s, reference.resolve_time_s, rtol=0.01)
        np.testing.assert_allclose(ours.energy_j, reference.energy_j, rtol=0.01)
        found[leakage] = float(reference.resolve_time_s[0])
    assert found[True] != found[False]
