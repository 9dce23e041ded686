"""`rramsim rare`: an error rate too small to count, and what it comes from."""

import math
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rramsim.cli.options import JsonOption, Quantity, parse_quantity, print_json

__all__ = ["rare", "register"]


class _Engine(StrEnum):
    batch = "batch"
    ngspice = "ngspice"


class _Method(StrEnum):
    auto = "auto"
    monte_carlo = "monte-carlo"
    importance = "importance"
    line = "line"
    splitting = "splitting"


_MOST_CALLS, _MOST_SPLITTING_CALLS, _LEAST_SPLITTING_CALLS = 4_000, 100_000, 60_000
_SLOW = (
    "over 5 % of plain reads come in the second half of the window: of flips where the latch is so "
    "slow, {method} may miss most without a sign; --method splitting looks everywhere, in some "
    "60,000 senses"
)


class _Check(StrEnum):
    proposals = "proposals"
    subset = "subset"


def rare(
    vdd: Annotated[Quantity, typer.Option(help="Supply in volt.")],
    type_: Annotated[
        int, typer.Option("--type", help="1: sign flip, 2: ±1 read as 0, 3: 0 read as ±1.")
    ],
    written: Annotated[
        int | None, typer.Option(help="The written weight; +1, and 0 for type 3, if not given.")
    ] = None,
    window: Annotated[Quantity, typer.Option(help="Sense window in second, such as 50n.")] = "50n",
    temperature: Annotated[Quantity, typer.Option(help="Degrees Celsius.")] = "27",
    corner: Annotated[str, typer.Option(help="Process corner: tt, ss, ff, sf or fs.")] = "tt",
    experiment: Annotated[
        Path | None,
        typer.Option(help="An experiment file: its process, device, column and circuit are used."),
    ] = None,
    lrs: Annotated[Quantity | None, typer.Option(help="Median LRS in ohm.")] = None,
    lrs_sigma: Annotated[float | None, typer.Option(help="Deviation of ln LRS.")] = None,
    hrs: Annotated[Quantity | None, typer.Option(help="Median HRS in ohm.")] = None,
    hrs_sigma: Annotated[float | None, typer.Option(help="Deviation of ln HRS.")] = None,
    engine: Annotated[_Engine, typer.Option(help="What solves the circuit.")] = _Engine.batch,
    method: Annotated[
        _Method,
        typer.Option(
            help="auto: plain Monte-Carlo where the rate is not rare, else importance sampling; "
            "line: along lines through the slab of metastable reads, types 1 and 2; splitting: "
            "level by level with no design point, some 60,000 senses, for flips of a slow latch."
        ),
    ] = _Method.auto,
    relative_error: Annotated[
        float, typer.Option(help="Coefficient of variation (standard error over rate) to reach.")
    ] = 0.1,
    max_calls: Annotated[
        int | None,
        typer.Option(help="Senses to simulate at most. Default: 4000; 100000 for splitting."),
    ] = None,
    check: Annotated[
        _Check,
        typer.Option(help="subset: also by subset sampling, some 20,000 senses on top."),
    ] = _Check.proposals,
    seed: Annotated[int, typer.Option(help="Seed of every draw.")] = 1,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw what the errors come from into this file (.png, .svg, .pdf)."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Estimate a rare read error's rate with an interval, and tell what it comes from.

    Example: rramsim rare --vdd 1.2 --type 1 --hrs-sigma 0.8
    """
    from rramsim.circuits import SenseConditions
    from rramsim.cli.progress import progress_bar
    from rramsim.devices import LogNormal
    from rramsim.engines import BatchEngine, NgspiceEngine
    from rramsim.exceptions import InputError, MachineError
    from rramsim.experiment import Experiment, load_experiment
    from rramsim.files import check_writable
    from rramsim.rare import (
        RareSettings,
        SenseFailure,
        is_slow,
        line_rate,
        ranking_of,
        rare_rate,
        sensitivities,
        sharpened,
        splitting_rate,
        tie_direction,
    )

    if plot is not None and plot.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise InputError(f"--plot {plot}: must end in .png, .svg or .pdf")
    if plot is not None:
        check_writable(plot)
    most = _MOST_SPLITTING_CALLS if method is _Method.splitting else _MOST_CALLS
    if max_calls is not None:
        most = max_calls
    if method is _Method.splitting and most < _LEAST_SPLITTING_CALLS:
        raise InputError(
            f"--max-calls {most}: --method splitting needs at least {_LEAST_SPLITTING_CALLS}"
        )
    base = Experiment() if experiment is None else load_experiment(experiment)
    resistances = base.make_resistances()
    for name, median, sigma in (("lrs", lrs, lrs_sigma), ("hrs", hrs, hrs_sigma)):
        if median is None and sigma is None:
            continue
        state = getattr(resistances, name)
        if not isinstance(state, LogNormal):
            raise InputError(
                f"--{name}, --{name}-sigma: {experiment} gives the {name.upper()} a distribution "
                "of its own; change it there"
            )
        changed = LogNormal(
            median_ohm=state.median_ohm if median is None else parse_quantity(f"--{name}", median),
            sigma_ln=state.sigma_ln if sigma is None else sigma,
        )
        resistances = replace(resistances, **{name: changed})
    failure = SenseFailure(
        circuit=base.make_circuit(),
        conditions=SenseConditions(
            vdd_v=parse_quantity("--vdd", vdd),
            temperature_c=parse_quantity("--temperature", temperature),
            corner=corner,
            window_s=parse_quantity("--window", window),
        ),
        resistances=resistances,
        written=written if written is not None else (0 if type_ == 3 else 1),
        error_type=type_,
        engine=BatchEngine() if engine is _Engine.batch else NgspiceEngine(),
        mismatch=base.sense.mismatch,
    )
    settings = RareSettings(
        method=method.value  # type: ignore[arg-type]
        if method in (_Method.monte_carlo, _Method.importance)
        else "auto",
        relative_error=relative_error,
        max_calls=most,
        cross_check=check.value,
        seed=seed,
    )
    if method is _Method.line and type_ == 3:
        raise InputError("--method line --type 3: lines are for lost and flipped ±1, types 1 and 2")
    with progress_bar("rare", unit="senses") as update:
        if method is _Method.line:
            failure = sharpened(failure)
            direction, spent = tie_direction(failure, seed=seed)
            answer = line_rate(
                failure,
                direction,
                relative_error=relative_error,
                max_calls=most,
                seed=seed,
                report=lambda calls: update(spent + calls, most, ""),
            )
        elif method is _Method.splitting:
            # A lost ±1 may be a tie that the latch had no time to decide.
            failure = sharpened(failure) if type_ == 2 else failure
            answer = splitting_rate(
                failure,
                ranking=ranking_of(failure),
                relative_error=relative_error,
                max_calls=most,
                seed=seed,
                report=lambda calls: update(calls, most, ""),
            )
        else:
            answer = rare_rate(
                failure, settings=settings, report=lambda calls: update(calls, most, "")
            )
        aimed = answer.method in ("importance", "line") and answer.status != "bounded"
        slow = type_ == 1 and aimed and is_slow(failure, seed=seed)
        if slow:
            note = _SLOW.format(method=answer.method)
            answer = replace(answer, note=f"{answer.note}; {note}" if answer.note else note)
            if method is _Method.auto:
                answer = replace(answer, status="refused", value=None, high=1.0)
    parts = sensitivities(answer, failure.names) if answer.regions else ()
    if plot is not None:
        if not parts:
            raise InputError(
                f"--plot {plot}: {answer.method} found no design point to draw"
                + ("; ask for --method importance" if answer.method == "monte-carlo" else "")
            )
        from rramsim.figures import save_one, sensitivity_figure

        source = f"Simulated, {failure.engine.name}; nearest design point of FORM."
        save_one(sensitivity_figure(parts, title=answer.label, source=source), plot)
    if json:
        print_json(
            answer.as_dict()
            | {
                "engine": failure.engine.name,
                "written": failure.written,
                "type": type_,
                "sensitivities": [part.as_dict() for part in parts],
            }
        )
    if answer.status == "refused":
        hint = ". Raise --max-calls"
        if method is not _Method.splitting:
            hint = "" if slow else f"{hint}, or ask for --check subset"
        raise MachineError(
            f"no answer for {answer.label}: {answer.note}; the rate lies somewhere from "
            f"{answer.low:.2g} to {answer.high:.2g}" + hint
        )
    if json:
        return
    typer.echo(answer.label)
    if answer.value is None:
        typer.echo(f"rate below {answer.high:.3g} (95 %): {answer.note}")
        return
    cov = 100 * answer.coefficient_of_variation
    typer.echo(
        f"rate {answer.value:.3g}, 95 % interval {answer.low:.3g} to {answer.high:.3g} "
        f"(simulated, {answer.method}, {answer.calls} senses, standard error {cov:.0f} %)"
    )
    for name, (value, low, high) in answer.checks.items():
        typer.echo(f"  {name} alone: {value:.3g} ({low:.3g} to {high:.3g})")
    if answer.note:
        typer.echo(f"  note: {answer.note}")
    for part in parts[:6]:
        moves = ", ".join(
            f"{name} {design:+.2f} σ" for name, design, _, _ in part.parameters
            if math.fabs(design) > 0.1
        )  # fmt: skip
        typer.echo(f"  {100 * part.importance:5.1f} %  {part.part:20} {moves}")


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(rare)
