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
    from rramsim.exceptions import InputError

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
    cells = _Cells(
        start=np.full(devices, first),
        scale=1 + spread * np.random.default_rng(seed).standard_normal(devices),
        width_s=parse_quantity("--pulse", pulse),
        temperature_c=parse_quantity("--temperature", temperature),
        corner=corner,
        native=engine is _Engine.native,
    )
    source = f"simulated, {engine.value}, SKY130 ReRAM filament and 5 V transistor, {corner}"
    if verify:
        if engine is _Engine.ngspice and devices > 10:
            raise InputError(f"--devices {devices}: ngspice verifies at most 10; use native")
        band = (
            parse_quantity("--low", low) if low else 0.0,
            parse_quantity("--high", high) if high else float("inf"),
        )
        value = cells.verify(
            band, parse_quantity("--step", step), max_pulses, word_line=wl, plot=plot, source=source
        )
    else:
        word_line_v = parse_quantity("--wl", wl) if wl else (1.7 if bl_v else 3.5)
        value = cells.pulse(bl_v, sl_v, word_line_v, plot=plot, source=source)
    value = {"status": "simulated", "engine": engine.value, "devices": devices, **value}
    if json:
        print_json(value)
        return
    for name, item in value.items():
        typer.echo(f"{name}: {item:.4g}" if isinstance(item, float) else f"{name}: {item}")


class _Cells:
    """The cells that a command pulses, on one engine."""

    def __init__(
        self,
        *,
        start: "NDArray[np.float64]",
        scale: "NDArray[np.float64]",
        width_s: float,
        temperature_c: float,
        corner: str,
        native: bool,
    ) -> None:
        from rramsim.engines import AccessTransistor
        from rramsim.processes import load_process

        self.start, self.scale, self.width_s = start, scale, width_s
        self.temperature_c, self.native = temperature_c, native
        self.transistor = AccessTransistor(
            process=load_process("sky130-5v"), corner=corner, temperature_c=temperature_c
        )

    def applier(self, levels_v: tuple[float, ...]) -> Any:
        """A function (filament, pulse, mask, word line, samples) -> outcome."""
        from rramsim.devices.filament_dynamics import apply_pulse
        from rramsim.engines import access_transistor_table, apply_pulse_in_ngspice

        if not self.native:
            return lambda f, p, mask, wl_v, samples=0: apply_pulse_in_ngspice(
                f,
                p,
                word_line_v=wl_v,
                transistor=self.transistor,
                temperature_c=self.temperature_c,
                samples=samples,
            )
        table = access_transistor_table(self.transistor, levels_v)
        return lambda f, p, mask, wl_v, samples=0: apply_pulse(
            f,
            p,
            series=table,
            level=table.level(wl_v),
            temperature_c=self.temperature_c,
            enhancement_scale=self.scale[mask],
            samples=samples,
        )

    def pulse(
        self, bl_v: float, sl_v: float, wl_v: float, *, plot: Any, source: str
    ) -> dict[str, Any]:
        """One pulse; what it did."""
        import numpy as np

        from rramsim.devices.filament import SKY130_RERAM as model
        from rramsim.devices.filament_dynamics import Pulse

        done = self.applier((wl_v,))(
            self.start,
            Pulse(bl_v=bl_v, sl_v=sl_v, width_s=self.width_s),
            slice(None),
            wl_v,
            2000 if plot else 0,
        )
        if plot:
            from rramsim.figures import pulse_figure, save_one

            title = f"WL {wl_v:g} V, BL {bl_v:g} V, SL {sl_v:g} V"
            save_one(pulse_figure(done.waveforms, model, title=title, source=source), plot)
        ohm = model.resistance_ohm(done.filament_m)
        return {
            "word_line_v": wl_v,
            "before_ohm": float(model.resistance_ohm(self.start[0])),
            **_summary("after", ohm, "ohm"),
            **_summary("energy", done.energy_j, "j"),
            "peak_current_a": float(np.max(done.peak_a)),
        }

    def verify(
        self,
        band: tuple[float, float],
        step_v: float,
        max_pulses: int,
        *,
        word_line: str | None,
        plot: Any,
        source: str,
    ) -> dict[str, Any]:
        """Program and verify; what it did."""
        from rramsim.devices.verify import Ladder, program_and_verify

        set_v, reset_v = (parse_quantity("--wl", word_line),) * 2 if word_line else (1.7, 3.5)
        apply = self.applier(tuple({set_v, reset_v}))
        done = program_and_verify(
            self.start,
            band_ohm=band,
            apply_set=lambda f, p, mask: apply(f, p, mask, set_v),
            apply_reset=lambda f, p, mask: apply(f, p, mask, reset_v),
            set_ladder=Ladder(start_v=1.6, step_v=step_v),
            reset_ladder=Ladder(start_v=1.0, step_v=step_v),
            width_s=self.width_s,
            max_pulses=max_pulses,
        )
        if plot:
            from rramsim.figures import programming_figure, save_one

            title = f"SET at WL {set_v:g} V, RESET at WL {reset_v:g} V"
            save_one(programming_figure(done, band_ohm=band, title=title, source=source), plot)
        return {
            "reached": int(done.reached.sum()),
            "pulses_mean": float(done.pulses.mean()),
            "pulses_most": int(done.pulses.max()),
            **_summary("after", done.resistance_ohm[:, -1], "ohm"),
            **_summary("energy", done.energy_j, "j"),
        }


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
