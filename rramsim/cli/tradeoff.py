"""`rramsim tradeoff`: accuracy and energy against the supply, and the lowest supply that works."""

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rramsim.cli.options import DataOption, FolderArgument, JsonOption, print_json, say
from rramsim.exceptions import InputError

if TYPE_CHECKING:
    from rramsim.costs import Design, SupplyAnswer, SupplyTarget
    from rramsim.stages import RunFolder, Work


def tradeoff(
    folder: FolderArgument,
    data: DataOption = None,
    max_loss: Annotated[
        float | None,
        typer.Option(help="Ask for the lowest supply that loses at most so many points (%)."),
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(help="... at this temperature; left out: at every one.")
    ] = None,
    corner: Annotated[
        str | None, typer.Option(help="... in this corner; left out: in every one.")
    ] = None,
    yield_share: Annotated[
        float | None, typer.Option("--yield", help="... on this share of chips, such as 0.99.")
    ] = None,
    network: Annotated[str | None, typer.Option(help="... for this network only.")] = None,
    json: JsonOption = False,
) -> None:
    """Show accuracy and energy at every supply, or the lowest supply that is good enough.

    With --max-loss: the lowest simulated supply at which the upper 95 % bound of the loss is within
    the target, or the nearest if there is none (exit status 0 both times; "met" says it). Where a
    network is undecided, draws of read errors are added, at most as many again. Tests the
    networks first if DIR has no trade-off, or one older than its error rates.

    Example: rramsim tradeoff runs/tradeoff --max-loss 0.3 --temperature 85 --yield 0.99
    """
    given = {"--temperature": temperature, "--corner": corner, "--yield": yield_share}
    for option, value in (given | {"--network": network}).items():
        if max_loss is None and value is not None:
            raise InputError(f"{option} {value}: goes with --max-loss")
    from rramsim.stages.tradeoff import TRADE_OFF, TRADEOFF

    where = _made(folder, data)
    if max_loss is None:
        if json:
            print_json({"tradeoff": TRADEOFF.told(where)})
            return
        from rramsim.cli.run import print_summary

        print_summary(TRADE_OFF.summary(where))
        say(f"next: rramsim tradeoff {folder} --max-loss 0.5, or rramsim report {folder}")
        return
    from rramsim.costs import SupplyTarget

    target = SupplyTarget(
        max_loss=max_loss / 100,
        temperature_c=temperature,
        corner=corner,
        network=network,
        yield_share=yield_share,
    )
    try:
        answer = _answer(where, target, data)
    except InputError as error:
        raise InputError(f"{folder}: {error}") from error
    if json:
        print_json(_as_json(answer))
    else:
        _print(answer)


def _answer(where: "RunFolder", target: "SupplyTarget", data: Path | None) -> "SupplyAnswer":
    """The answer; where a network is undecided, draws are added until it is."""
    from rramsim.cli.run import show_stages
    from rramsim.costs import lowest_supply
    from rramsim.stages.tradeoff import TRADE_OFF, TRADEOFF, decided

    answer = lowest_supply(TRADEOFF.frame(where), target)
    experiment = where.load_experiment() if answer.undecided and where.networks.is_dir() else None
    # Who asks a folder has not allowed the Python that it names.
    if experiment is not None and experiment.network.module is None:
        answers: list[SupplyAnswer] = []

        def run(work: "Work") -> None:
            answers.append(decided(work, target))

        stage = dataclasses.replace(TRADE_OFF, run=run)
        show_stages(experiment, where, (stage,), data=data)
        answer = answers[0]
    return answer


def _made(folder: Path, data: Path | None) -> "RunFolder":
    """The folder, with a trade-off that is there and not older than the errors."""
    from rramsim.cli.run import show_stages
    from rramsim.stages import RunFolder, chosen_stages
    from rramsim.stages.provenance import outdated, refuse_changed
    from rramsim.stages.tradeoff import TRADEOFF

    where = RunFolder.existing(folder)
    if not TRADEOFF.path(where).is_file() or outdated(where, (TRADEOFF,)):
        experiment = where.load_experiment()
        try:
            stages = chosen_stages(experiment, ("tradeoff",), skipped=say)
        except InputError as error:
            raise InputError(f"{folder}: {error}") from error
        show_stages(experiment, where, stages, data=data)
    refuse_changed(where, (TRADEOFF,))
    return where


