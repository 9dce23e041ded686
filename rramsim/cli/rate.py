"""`rramsim rate`: how often a read fails, however rarely."""

import csv
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rramsim import circuits, devices, engines
from rramsim.cli.options import JsonOption, NetlistOption, Quantity, parse_quantity, print_json, say

if TYPE_CHECKING:
    from rramsim.experiment import Experiment
    from rramsim.rare import FailureCorner, SenseFailure


class _Engine(StrEnum):
    batch = "batch"
    ngspice = "ngspice"


def rate(
    vdd: Annotated[Quantity, typer.Option(help="Supply in volt.")],
    type_: Annotated[
        int | None, typer.Option("--type", help="1: sign flip, 2: ±1 read as 0, 3: 0 read as ±1.")
    ] = None,
    failure: Annotated[
        str | None,
        typer.Option(
            help="Another failure: 'type 2 at 60n' (a later strobe), 'binary', or a measure "
            "against a limit, such as 'energy_j > 500f', 'resolve_time_s > 40n' or "
            "'differential_v < 0.3'."
        ),
    ] = None,
    written: Annotated[
        int | None, typer.Option(help="One written weight; left out: +1 and -1 pooled, or 0.")
    ] = None,
    window: Annotated[Quantity, typer.Option(help="Sense window in second, such as 50n.")] = "50n",
    temperature: Annotated[Quantity, typer.Option(help="Degrees Celsius.")] = "27",
    corner: Annotated[str, typer.Option(help="Process corner: tt, ss, ff, sf or fs.")] = "tt",
    experiment: Annotated[
        Path | None,
        typer.Option(help="An experiment file: its process, device, column and circuit are used."),
    ] = None,
    netlist: NetlistOption = None,
    lrs: Annotated[Quantity | None, typer.Option(help="Median LRS in ohm.")] = None,
    lrs_sigma: Annotated[
        float | None, typer.Option(help="Standard deviation of ln LRS; log-normal.")
    ] = None,
    hrs: Annotated[Quantity | None, typer.Option(help="Median HRS in ohm.")] = None,
    hrs_sigma: Annotated[
        float | None, typer.Option(help="Standard deviation of ln HRS; log-normal.")
    ] = None,
    engine: Annotated[_Engine, typer.Option(help="What solves the circuit.")] = _Engine.batch,
    relative_error: Annotated[
        float | None,
        typer.Option(help="Standard error over rate to reach; left out: the experiment's."),
    ] = None,
    max_senses: Annotated[int, typer.Option(help="Senses to simulate at most.")] = 150_000,
    seed: Annotated[
        int | None, typer.Option(help="Seed of every draw; left out: the experiment's.")
    ] = None,
    corners: Annotated[
        Path | None,
        typer.Option(help="Write the most probable failures into this table (.csv)."),
    ] = None,
    deck: Annotated[
        Path | None,
        typer.Option(help="Write the most probable failure as an ngspice deck into this file."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Find how often a read fails: its rate with a 95 % interval, and how it was found.

    Counted where 100,000 senses are enough; else found by lines through the space of devices and
    mismatch, some 50,000 senses, down to 1e-9 and below.

    Example: rramsim rate --vdd 1.2 --type 1 --hrs-sigma 0.8
    """
    from rramsim import rare
    from rramsim.cli.progress import progress_bar
    from rramsim.exceptions import InputError, MachineError
    from rramsim.experiment import Experiment, load_experiment
    from rramsim.files import check_writable
    from rramsim.stages.rates import failure_of

    if (type_ is None) == (failure is None):
        raise InputError("give one of --type and --failure")
    if netlist is not None and experiment is not None:
        raise InputError("--netlist: goes without --experiment, which names its own")
    for path in (corners, deck):
        if path is not None:
            check_writable(path)
    own = {} if netlist is None else {"sense": {"netlist": str(netlist.absolute())}}
    base = Experiment.model_validate(own) if experiment is None else load_experiment(experiment)
    asked = failure_of(
        base,
        circuits.SenseConditions(
            vdd_v=parse_quantity("--vdd", vdd),
            temperature_c=parse_quantity("--temperature", temperature),
            corner=corner,
            window_s=parse_quantity("--window", window),
        ),
        failure or f"type {type_}",
        written=written,
        resistances=_resistances(base, experiment, lrs, lrs_sigma, hrs, hrs_sigma),
    )
    if engine is _Engine.ngspice:
        asked = replace(asked, engine=engines.NgspiceEngine(max_step_s=base.errors.max_step_s))
    with progress_bar("rate", unit="senses") as update:
        answer = rare.rate(
            asked,
            relative_error=(
                base.errors.relative_error if relative_error is None else relative_error
            ),
            seed=base.errors.seed if seed is None else seed,
            max_senses=max_senses,
            report=lambda senses: update(senses, max(senses, max_senses), ""),
        )
    if answer.status == "refused":
        raise MachineError(f"no answer for {answer.label}: {answer}")
    found: tuple[FailureCorner, ...] = ()
    if answer.points is not None:
        found = rare.failure_corners(asked, answer)
    elif corners is not None or deck is not None:
        raise InputError(
            f"--corners, --deck: {answer.label} was {answer.status}; the most probable failures "
            "are found with rates that are too small to count"
        )
    if corners is not None:
        _write_table(corners, found)
    if deck is not None:
        deck.write_text(_deck(asked, found[0]), encoding="utf-8")
    if json:
        print_json(answer.as_dict() | {"corners": [c.as_dict() for c in found]})
        return
    say(answer.label)
    say(f"rate {answer}")
    if answer.status == "estimated":
        say(f"  missed at most {answer.missed_high:.2g} (95 %), by failures found independently")
    if answer.note and answer.status != "bounded":
        say(f"  note: {answer.note}")
    for one in found:
        value = f"{one.written:+d}" if one.written else "0"
        parts = ", ".join(
            f"{part} {name} {score:+.2f} σ" for part, name, score, _ in one.shifts[:4]
            if abs(score) > 0.3
        )  # fmt: skip
        say(f"  {100 * one.share:3.0f} % near {one.sigma:.2f} σ, written {value}: {parts}")


def _resistances(
    base: "Experiment",
    experiment: Path | None,
    lrs: str | None,
    lrs_sigma: float | None,
    hrs: str | None,
    hrs_sigma: float | None,
) -> "devices.ResistanceModel":
    from rramsim.exceptions import InputError

    resistances = base.make_resistances()
    for name, median, sigma in (("lrs", lrs, lrs_sigma), ("hrs", hrs, hrs_sigma)):
        if median is None and sigma is None:
            continue
        state = getattr(resistances, name)
        if isinstance(state, devices.LogNormal):
            median_ohm, sigma_ln = state.median_ohm, state.sigma_ln
        elif median is None or sigma is None:
            raise InputError(
                f"--{name}, --{name}-sigma: {experiment} gives the {name.upper()} a distribution "
                "of its own; give both to put a log-normal in its place"
            )
        changed = devices.LogNormal(
            median_ohm=median_ohm if median is None else parse_quantity(f"--{name}", median),
            sigma_ln=sigma_ln if sigma is None else sigma,
        )
        resistances = replace(resistances, **{name: changed})
    return resistances


def _write_table(path: Path, found: "tuple[FailureCorner, ...]") -> None:
    from rramsim.files import atomic_path

    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["corner", "written", "distance_sigma", "share", "part", "parameter", "sigma", "value"]
        )
        for number, one in enumerate(found, start=1):
            head = [number, one.written, f"{one.sigma:.6g}", f"{one.share:.6g}"]
            for part, name, score, value in one.shifts:
                writer.writerow([*head, part, name, repr(score), repr(value)])


def _deck(asked: "SenseFailure", one: "FailureCorner") -> str:
    samples = asked.samples(one.point[None], one.written)
    return engines.NgspiceEngine().deck(asked.circuit, asked.conditions, samples)
