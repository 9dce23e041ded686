"""Engines and tasks with which the tests of campaigns provoke what a solver may do to a worker."""

import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rramsim.circuits import Column, SenseConditions, sense_circuit
from rramsim.counting import SenseTask
from rramsim.devices import LogNormal, ResistanceModel
from rramsim.engines import NgspiceEngine, SenseOutcome
from rramsim.processes import load_process

RESISTANCES = ResistanceModel(
    lrs=LogNormal(median_ohm=10e3, sigma_ln=0.22), hrs=LogNormal(median_ohm=370e3, sigma_ln=1.0)
)
# A read that ngspice does four times as fast as the default one: precharge and recharge are
# short and the steps coarse. Its counts are of no interest but for being the same each time.
FAST_COLUMN = Column(precharge_s=60e-9)
FAST_NGSPICE = NgspiceEngine(max_step_s=10e-9, reltol=1e-3, trtol=7.0)


@dataclass(frozen=True, kw_only=True)
class RuleEngine:
    """Reads by a rule of the resistances alone, and misbehaves on chunks that begin so.

    `folder` holds a file for each misbehaviour that happened; one happens `times` times. The
    chunk that misbehaves is that whose first r_bl_ohm is the smallest of those above `above_ohm`
    in the campaign, that is, those in `victims`.
    """

    act: str = ""
    victims: tuple[float, ...] = ()
    folder: str = ""
    times: int = 1
    pause_s: float = 0.0
    converges: bool = True
    name: str = field(default="rule")

    def sense(self, circuit, conditions, samples, *, waveforms=False):
        time.sleep(self.pause_s)
        if any(np.isclose(samples.r_bl_ohm[0], victim, rtol=1e-12) for victim in self.victims):
            self._misbehave()
        ratio = np.log(samples.r_blb_ohm / samples.r_bl_ohm)
        read = np.where(np.abs(ratio) > 1.0, np.sign(ratio), 0).astype(np.int8)
        energy_j = 1e-13 * (1 + np.abs(ratio))
        return SenseOutcome(
            read=read,
            resolve_time_s=np.where(read == 0, np.nan, 1e-8),
            margin_v=ratio,
            energy_j=energy_j,
            clock_energy_j=energy_j / 4,
            word_line_energy_j=energy_j / 4,
            converged=np.full(len(read), self.converges),
        )

    def _misbehave(self):
        done = len(list(Path(self.folder).iterdir()))
        if done >= self.times:
            return
        (Path(self.folder) / f"{self.act}-{done}").touch()
        if self.act == "hang":
            time.sleep(3600)
        else:
            os.kill(os.getpid(), signal.SIGKILL)


def task(engine, *, written=0, vdd_v=1.2, seed=1, column=FAST_COLUMN, resistances=RESISTANCES):
    return SenseTask(
        circuit=sense_circuit(process=load_process("sky130-5v"), column=column),
        conditions=SenseConditions(vdd_v=vdd_v),
        resistances=resistances,
        written=written,
        seed=seed,
        engine=engine,
    )
