"""What tests of several rooms share: the process, the circuit, and torch on one thread."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

from rramsim.circuits import SenseCircuit, sense_circuit
from rramsim.processes import Process, load_process

# Machines under load are no reason to fail: examples have no time limit.
settings.register_profile("rramsim", deadline=None)
settings.load_profile("rramsim")


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Networks this small are slower on several threads, and far slower beside others."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def sky130() -> Process:
    return load_process("sky130-5v")


@pytest.fixture(scope="session")
def pcsa(sky130: Process) -> SenseCircuit:
    return sense_circuit(process=sky130)
