"""`rramsim devices program`: pulses on simulated 1T1R cells."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rramsim.cli.options import (
    JsonOption,
    PlotOption,
    Quantity,
    check_plot,
    parse_quantity,
    print_json,
    say,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["program"]


class _Engine(StrEnum):
    native = "native"
    ngspice = "ngspice"


def program(
    start: Annotated[
        str, typer.Option("--from", help="Resistance at 0.1 V before, such as 3.35M, or pristine.")
    ] = "3.35MEG",
    bl: Annotated[
        Quantity, typer.Option(help="Bit line of one SET (or forming) pulse in volt.")
    ] = "0",
    sl: Annotated[Quantity, typer.Option(help="Source line of one RESET pulse in volt.")] = "0",
    wl: Annotated[
        Quantity | None, typer.Option(help="Word line in volt [1.7 for SET, 3.5 for RESET].")
    ] = None,
    low: Annotated[
        Quantity | None, typer.Option(help="Program and verify: least resistance wanted, ohm.")
    ] = None,
    high: Annotated[
        Quantity | None, typer.Option(help="Program and verify: largest resistance wanted, ohm.")
    ] = None,
    pulse: Annotated[Quantity, typer.Option(help="Time at full voltage in second.")] = "1u",
    step: Annotated[Quantity, typer.Option(help="Rise of the verify ladder in volt.")] = "0.05",
    max_pulses: Annotated[int, typer.Option(help="Most pulses a device gets.")] = 100,
    temperature: Annotated[Quantity, typer.Option(help="Degrees Celsius.")] = "27",
    corner: Annotated[str, typer.Option(help="Process corner of the transistor.")] = "tt",
    devices: Annotated[int, typer.Option(help="How many devices.")] = 1,
    spread: Annotated[
        float,
        typer.Option(help="Relative deviation of the field enhancement (assumed)."),
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed of that spread.")] = 1,
    engine: Annotated[
        _Engine, typer.Option(help="native solves thousands; ngspice is the reference.")
    ] = _Engine.native,
    plot: PlotOption = None,
    json: JsonOption = False,
) -> None:
    """Program 1T1R cells (SKY130 filament, 5 V transistor): one pulse, or program and verify.

    With --low and --high it writes until a verify read lies between them.

    Example: rramsim devices program --bl 2.4 --plot set.png
    """
    import numpy as np

    from rramsim.devices.filament import SKY130_RERAM as model
    from rramsim.engines import AccessTransistor, Cells
    from rramsim.exceptions import InputError
    from rramsim.figures import programming_figure, pulse_figure, save_one
    from rramsim.processes import load_process

    check_plot(plot)
    bl_v, sl_v = parse_quantity("--bl", bl), parse_quantity("--sl", sl)
    verify = low is not None or high is not None
    if verify and (bl_v or sl_v):
        raise InputError("--low and --high program and verify; --bl and --sl give one pulse")
    if not verify and (bl_v > 0) == (sl_v > 0):
        raise InputError("give --bl (SET, forming) or --sl (RESET), or --low and --high to verify")
    if not 1 <= devices <= 100_000:
        raise InputError(f"--devices {devices}: must be between 1 and 100000")
    if not 0 <= spread <= 0.2:
        raise InputError(f"--spread {spread:g}: must be between 0 and 0.2")
    if spread and engine is _Engine.ngspice:
        raise InputError("--spread: goes with --engine native")
    if start.lower() == "pristine":
        first = model.pristine_m
    else:
        ohm = parse_quantity("--from", start)
        least, most = (float(model.resistance_ohm(m)) for m in (model.longest_m, model.pristine_m))
        if not least * 0.99 <= ohm <= most * 1.01:
            raise InputError(
                f"--from {start}: the filament model reaches {least:.3g} to {most:.3g} ohm"
            )
        first = float(model.filament_m(ohm))
    cells = Cells(
        start_m=np.full(devices, first),
        scale=1 + spread * np.random.default_rng(seed).standard_normal(devices),
        width_s=parse_quantity("--pulse", pulse),
        temperature_c=parse_quantity("--temperature", temperature),
        transistor=AccessTransistor(
            process=load_process("sky130-5v"),
            corner=corner,
            temperature_c=parse_quantity("--temperature", temperature),
        ),
        native=engine is _Engine.native,
    )
    source = f"simulated, {engine.value}, SKY130 ReRAM filament and 5 V transistor, {corner}"
    word_line_v = parse_quantity("--wl", wl) if wl else None
    if verify:
        if engine is _Engine.ngspice and devices > 10:
            raise InputError(f"--devices {devices}: ngspice verifies at most 10; use native")
        band = (
            parse_quantity("--low", low) if low else 0.0,
            parse_quantity("--high", high) if high else float("inf"),
        )
        set_v, reset_v = (1.7, 3.5) if word_line_v is None else (word_line_v, word_line_v)
        done = cells.program(
            band_ohm=band,
            step_v=parse_quantity("--step", step),
            max_pulses=max_pulses,
            set_word_line_v=set_v,
            reset_word_line_v=reset_v,
        )
        if plot:
            title = f"SET at WL {set_v:g} V, RESET at WL {reset_v:g} V"
            save_one(programming_figure(done, band_ohm=band, title=title, source=source), plot)
        value: dict[str, Any] = {
            "reached": int(done.reached.sum()),
            "pulses_mean": float(done.pulses.mean()),
            "pulses_most": int(done.pulses.max()),
            **_summary("after", done.resistance_ohm[:, -1], "ohm"),
            **_summary("energy", done.energy_j, "j"),
        }
    else:
        if word_line_v is None:
            word_line_v = 1.7 if bl_v else 3.5
        pulsed = cells.pulse(
            bl_v=bl_v, sl_v=sl_v, word_line_v=word_line_v, samples=2000 if plot else 0
        )
        if plot:
            assert pulsed.waveforms is not None
            title = f"WL {word_line_v:g} V, BL {bl_v:g} V, SL {sl_v:g} V"
            save_one(pulse_figure(pulsed.waveforms, model, title=title, source=source), plot)
        value = {
            "word_line_v": word_line_v,
            "before_ohm": float(model.resistance_ohm(first)),
            **_summary("after", model.resistance_ohm(pulsed.filament_m), "ohm"),
            **_summary("energy", pulsed.energy_j, "j"),
            "peak_current_a": float(np.max(pulsed.peak_a)),
        }
    value = {"status": "simulated", "engine": engine.value, "devices": devices, **value}
    if json:
        print_json(value)
        return
    for name, item in value.items():
        say(f"{name}: {item:.4g}" if isinstance(item, float) else f"{name}: {item}")


def _summary(name: str, values: "NDArray[np.float64]", unit: str) -> dict[str, float]:
    """The median, and with several devices the range."""
    import numpy as np

    found = {f"{name}_{unit}": float(np.median(values))}
    if len(values) > 1:
        found |= {
            f"{name}_least_{unit}": float(values.min()),
            f"{name}_largest_{unit}": float(values.max()),
        }
    return found
