"""A circuit, its devices, and senses of it: one, or many with every sample's values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rramsim.circuits import Column, ReadOut, SenseCircuit, SenseConditions, sense_circuit
from rramsim.engines import NgspiceEngine, SenseEngine, SenseSamples, Waveforms
from rramsim.exceptions import InputError, MachineError
from rramsim.processes import Process, load_process, load_process_folder

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

    from rramsim.devices import ResistanceModel

__all__ = ["Engine", "Sense", "circuit", "make_engine", "resistances", "sense", "senses"]

Engine = Literal["ngspice", "batch"] | SenseEngine
"""ngspice, the reference; batch, hundreds of times faster; or an engine with its own settings."""


def circuit(
    *,
    process: str | Path | Process = "sky130-5v",
    netlist: str | Path | None = None,
    column: Column | None = None,
    read_out: str = ReadOut.name,
) -> SenseCircuit:
    """The read of a 2T2R synapse by a sense amplifier.

    `process`: a name that rramsim knows, a folder with a process.toml, or a `Process`. `netlist`: a
    SPICE file with a `.subckt pcsa` of your own (pins q qb bl blb sl sen vdd vss). `column`: what
    loads the bit lines, and the clocking. `read_out`: pcsa, pcsa_xnor, gxnor or column. Raises
    `InputError` of one line for what cannot be read.

    >>> import rramsim as rs
    >>> rs.circuit().process.name
    'sky130-5v'
    """
    if isinstance(process, Path):
        process = load_process_folder(process)
    return sense_circuit(
        process=load_process(process) if isinstance(process, str) else process,
        column=column,
        netlist=None if netlist is None else Path(netlist),
        read_out=ReadOut(name=read_out),  # type: ignore[arg-type]
    )


def resistances(
    *,
    lrs_median_ohm: float | None = None,
    lrs_sigma_ln: float | None = None,
    hrs_median_ohm: float | None = None,
    hrs_sigma_ln: float | None = None,
    measurements: str | Path | None = None,
    kind: Literal["best", "lognormal", "skewed", "empirical"] = "best",
) -> "ResistanceModel":
    """The resistances of the two states: log-normal by medians and deviations, or fitted.

    `lrs_sigma_ln` and `hrs_sigma_ln` are standard deviations of ln R; what is left out is as in
    `ResistanceModel()`. `measurements`: a table of
    measured resistances (CSV or Parquet, see docs/devices.md), fitted with a family of `kind`;
    medians and deviations are then not used. Raises `InputError` for a table that cannot be read,
    or states out of order.

    >>> import rramsim as rs
    >>> rs.resistances(hrs_median_ohm=350e3).nominal(1)
    (10000.0, 350000.0)
    """
    if measurements is not None:
        from rramsim.devices import fit_devices, read_measurements

        return fit_devices(read_measurements(Path(measurements))).statistics(kind).resistances
    from rramsim.devices import ResistanceModel

    return ResistanceModel.lognormal(
        lrs_median_ohm=lrs_median_ohm,
        lrs_sigma_ln=lrs_sigma_ln,
        hrs_median_ohm=hrs_median_ohm,
        hrs_sigma_ln=hrs_sigma_ln,
    )


def make_engine(engine: Engine) -> SenseEngine:
    """The engine of a name, with its default settings; an engine as it is."""
    if engine == "ngspice":
        return NgspiceEngine()
    if not isinstance(engine, str):
        return engine
    from rramsim.engines import BatchEngine  # heavy: loaded where it is needed

    return BatchEngine()


@dataclass(frozen=True, kw_only=True)
class Sense:
    """One sense: what was read, how fast, at what energy.

    `resolve_time_s` is None where the amplifier did not resolve within the window; `margin_v` is
    v(QB) - v(Q) at its end. `energy_j` is the full cycle's, clock and word line included.
    `measures` are the values of the netlist's `.measure` lines, None where there is none.
    """

    read: int
    resolve_time_s: float | None
    margin_v: float
    energy_j: float
    clock_energy_j: float
    word_line_energy_j: float
    engine: str
    conditions: SenseConditions
    measures: Mapping[str, float | None] = field(default_factory=dict)
    waveforms: Waveforms | None = None

    def __str__(self) -> str:
        when = "not resolved" if self.resolve_time_s is None else f"{self.resolve_time_s * 1e9:.3g}"
        after = when if self.resolve_time_s is None else f"after {when} ns"
        return (
            f"read {self.read:+d} {after}, {self.energy_j * 1e15:.4g} fJ "
            f"({self.conditions.label}, {self.engine})"
        )

    def to_pandas(self) -> "pd.Series[float]":
        """The numbers as a series, by name."""
        import pandas as pd

        return pd.Series(self.numbers(), dtype=float)

    def numbers(self) -> dict[str, float | None]:
        """What was read, when, with which margin, at which energies, by name."""
        names = ("read", "resolve_time_s", "margin_v", "energy_j", "clock_energy_j")
        return {name: getattr(self, name) for name in (*names, "word_line_energy_j")}


def sense(
    circuit: SenseCircuit,
    *,
    r_bl_ohm: float,
    r_blb_ohm: float,
    vdd_v: float,
    temperature_c: float = SenseConditions.temperature_c,
    corner: str = SenseConditions.corner,
    window_s: float = SenseConditions.window_s,
    shifts: Mapping[tuple[str, str], float] | None = None,
    engine: Engine = "ngspice",
    waveforms: bool = False,
) -> Sense:
    """Sense one synapse, without mismatch or with given shifts of the transistors' parameters.

    `r_bl_ohm` and `r_blb_ohm`: the resistances on the two bit lines. `shifts`: standard deviations
    by (transistor, parameter), as a `FailureCorner` has them. With `waveforms` the result
    holds them. Raises `InputError` for conditions out of range, `MachineError` if the simulation
    does not converge.

    >>> import rramsim as rs
    >>> one = rs.sense(rs.circuit(), vdd_v=1.2, r_bl_ohm=10e3, r_blb_ohm=350e3)
    >>> one.read, round(one.resolve_time_s * 1e9, 1), round(one.energy_j * 1e15)
    (1, 12.2, 388)
    """
    conditions = SenseConditions(
        vdd_v=vdd_v, temperature_c=temperature_c, corner=corner, window_s=window_s
    )
    import numpy as np

    solver = make_engine(engine)
    samples = SenseSamples.nominal(r_bl_ohm, r_blb_ohm)
    if shifts:
        samples = replace(samples, mismatch=_mismatch(circuit, conditions, shifts))
    outcome = solver.sense(circuit, conditions, samples, waveforms=waveforms)
    if not outcome.converged[0]:
        raise MachineError(f"the simulation did not converge at {conditions.label}")
    resolve_time_s = float(outcome.resolve_time_s[0])
    return Sense(
        read=int(outcome.read[0]),
        resolve_time_s=None if resolve_time_s != resolve_time_s else resolve_time_s,
        margin_v=float(outcome.margin_v[0]),
        energy_j=float(outcome.energy_j[0]),
        clock_energy_j=float(outcome.clock_energy_j[0]),
        word_line_energy_j=float(outcome.word_line_energy_j[0]),
        engine=solver.name,
        conditions=conditions,
        measures={
            name: None if np.isnan(values[0]) else float(values[0])
            for name, values in outcome.measures.items()
        },
        waveforms=outcome.waveforms[0] if waveforms else None,
    )


def _mismatch(
    circuit: SenseCircuit, conditions: SenseConditions, shifts: Mapping[tuple[str, str], float]
) -> "NDArray[np.float64]":
    import numpy as np

    sites = [(s.transistor, s.parameter) for s in circuit.mismatch_sites(conditions.corner)]
    for part in shifts:
        if part not in sites:
            known = ", ".join(dict.fromkeys(transistor for transistor, _ in sites))
            raise InputError(
                f"shift of {part[0]} {part[1]}: the circuit has no such varying parameter; its "
                f"transistors are {known}"
            )
    return np.array([[shifts.get(site, 0.0) for site in sites]])


def senses(
    circuit: SenseCircuit,
    devices: "ResistanceModel | None" = None,
    *,
    vdd_v: float,
    temperature_c: float = SenseConditions.temperature_c,
    corner: str = SenseConditions.corner,
    window_s: float = SenseConditions.window_s,
    written: Sequence[int] = (-1, 0, 1),
    samples: int = 1000,
    mismatch: bool = True,
    noise: bool = False,
    seed: int = 1,
    engine: Engine = "batch",
) -> "xr.Dataset":
    """Sense many synapses, each with devices and mismatch of its own; every sample's values.

    A dataset over (written, sample): `r_bl_ohm`, `r_blb_ohm`, `read`, `converged`,
    `resolve_time_s`, `margin_v` (V), `energy_j`, `clock_energy_j`, `word_line_energy_j`, and
    `measure_NAME` for each `.measure` line. The
    samples are the first of a campaign with the same seed. `devices`: `rs.resistances()` if None.
    Raises `InputError` for what the engine refuses.

    >>> import rramsim as rs
    >>> many = rs.senses(rs.circuit(), vdd_v=1.2, samples=100)
    >>> int((many.read.sel(written=1) == 1).sum()), dict(many.sizes)
    (100, {'written': 3, 'sample': 100})
    """
    import xarray as xr

    from rramsim.counting import sample_dataset, sense_tasks

    conditions = SenseConditions(
        vdd_v=vdd_v, temperature_c=temperature_c, corner=corner, window_s=window_s
    )
    tasks = sense_tasks(
        [conditions],
        circuit=circuit,
        resistances=devices or resistances(),
        engine=make_engine(engine),
        seed=seed,
        mismatch=mismatch,
        noise=noise,
        written=written,
    )
    return xr.concat([sample_dataset(task, samples=samples) for task in tasks], dim="written")
