"""`rramsim devices`: fit measured resistances, program simulated cells."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rramsim.cli import devices_program
from rramsim.cli.options import JsonOption, PlotOption, check_plot, print_json, say

if TYPE_CHECKING:
    from rramsim.devices import DeviceFit, Estimate, StateFit

__all__ = ["devices_app", "fit", "register"]

devices_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Fit measured resistances; program simulated cells.\n\n"
    "Example: rramsim devices fit measurements/example_made.csv --out model.json",
)

_UNITS = {"median_ohm": "ohm"}


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
        from rramsim.figures import probability_figure, save_one

        save_one(probability_figure(measured, found), plot)
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


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    devices_app.command()(fit)
    devices_app.command()(devices_program.program)
    app.add_typer(devices_app, name="devices")
