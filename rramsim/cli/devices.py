"""`rramsim devices`: fit measured resistances, program simulated 1T1R cells with pulses."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rramsim import engines, figures, processes
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

    from rramsim.devices import DeviceFit, Estimate, StateFit

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Fit measured resistances; program simulated cells.\n\n"
    "Example: rramsim devices fit measurements/example_made.csv --out model.json",
)

_UNITS = {"median_ohm": "ohm"}


@app.command()
def fit(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="CSV, .csv.gz or .parquet: device,cycle,state,resistance_ohm."
        ),
    ],
    condition: Annotated[
        str | None, typer.Option(help="Programming condition, if the file holds several.")
    ] = None,
    drop: Annotated[
        bool, typer.Option("--drop", help="Leave out rows that cannot be used, and say which.")
    ] = False,
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar='NAME="COLUMN [UNIT]"',
            help='Name a column or a state, such as resistance_ohm="R (kOhm)" or LRS=ON.',
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Model file (.json) for [device] model.")
    ] = None,
    plot: PlotOption = None,
    json: JsonOption = False,
) -> None:
    """Fit every resistance model to measurements, with 95 % intervals and goodness of fit.

    Example: rramsim devices fit measurements/example_made.csv --out model.json --plot fit.png
    """
    from rramsim.cli.progress import notice
    from rramsim.devices import fit_devices, fit_record, read_measurements, write_model_file
    from rramsim.exceptions import InputError

    check_plot(plot)
    if out is not None and out.suffix.lower() != ".json":
        raise InputError(f"--out {out}: must end in .json")
    names = dict(text.partition("=")[::2] for text in mapping or ())
    measured = read_measurements(file, condition=condition, drop=drop, mapping=names)
    for line in measured.left_out:
        notice(f"left out: {line}")
    found = fit_devices(measured)
    record = fit_record(measured, found)
    if out is not None:
        write_model_file(out, record)
    if plot is not None:
        figures.save_one(figures.probability_figure(measured, found), plot)
    if json:
        print_json(record)
        return
    rows = len(measured.lrs.cycle), len(measured.hrs.cycle)
    condition_text = f", condition {measured.condition}" if measured.condition else ""
    say(
        f"{file.name}: {measured.devices:,} devices, {rows[0]:,} LRS and {rows[1]:,} HRS values"
        f"{condition_text}; fitted, 95 % intervals"
    )
    for state in ("lrs", "hrs"):
        for family, fitted in found.states[state].items():
            _print_state(state, family, fitted, found)
    for family, estimate in found.cell_correlation.items():
        if family != "best":
            say(f"correlation of a cell's LRS and HRS, {family}: {_interval(estimate)}")
    if not found.cell_correlation:
        say("correlation of a cell's LRS and HRS: cannot be told from these rows")
    if out is not None:
        say(f'model: {out} (name it in an experiment: [device] model = "{out.name}")')


def _print_state(state: str, family: str, fitted: "StateFit", found: "DeviceFit") -> None:
    mark = " (chosen)" if found.chosen[state] == family else ""
    say(f"\n{state.upper()} {family}{mark}")
    for name, estimate in fitted.estimates.items():
        say(f"  {name:15} {_interval(estimate)} {_UNITS.get(name, '')}".rstrip())
    for name, held in (("cell_share", "cell"), ("lag1", "cycle")):
        if name not in fitted.estimates:
            say(f"  {name:15} cannot be told from these rows (too few {held}s)")
    good = fitted.goodness
    bic = "" if family == "empirical" else f", BIC {fitted.bic:.1f}"
    say(
        f"  {'fit':15} CDF off by at most {100 * good.cdf_distance:.2f} %, "
        f"Anderson-Darling p {_p(good.p_value)}{bic}"
    )


def _p(value: float) -> str:
    return f"{value:.2f}" if value >= 0.005 else f"{value:.0e}" if value > 1e-99 else "< 1e-99"


def _interval(estimate: "Estimate") -> str:
    return f"{estimate.value:.4g} ({estimate.low:.4g} to {estimate.high:.4g})"


class _Engine(StrEnum):
    native = "native"
    ngspice = "ngspice"


@app.command()
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
    cells = engines.Cells(
        start_m=np.full(devices, first),
        scale=1 + spread * np.random.default_rng(seed).standard_normal(devices),
        width_s=parse_quantity("--pulse", pulse),
        temperature_c=parse_quantity("--temperature", temperature),
        transistor=engines.AccessTransistor(
            process=processes.load_process("sky130-5v"),
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
            figures.save_one(
                figures.programming_figure(done, band_ohm=band, title=title, source=source), plot
            )
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
            figures.save_one(
                figures.pulse_figure(pulsed.waveforms, model, title=title, source=source), plot
            )
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
