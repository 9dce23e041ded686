"""`rramsim sense`: one sense."""

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rramsim.cli.options import JsonOption, Quantity, parse_quantity, print_json

__all__ = ["register", "sense"]


class _Engine(StrEnum):
    ngspice = "ngspice"
    batch = "batch"


def sense(
    vdd: Annotated[Quantity, typer.Option(help="Supply in volt.")],
    r_bl: Annotated[Quantity, typer.Option(help="Resistance on BL in ohm, such as 10k.")],
    r_blb: Annotated[Quantity, typer.Option(help="Resistance on BLb in ohm, such as 350k.")],
    window: Annotated[Quantity, typer.Option(help="Sense window in second, such as 50n.")] = "50n",
    temperature: Annotated[Quantity, typer.Option(help="Degrees Celsius.")] = "27",
    corner: Annotated[str, typer.Option(help="Process corner: tt, ss, ff, sf or fs.")] = "tt",
    engine: Annotated[_Engine, typer.Option(help="What solves the circuit.")] = _Engine.ngspice,
    netlist: Annotated[
        Path | None, typer.Option(help="A netlist of your own with .subckt pcsa.")
    ] = None,
    max_step: Annotated[Quantity, typer.Option(help="ngspice's largest time step.")] = "2n",
    tolerance: Annotated[
        Quantity, typer.Option(help="Local error of batch's time steps in volt.")
    ] = "2m",
    plot: Annotated[
        Path | None, typer.Option(help="Draw the waveforms into this file (.png, .svg, .pdf).")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Sense one synapse without mismatch: what is read, how fast, at what energy.

    Example: rramsim sense --vdd 1.2 --r-bl 10k --r-blb 350k
    """
    from rramsim.circuits import SenseConditions, sense_circuit
    from rramsim.engines import NgspiceEngine, SenseEngine, SenseSamples
    from rramsim.exceptions import InputError, MachineError
    from rramsim.processes import load_process

    if plot is not None and plot.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise InputError(f"--plot {plot}: must end in .png, .svg or .pdf")
    conditions = SenseConditions(
        vdd_v=parse_quantity("--vdd", vdd),
        temperature_c=parse_quantity("--temperature", temperature),
        corner=corner,
        window_s=parse_quantity("--window", window),
    )
    samples = SenseSamples.nominal(parse_quantity("--r-bl", r_bl), parse_quantity("--r-blb", r_blb))
    solver: SenseEngine = NgspiceEngine(max_step_s=parse_quantity("--max-step", max_step))
    if engine is _Engine.batch:
        from rramsim.engines import BatchEngine  # heavy: loaded where it is needed

        solver = BatchEngine(tolerance_v=parse_quantity("--tolerance", tolerance), threads=1)
    circuit = sense_circuit(process=load_process("sky130-5v"), netlist=netlist)
    outcome = solver.sense(circuit, conditions, samples, waveforms=plot is not None)
    if not outcome.converged[0]:
        raise MachineError(f"the simulation did not converge at {conditions.label}")
    read, energy_j = int(outcome.read[0]), float(outcome.energy_j[0])
    resolve_time_s = float(outcome.resolve_time_s[0])
    resolved = not math.isnan(resolve_time_s)
    if plot is not None:
        from rramsim.figures import save_one, waveform_figure

        title = f"{r_bl} / {r_blb} Ω: reads {read:+d}" if read else f"{r_bl} / {r_blb} Ω: reads 0"
        figure = waveform_figure({title: outcome.waveforms[0]}, conditions, engine=solver.name)
        save_one(figure, plot)
    if json:
        print_json(
            {
                "read": read,
                "resolve_time_s": resolve_time_s if resolved else None,
                "margin_v": float(outcome.margin_v[0]),
                "energy_j": energy_j,
                "clock_energy_j": float(outcome.clock_energy_j[0]),
                "word_line_energy_j": float(outcome.word_line_energy_j[0]),
                "engine": engine.value,
                "engine_settings": solver.name,
                "vdd_v": conditions.vdd_v,
                "temperature_c": conditions.temperature_c,
                "corner": conditions.corner,
                "window_s": conditions.window_s,
            }
        )
        return
    when = f"{resolve_time_s * 1e9:.3g} ns" if resolved else "not within the window"
    typer.echo(f"read {read:+d}" if read else "read 0")
    typer.echo(f"resolved: {when}")
    typer.echo(f"energy per sense cycle: {energy_j * 1e15:.4g} fJ (simulated, {solver.name})")


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(sense)
