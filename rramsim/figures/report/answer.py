"""What the report says first: the lowest supply that loses next to nothing, and what it costs."""

import math
from collections.abc import Sequence

import pandas as pd

from rramsim.costs import Design, SupplyTarget, lowest_supply
from rramsim.exceptions import InputError
from rramsim.figures.chart import Table
from rramsim.figures.numbers import engineering, engineering_interval, percent, points_interval
from rramsim.figures.report.page import Section
from rramsim.figures.tradeoffs import network_label
from rramsim.records import TradeoffRow


def answer_section(rows: Sequence[TradeoffRow], target: SupplyTarget) -> Section:
    """The lowest simulated supply at which each network meets the target."""
    table = pd.DataFrame([row.model_dump() for row in rows])
    key, title = "answer", "The answer: the lowest supply"
    try:
        answer = lowest_supply(table, target)
    except InputError as error:
        return Section(key=key, title=title, text=f"None can be given: {error}.")
    best = answer.best
    name = network_label(best)
    what = f"{name} at {best.vdd_v:g} V in a window of {1e9 * best.window_s:g} ns"
    if answer.met:
        text = (
            f"{best.vdd_v:g} V is the lowest simulated supply with {target.text}: {what}. It loses "
            f"{_loss(best)} points and takes {_energy(table, best)} of weight reads an image."
        )
        if best.adaptation_j:
            text += (
                f" Each chip is adapted to first, which takes {engineering(best.adaptation_j, 'J')}"
                " once."
            )
    else:
        text = (
            f"No simulated supply shows {target.text}. The nearest is {what}: it loses "
            f"{_loss(best)} points, {100 * best.bound:.2f} at most."
        )
    return Section(
        key=key,
        title=title,
        text=text,
        notes=(f"What limits it: {_limit(table, best, met=answer.met)}.",),
        tables=(
            Table(
                title=f"Lowest supply of each network with {target.text}; in brackets the nearest",
                header=("network", "VDD", "window", "meets it at", "loss, points (95 %)",
                        "worst at", "accuracy", "energy of reads, per image"),
                rows=tuple(_row(table, met, design) for met, design in answer.networks),
                numeric=(1, 2, 4, 6, 7),
            ),
        ),
    )  # fmt: skip


def _row(table: pd.DataFrame, met: bool, design: Design) -> tuple[str, ...]:
    supply = f"{design.vdd_v:g} V"
    return (
        network_label(design), supply if met else f"({supply})", f"{1e9 * design.window_s:g} ns",
        ", ".join(f"{v:g}" for v in design.supplies_v) + " V" if met else "nowhere",
        _loss(design), f"{design.temperature_c:g} °C, {design.corner}", percent(design.accuracy),
        _energy(table, design),
    )  # fmt: skip


def _loss(design: Design) -> str:
    return points_interval(design.loss, design.loss_low, design.loss_high)


def _evidence(table: pd.DataFrame, design: Design) -> pd.Series:
    """The row of the environment that decides."""
    names = ("network", "trained_with_errors", "vdd_v", "window_s", "temperature_c", "corner")
    rows = table
    for name in names:
        rows = rows[rows[name] == getattr(design, name)]
    return rows.iloc[0]


def _energy(table: pd.DataFrame, design: Design) -> str:
    row = _evidence(table, design)
    return engineering_interval(
        row.energy_per_use_j, row.energy_per_use_low_j, row.energy_per_use_high_j, "J"
    )


def _limit(table: pd.DataFrame, best: Design, *, met: bool) -> str:
    """What the answer would change with: the supplies' grid, the draws, or the test images."""
    supplies = sorted(set(table.vdd_v))
    row = _evidence(table, best)
    deviation = row.loss_deviation if row.loss_deviation == row.loss_deviation else math.inf
    drawn = deviation / math.sqrt(best.draws)
    more = (
        f"the {best.draws} draws of errors ([test] draws)"
        if drawn > row.loss_image_error
        else f"the {int(row.images):,} test images ([test] images)"
    )
    parts = [f"most of the loss's interval comes from {more}"]
    if met and best.vdd_v > supplies[0]:
        below = supplies[supplies.index(best.vdd_v) - 1]
        parts.insert(0, f"nothing was simulated between {below:g} V and {best.vdd_v:g} V")
    elif met:
        parts.insert(0, f"nothing was simulated below {best.vdd_v:g} V")
    if row.limited_by_samples:
        parts.append("an error type that was never seen there is drawn from its prior")
    return "; ".join([*parts, "one training of each network: another seed may lose more or less"])
