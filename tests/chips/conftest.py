import pytest

from rramsim.chips import ReadSurface, fit_surface
from rramsim.circuits import SenseCircuit, SenseConditions, sense_circuit
from rramsim.devices import DeviceStatistics, LogNormal, ResistanceModel
from rramsim.engines import BatchEngine
from rramsim.processes import load_process


@pytest.fixture(scope="session")
def conditions() -> SenseConditions:
    return SenseConditions(vdd_v=1.2)


@pytest.fixture(scope="session")
def circuit() -> SenseCircuit:
    return sense_circuit(process=load_process("sky130-5v"))


@pytest.fixture(scope="session")
def engine() -> BatchEngine:
    return BatchEngine()


@pytest.fixture(scope="session")
def surface(circuit, engine, conditions) -> ReadSurface:
    """A surface of few points: what the tests check holds for it too, if less closely."""
    return fit_surface(engine, circuit, conditions, points=800)


@pytest.fixture(scope="session")
def statistics() -> DeviceStatistics:
    return DeviceStatistics(
        resistances=ResistanceModel(
            lrs=LogNormal(median_ohm=10e3, sigma_ln=0.22),
            hrs=LogNormal(median_ohm=630e3, sigma_ln=1.0),
        )
    )
