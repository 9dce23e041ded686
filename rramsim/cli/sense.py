"""`rramsim sense`: one sense."""

import csv
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from rramsim import engines, figures
from rramsim.cli.options import (
    JsonOption,
    NetlistOption,
    Quantity,
    check_plot,
    parse_quantity,
    print_json,
    say,
)
from rramsim.durable.child import in_child
from rramsim.exceptions import InputError
from rramsim.files import atomic_path, check_regular


class _Engine(StrEnum):
    ngspice = "ngspice"
    batch = "batch"


def sense(
    r_bl: Annotated[Quantity, typer.Option(help="Resistance on BL in ohm, such as 10k.")],
    r_blb: Annotated[Quantity, typer.Option(help="Resistance on BLb in ohm, such as 350k.")],
    vdd: Annotated[
        Quantity | None, typer.Option(help="Supply in volt; may be left out with --experiment.")
    ] = None,
    window: Annotated[
        Quantity | None, typer.Option(help="Sense window in second, such as 50n [50n].")
    ] = None,
    temperature: Annotated[Quantity | None, typer.Option(help="Degrees Celsius [27].")] = None,
    corner: Annotated[
        str | None, typer.Option(help="Process corner: tt, ss, ff, sf or fs [tt].")
    ] = None,
    experiment: Annotated[
        Path | None,
        typer.Option(help="Sense this experiment's circuit, at its first conditions."),
    ] = None,
    engine: Annotated[_Engine, typer.Option(help="What solves the circuit.")] = _Engine.ngspice,
    netlist: NetlistOption = None,
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
    waves: Annotated[
        Path | None,
        typer.Option(help="Write the waveforms into this file (.csv, .raw)."),
    ] = None,
    deck: Annotated[
        Path | None, typer.Option(help="Write the elaborated circuit into this SPICE file.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Sense one synapse: what is read, how fast, at what energy. No mismatch but --shifts.

    Example: rramsim sense --vdd 1.2 --r-bl 10k --r-blb 350k
    """
    check_plot(plot)
    if waves is not None and waves.suffix not in (".csv", ".raw"):
        raise InputError(f"--waves {waves}: must end in .csv or .raw")
    if vdd is None and experiment is None:
        raise InputError("give --vdd, or --experiment for its first supply")
    if netlist is not None and experiment is not None:
        raise InputError("--netlist: goes without --experiment, which names its own")
    texts = {"vdd_v": vdd, "temperature_c": temperature, "window_s": window}
    options = {"vdd_v": "--vdd", "temperature_c": "--temperature", "window_s": "--window"}
    given: dict[str, Any] = {
        key: parse_quantity(options[key], text) for key, text in texts.items() if text is not None
    }
    given |= {"corner": corner} if corner is not None else {}
    pair: dict[str, Any] = {
        "r_bl_ohm": parse_quantity("--r-bl", r_bl),
        "r_blb_ohm": parse_quantity("--r-blb", r_blb),
    }
    step_s, tolerance_v = (
        parse_quantity("--max-step", max_step),
        parse_quantity("--tolerance", tolerance),
    )

    def act() -> dict[str, Any]:
        from rramsim.verbs.sensing import circuit
        from rramsim.verbs.sensing import sense as sense_once

        solver: engines.SenseEngine = engines.NgspiceEngine(max_step_s=step_s)
        if engine is _Engine.batch:
            solver = engines.BatchEngine(tolerance_v=tolerance_v, threads=1)
        if experiment is None:
            own, at = circuit(netlist=netlist), dict[str, Any](given)
        else:
            from rramsim.experiment import load_experiment

            read = load_experiment(experiment)
            own, at = read.make_circuit(), asdict(read.make_conditions()[0]) | given
        shown = plot is not None or waves is not None
        one = sense_once(
            own, engine=solver, waveforms=shown,
            shifts=None if shifts is None else read_shifts(shifts), **pair, **at,
        )  # fmt: skip
        if deck is not None:
            with atomic_path(deck) as temporary:
                temporary.write_text(f"{own.deck(one.conditions)}\n", encoding="utf-8")
        if waves is not None:
            from rramsim.engines.protocol import write_waveforms

            assert one.waveforms is not None
            write_waveforms(waves, one.waveforms)
        if plot is not None:
            assert one.waveforms is not None
            title = f"{r_bl} / {r_blb} Ω: reads {one.read:{'+d' if one.read else 'd'}}"
            drawn = {title: one.waveforms}
            figures.save_one(
                figures.waveform_figure(drawn, one.conditions, engine=one.engine), plot
            )
        named = {"engine": engine.value, "engine_settings": one.engine}
        measures = {"measures": dict(one.measures)} if one.measures else {}
        return one.numbers() | measures | named | asdict(one.conditions)

    # In a child: a netlist that hangs or crashes the simulator is ended by an interrupt. Its answer
    # is plain numbers, so that nothing is loaded twice.
    found = in_child(act, what="the sense")
    if json:
        print_json(found)
        return
    after_s, read = found["resolve_time_s"], found["read"]
    when = "not within the window" if after_s is None else f"{after_s * 1e9:.3g} ns"
    say(f"read {read:+d}" if read else "read 0")
    say(f"resolved: {when}")
    for name, value in found.get("measures", {}).items():
        say(f"{name} = {'none' if value is None else f'{value:.6g}'}")
    energy = f"{found['energy_j'] * 1e15:.4g} fJ"
    say(f"energy per sense cycle: {energy} (simulated, {found['engine_settings']})")


def read_shifts(path: Path) -> dict[tuple[str, str], float]:
    """The parameter shifts, in standard deviations, of the first corner of a table of corners."""
    check_regular(path)
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