def _print(answer: "SupplyAnswer") -> None:
    from rich.console import Console
    from rich.table import Table

    best = answer.best
    what = f"{best.network}, window {best.window_s * 1e9:g} ns"
    if answer.met:
        text = f"{best.vdd_v:g} V is the lowest simulated supply with {answer.target.text}: {what}"
    else:
        text = (
            f"none does: no network keeps {answer.target.text}; the nearest is {best.vdd_v:g} V "
            f"with at most {100 * best.bound:.2f} points: {what}"
        )
    say(text)
    for design in answer.undecided:
        say(
            f"undecided: {design.network} at {design.vdd_v:g} V, "
            f"{design.window_s * 1e9:g} ns loses {100 * design.loss:.2f} points, "
            f"at most {100 * design.bound:.2f} (95 %), after {design.draws} draws; "
            f"it takes {_draws(design, answer.target)}"
        )
    for met, design in answer.on_these_images:
        loss = f"{100 * design.loss:.2f} points, at most {100 * design.bound:.2f}"
        what = (
            f"meets it at {', '.join(f'{v:g}' for v in design.supplies_v)} V"
            if met
            else "does not meet it" if design.fails else f"is undecided at {design.vdd_v:g} V"
        )  # fmt: skip
        say(f"on these test images themselves {design.network} {what}: {loss} (95 %)")
    shown = Table(title="the lowest supply of each network, or its nearest", title_justify="left")
    for name in (
        "network", "VDD", "window", "meets it at", "worst at", "loss (95 %), points", "upper bound",
        "accuracy", "reads, per use", "adapting, once",
    ):  # fmt: skip
        shown.add_column(name, justify="right")
    for met, design in answer.networks:
        shown.add_row(*_cells(met, design))
    Console(width=max(Console().width, 140)).print(shown)


def _cells(met: bool, design: "Design") -> tuple[str, ...]:
    trained = design.trained_with_errors
    low, high = 100 * design.loss_low, 100 * design.loss_high
    return (
        design.network if trained == "none" else f"{design.network} (errors of {trained} V)",
        f"{design.vdd_v:g} V" if met else f"({design.vdd_v:g} V)",
        f"{design.window_s * 1e9:g} ns",
        ", ".join(f"{v:g}" for v in design.supplies_v) + " V" if met else "none",
        f"{design.temperature_c:g} °C, {design.corner}",
        f"{100 * design.loss:.2f} ({low:.2f} to {high:.2f})",
        f"{100 * design.bound:.2f}",
        f"{100 * design.accuracy:.1f} %",
        f"{design.energy_j * 1e6:.4g} µJ",
        f"{design.adaptation_j * 1e6:.4g} µJ" if design.adaptation_j else "none",
    )


def _draws(design: "Design", target: "SupplyTarget") -> str:
    """How many draws would decide, as their part of the half-width falls with their root."""
    gap = abs(target.max_loss - design.loss)
    half, images = design.bound - design.loss, design.image_half_width
    if not gap > 0 or not half < math.inf:
        return "more than can be told: the loss is the limit itself"
    if not design.is_decided_by_draws(target):
        return f"more test images, not draws: these alone leave ±{100 * images:.2f} points open"
    drawn = (half**2 - images**2) / (gap**2 - images**2)
    return f"about {max(round(design.draws * drawn), design.draws + 1)} draws"


def _as_json(answer: "SupplyAnswer") -> dict[str, Any]:
    return {
        "met": answer.met,
        "target": dataclasses.asdict(answer.target),
        "best": _finite(answer.best),
        "networks": [{"met": met, **_finite(design)} for met, design in answer.networks],
        "undecided": [design.network for design in answer.undecided],
        "on_these_images": [{"met": met, **_finite(d)} for met, d in answer.on_these_images],
    }


def _finite(design: "Design") -> dict[str, Any]:
    """A design for JSON, which knows no infinity: a bound that cannot be told is null."""
    value = dataclasses.asdict(design)
    return value | {"bound": design.bound if design.bound < float("inf") else None}
