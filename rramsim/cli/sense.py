"""`rramsim sense`: one sense."""

import csv
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from rramsim.cli.options import JsonOption, Quantity, check_plot, parse_quantity, print_json
from rramsim.durable.child import in_child
from rramsim.exceptions import InputError

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
    shifts: Annotated[
        Path | None,
        typer.Option(
            help="A table of 'rramsim rate --corners': its first corner's parameter shifts are set."
        ),
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
    """Sense one synapse: what is read, how fast, at what energy. No mismatch but --shifts.

    Example: rramsim sense --vdd 1.2 --r-bl 10k --r-blb 350k
    """
    check_plot(plot)
    given = {
        "vdd_v": parse_quantity("--vdd", vdd),
        "temperature_c": parse_quantity("--temperature", temperature),
        "window_s": parse_quantity("--window", window),
        "r_bl_ohm": parse_quantity("--r-bl", r_bl),
        "r_blb_ohm": parse_quantity("--r-blb", r_blb),
    }
    step_s, tolerance_v = (
        parse_quantity("--max-step", max_step),
        parse_quantity("--tolerance", tolerance),
    )

    def act() -> dict[str, Any]:
        from rramsim.engines import NgspiceEngine, SenseEngine
        from rramsim.verbs.sensing import circuit
        from rramsim.verbs.sensing import sense as sense_once

        solver: SenseEngine = NgspiceEngine(max_step_s=step_s)
        if engine is _Engine.batch:
            from rramsim.engines import BatchEngine

            solver = BatchEngine(tolerance_v=tolerance_v, threads=1)
        own = circuit(netlist=netlist)
        one = sense_once(
            own, corner=corner, engine=solver, waveforms=plot is not None,
            shifts=None if shifts is None else read_shifts(shifts), **given,
        )  # fmt: skip
        if plot is not None:
            from rramsim.figures import save_one, waveform_figure

            assert one.waveforms is not None
            title = f"{r_bl} / {r_blb} Ω: reads {one.read:{'+d' if one.read else 'd'}}"
            waves = {title: one.waveforms}
            save_one(waveform_figure(waves, one.conditions, engine=one.engine), plot)
        named = {"engine": engine.value, "engine_settings": one.engine}
        return one.numbers() | named | asdict(one.conditions)

    # In a child: a netlist that hangs or crashes the simulator is ended by an interrupt. Its answer
    # is plain numbers, so that nothing is loaded twice.
    found = in_child(act, what="the sense")
    if json:
        print_json(found)
        return
    after_s, read = found["resolve_time_s"], found["read"]
    when = "not within the window" if after_s is None else f"{after_s * 1e9:.3g} ns"
    typer.echo(f"read {read:+d}" if read else "read 0")
    typer.echo(f"resolved: {when}")
    energy = f"{found['energy_j'] * 1e15:.4g} fJ"
    typer.echo(f"energy per sense cycle: {energy} (simulated, {found['engine_settings']})")


def read_shifts(path: Path) -> dict[tuple[str, str], float]:
    """The parameter shifts, in standard deviations, of the first corner of a table of corners."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["corner"] == "1"]
        # The devices' rows carry resistances, which --r-bl and --r-blb set.
        found = {
            (row["part"], row["parameter"]): float(row["sigma"])
            for row in rows
            if not row["part"].startswith("RRAM on ")
        }
    except (OSError, UnicodeDecodeError, KeyError, ValueError, csv.Error) as error:
        raise InputError(
            f"--shifts {path}: no table of 'rramsim rate --corners' ({error})"
        ) from None
    if not found:
        raise InputError(
            f"--shifts {path}: holds no corner 1; make it with 'rramsim rate --corners'"
        )
    return found


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(sense)
