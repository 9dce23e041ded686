"""What the batch engine does not solve, it says; what the circuit decides, it follows."""

from dataclasses import replace

import numpy as np
import pytest

from rramsim.circuits import Column, ReadOut, SenseConditions, sense_circuit
from rramsim.engines import BatchEngine, NgspiceEngine, SenseSamples
from rramsim.exceptions import InputError

AT = SenseConditions(vdd_v=1.2)
ONE = SenseSamples.nominal(10e3, 350e3)


def test_noise_and_other_read_outs_are_for_ngspice(pcsa, sky130):
    with pytest.raises(InputError, match="senses without noise; use ngspice"):
        BatchEngine().sense(pcsa, AT, replace(ONE, noise_v=np.zeros(1)))
    product = sense_circuit(process=sky130, read_out=ReadOut(name="gxnor"))
    with pytest.raises(InputError, match=r"'gxnor'.*use ngspice"):
        BatchEngine().sense(product, AT, ONE)


def test_the_read_threshold_is_the_circuits(sky130):
    high = sense_circuit(process=sky130, column=Column(threshold=0.75))
    half = sense_circuit(process=sky130)
    times = {}
    for name, circuit in (("high", high), ("half", half)):
        for engine in (NgspiceEngine(), BatchEngine()):
            found = engine.sense(circuit, AT, ONE).resolve_time_s[0]
            times[name, type(engine).__name__] = found
    for name in ("high", "half"):
        assert times[name, "BatchEngine"] == pytest.approx(times[name, "NgspiceEngine"], rel=0.02)
    assert times["high", "BatchEngine"] < 0.9 * times["half", "BatchEngine"]
