"""`rramsim costs`: constants that costs are computed from, and the parts of a sense's energy."""

from pathlib import Path
from typing import Annotated

import typer

from rramsim import circuits, engines, figures, processes
from rramsim.cli.options import (
    JsonOption,
    NetlistOption,
    PlotOption,
    Quantity,
    check_plot,
    parse_quantity,
    say,
)
from rramsim.cli.options import print_json as print_object

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Energies of logic gates, and the parts of a sense's energy, from ngspice.\n\n"
    "Example: rramsim costs gates --vdd 1.0,1.2",
)

_SUPPLIES = "0.8,0.9,1.0,1.1,1.2,1.3,1.5,1.8,2.5,3.3,5.0"


@app.command()
def gates(
    vdd: Annotated[str, typer.Option(help="Supplies in volt, with commas.")] = _SUPPLIES,
    temperature: Annotated[Quantity, typer.Option(help="Degrees Celsius.")] = "27",
    corner: Annotated[str, typer.Option(help="Process corner.")] = "tt",
    out: Annotated[
        Path | None, typer.Option(help="Write the constants file here (CSV) as well.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Simulate every gate of netlists/gates in ngspice: energy an operation, delay.

    Example: rramsim costs gates --vdd 1.0,1.2
    """
    import platform
    from dataclasses import asdict
    from importlib.metadata import version

    from rramsim.cli.progress import progress_bar
    from rramsim.costs.gates import GATES, simulate_gate, write_gates
    from rramsim.files import check_writable

    if out is not None:
        check_writable(out)
    process = processes.load_process("sky130-5v")
    supplies = [parse_quantity("--vdd", text) for text in vdd.split(",")]
    celsius = parse_quantity("--temperature", temperature)
    results = []
    with progress_bar("gates", unit="runs") as update:
        for gate in GATES.values():
            for vdd_v in supplies:
                results.append(
                    simulate_gate(gate, process, vdd_v=vdd_v, temperature_c=celsius, corner=corner)
                )
                update(len(results), len(GATES) * len(supplies), "")
    provenance = {
        "status": "simulated",
        "command": f"rramsim costs gates --vdd {vdd} --temperature {temperature} --corner {corner}",
        "process": process.name,
        "process_sha256": process.sha256,
        "temperature_c": celsius,
        "corner": corner,
        "ngspice": str(engines.ngspice_version()),
        "rramsim": version("rramsim"),
        "machine": platform.machine(),
    }
    if out is not None:
        write_gates(results, provenance, out)
    if json:
        print_object({"provenance": provenance, "gates": [asdict(r) for r in results]})
        return
    say(f"{'gate':<12}{'VDD':>8}{'energy':>12}{'idle':>12}{'delay':>12}")
    for r in results:
        say(
            f"{r.gate:<12}{r.vdd_v:>6g} V{r.energy_j * 1e15:>9.3g} fJ"
            f"{r.idle_energy_j * 1e15:>9.2g} fJ{r.delay_s * 1e9:>9.3g} ns"
        )


@app.command()
def sense(
    vdd: Annotated[str, typer.Option(help="Supplies in volt, with commas.")] = "1.0,1.1,1.2,1.3",
    r_lrs: Annotated[Quantity, typer.Option(help="Low resistance in ohm.")] = "10k",
    r_hrs: Annotated[Quantity, typer.Option(help="High resistance in ohm.")] = "630k",
    window: Annotated[Quantity, typer.Option(help="Sense window in second.")] = "50n",
    netlist: NetlistOption = None,
    plot: PlotOption = None,
    json: JsonOption = False,
) -> None:
    """Split the energy of a sense into bit lines, outputs, latch, clock and word line.

    Example: rramsim costs sense --plot parts.png
    """
    from dataclasses import asdict

    from rramsim.costs.sense_parts import sense_parts

    check_plot(plot)
    process = processes.load_process("sky130-5v")
    circuit = circuits.sense_circuit(process=process, netlist=netlist)
    low, high = parse_quantity("--r-lrs", r_lrs), parse_quantity("--r-hrs", r_hrs)
    found = []
    for text in vdd.split(","):
        conditions = circuits.SenseConditions(
            vdd_v=parse_quantity("--vdd", text), window_s=parse_quantity("--window", window)
        )
        for written, pair in ((1, (low, high)), (0, (high, high))):
            found.append((written, sense_parts(circuit, conditions, *pair)))
    if plot is not None:
        figures.save_one(figures.sense_parts_figure(found), plot)
    if json:
        print_object({"senses": [{"written": w, **asdict(p)} for w, p in found]})
        return
    names = ("bit_lines", "outputs", "latch", "clock", "word_line")
    say("written     VDD" + "".join(f"{name:>12}" for name in (*names, "sum", "supply")))
    for written, parts in found:
        values = [getattr(parts, f"{name}_j") for name in names] + [parts.sum_j, parts.supply_j]
        say(
            f"{written or 0:>7d}{parts.vdd_v:>6g} V"
            + "".join(f"{v * 1e15:>9.4g} fJ" for v in values)
        )
