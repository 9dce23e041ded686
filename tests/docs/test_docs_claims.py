"""The numbers that README and pages quote are those of the stored results."""

import re

import numpy as np
import pandas as pd
import pytest
from blocks import ROOT

from benchmarks import rarest, rates
from benchmarks.adaptation import lowest
from benchmarks.training import gains
from rramsim.costs import SupplyTarget, lowest_supply

RESULTS = ROOT / "benchmarks" / "results"


def stored(name: str) -> pd.DataFrame:
    return pd.read_csv(RESULTS / f"{name}.csv")


def text_of(page: str) -> str:
    return " ".join((ROOT / page).read_text(encoding="utf-8").split())


def demo(quantity: str) -> pd.Series:
    """A quantity of the demo by (weights, supply)."""
    return stored("demo_cifar10").set_index(["weights", "vdd_v"])[quantity]


def demo_losses() -> list[str]:
    rows = stored("demo_cifar10").query("weights == 'binary' and vdd_v >= 1.05")
    ends = (100 * rows[["loss", "loss_low", "loss_high"]]).itertuples(index=False)
    return [f"{v:.2f} ({low:.2f} to {high:.2f})".replace("-", "−") for v, low, high in ends]


def binary_losses() -> list[str]:
    """Of 32 draws, above 1 V."""
    rows = stored("demo_binary_cifar10")
    assert set(rows.draws) == {32} and rows.vdd_v.min() == 1.05
    *most, last = [f"{100 * loss:.2f}" for loss in rows.loss]
    return [f"{', '.join(most)} and {last} points"]


def coverage() -> list[str]:
    """Of the seeds that the page names, by the estimator whose answers are stored last."""
    (named,) = re.findall(r"benchmarks rates --seeds (\S+)", text_of("docs/rare-events.md"))
    of = rates.stored_rows(rates.ANSWERS)[-1]
    known = rates.stored_truths(rates.TRUTHS, of["engine"])
    answers = rates.stored_answers(rates.ANSWERS, of["engine"], of["version"])
    keys = [key for key in answers if key.partition("-")[0] in named.split(",")]
    drawn = sorted(keys, key=lambda key: [int(part) for part in key.split("-")[::-1]])[:200]
    rows = [rates.compared(answers[key], known[key]) for key in drawn]
    found = rates.summary(rows)
    assert found["problems"] == 200 and found["silently off by more than 1.5"] == 0
    assert found["crashes"] == found["refusals"] == found["bounds"] == 0
    assert all(2 / 3 < row["rate"] / row["truth"] < 1.5 for row in rows)
    shares = ("within the joint 95 % interval", "intervals within 25 %")
    ends, all_fail = (
        found[f"  that {what}"] for what in ("a distribution's data end", "it failed every time")
    )
    assert found["notes"] == pytest.approx(ends + all_fail + 1 / 200)
    senses = [f"{round(found[name], -2):,.0f}" for name in ("median senses", "  of estimated ones")]
    return [
        *(f"{100 * found[name]:.1f} %" for name in shares),
        f"data end ({100 * ends:.0f} %), that all failed ({100 * all_fail:.0f} %)",
        f"{senses[0]} senses in the median ({senses[1]} where not counted)",
    ]


def second_methods() -> list[str]:
    """Of the rarest rates, and of those near 1e-5."""
    of = rates.stored_rows(rates.ANSWERS)[-1]
    engine = of["engine"]
    answers = rates.stored_answers(rates.ANSWERS, engine, of["version"])
    rows = [row for row in rates.stored_rows(rarest.ROWS) if row["engine"] == engine]
    assert all(0.75 < answers[row["key"]]["rate"] / float(row["lines"]) < 1.25 for row in rows)
    bounded = [float(row["bounded"]) for row in rows]
    seen = stored("rates_counts").query("engine == @engine").groupby("key").sum(numeric_only=True)
    assert len(seen) == 5 and (seen.senses == 10_000_000).all()
    off = [
        abs(np.log(answers[key]["rate"] * count.senses / count.failures))
        / np.hypot(answers[key]["deviation"], count.failures**-0.5)
        for key, count in seen.iterrows()
    ]
    ends = f"from {min(bounded):.1e} to {max(bounded):.1e}".replace("e-0", "e-")
    return [
        f"Of {len(rows)} rates {ends}", f"within {max(off):.1f} joint errors of ten million"
    ]  # fmt: skip


def tradeoff_losses() -> list[str]:
    target = SupplyTarget(max_loss=0.003, temperature_c=85.0, looks=5)
    answer = lowest_supply(stored("tradeoff_cifar10"), target)
    these = {design.network: (met, design) for met, design in answer.on_these_images}
    failing = [name for name, (met, design) in these.items() if design.fails]
    meeting = [
        f"{name} (at most {100 * design.bound:.2f} points) meets it at {design.vdd_v:g} V"
        for name, (met, design) in these.items()
        if met
    ]
    assert len(failing) + len(meeting) == len(these) == len(answer.undecided)  # all are decided
    cells = [f"{' and '.join(failing)} fail, {', '.join(meeting)}"]
    for met, best in answer.networks:
        cells.append(f"| {best.network} | {'meets it at' if met else 'undecided'}")
        ends = [f"{100 * v:.2f}" for v in (best.loss_low, best.loss_high)]
        cells.append(f"({ends[0]} to {ends[1]}) | {best.draws} |".replace("-", "−"))
    return cells


def trained() -> list[str]:
    rows = stored("training_cifar10")
    rows = rows.assign(percent=100 * rows.test_accuracy)
    cells = []
    for (network, epochs), mine in rows.groupby(["network", "epochs"]):
        if epochs == 8:
            cells.append(f"{mine.percent.mean():.1f} ± {mine.percent.std():.1f} %")
        else:
            cells.append(f"{mine.percent.mean():.1f} %")
        assert re.match(r"vgg(8|16|32|64|128)-", network)
    return cells


def jpeg_copies() -> list[str]:
    rows = stored("jpeg_copy_cifar10")
    own = rows.assign(
        own=np.where(rows.trained_on == "official", rows.tested_on_official, rows.tested_on_copy)
    )
    table = own.pivot_table(index=["network", "seed"], columns="trained_on", values="own").dropna()
    cells = []
    for _, mine in table.groupby("network"):
        lost = 100 * (mine.official - mine["copy"])
        error = lost.std() / np.sqrt(len(lost))
        digits = 1 if error > 0.5 else 2
        cells.append(f"{lost.mean():.{digits}f} ± {error:.{digits}f}")
    return cells


def tolerated() -> list[str]:
    rows = stored("tolerated_rates_cifar10")
    cells = []
    for row in rows.itertuples():
        if row.trained_with == "none" and np.isfinite(row.tolerated_rate):
            ends = f"{100 * row.lowest:.1f}–{100 * row.highest:.1f}"
            cells.append(f"{100 * row.tolerated_rate:.1f} % ({ends})")
    return cells


def chips() -> list[str]:
    rows = stored("chips_digits")
    percent = (100 * rows.accuracy).groupby(rows.kind)
    return [f"{mean:.1f} %" for mean in percent.mean()] + [f"{sd:.1f}" for sd in percent.std()]


def equilibrium() -> list[str]:
    rows = stored("equilibrium_cifar")
    last = rows[(rows.epoch == rows.epoch.max()) & (rows.images == rows.images.max())]
    percent = (100 * last.test_accuracy).groupby(last.network)
    return [
        f"{percent.mean()[name]:.1f} ± {percent.std()[name]:.1f} %"
        for name in ("symmetric EP", "back-propagation through time")
    ]


def mismatch_sets() -> list[str]:
    rows = stored("mismatch_sets").set_index(["models", "dies", "vdd_v"])
    typical = rows.xs("typical", level="dies")
    return [f"{100 * rate:.2f} %" for rate in typical.type_1.xs(0.95, level="vdd_v")] + [
        f"{100 * rate:.2f} %" for rate in typical.type_2.xs(1.0, level="vdd_v")
    ]


def adapted() -> list[str]:
    rows = stored("adaptation_cifar10")
    shown = rows[rows.vdd_v.between(0.95, 1.0) | (rows.vdd_v == 1.3)]
    ends = zip(shown.accuracy, shown.accuracy_low, shown.accuracy_high, strict=True)
    cells = [f"{100 * v:.1f} % ({100 * low:.1f}–{100 * high:.1f})" for v, low, high in ends]
    found = lowest(rows)
    at = dict(zip(zip(found.adaptation, found.max_loss, strict=True), found.vdd_v, strict=True))
    three, two = (
        {name: at[name, loss] for name in ("as trained", "recalibrated", "fine-tuned too")}
        for loss in (0.03, 0.02)
    )
    assert len({three["recalibrated"], three["fine-tuned too"]}) == 1
    assert np.isnan(two["as trained"]) and two["recalibrated"] == two["fine-tuned too"]
    spent = rows[rows.vdd_v == 0.97].set_index("adaptation").adaptation_j * 1e6
    return [
        *cells,
        f"{three['as trained']:g} V as trained, {three['recalibrated']:g} V adapted",
        f"none as trained, {two['recalibrated']:g} V adapted",
        f"{spent['recalibrated']:.0f} µJ", f"{spent['fine-tuned too']:.0f} µJ",
    ]  # fmt: skip


def recipes() -> list[str]:
    rows = stored("recipe_cifar10")
    (gain,) = gains(rows).itertuples()
    more = rows[(rows.cutout_pixels > 0) | (rows.average > 0)]
    plain = rows.drop(more.index)
    mean = 100 * plain.groupby("recipe").test_accuracy.mean()
    beside = plain[(plain.recipe == "tuned") & (plain.seed == 2)].test_accuracy.item()
    assert gain.seeds == 5
    return [
        f"{gain.gain:.1f} ({gain.low:.1f}–{gain.high:.1f}) points over five seeds",
        f"from {mean['published']:.1f} to {mean['tuned']:.1f} %",
        f"({100 * beside:.1f} % without)",
        *(f"{100 * value:.1f} %" for value in more.test_accuracy),
    ]


def foreign() -> list[str]:
    rows = stored("foreign_networks")
    first = rows.drop_duplicates("script")
    cells = [f"{100 * v:.1f} %" for v in (*first.accuracy_without_errors, *first.on_chip)]
    ends = zip(rows.accuracy, rows.accuracy_low, rows.accuracy_high, strict=True)
    cells += [f"{100 * v:.1f} % ({100 * low:.1f}–{100 * high:.1f})" for v, low, high in ends]
    steps = stored("foreign_steps").query("errors != 'none'")
    for _, mine in steps.groupby("what"):
        ratios = [f"{ratio:.2f}" for ratio in mine.ratio]
        cells.append(f"{ratios[0]}, {ratios[1]} and {ratios[2]} times")
    assert (steps.ratio <= steps.what.map({"training step": 1.1, "forward pass": 1.3})).all()
    return [*cells, f"{first.processor_s.sum() / 60:.0f} minutes of processor time"]


@pytest.mark.parametrize(
    ("page", "cells"),
    [
        ("docs/results.md", demo_losses), ("docs/results.md", binary_losses),
        ("docs/results.md", tradeoff_losses), ("docs/rare-events.md", coverage),
        ("docs/rare-events.md", second_methods),
        ("docs/results.md", trained),
        ("docs/results.md", jpeg_copies),
        ("docs/results.md", adapted), ("docs/results.md", recipes), ("docs/results.md", foreign),
        ("docs/tolerance.md", tolerated), ("docs/chips.md", chips),
        ("docs/equilibrium.md", equilibrium), ("docs/processes.md", mismatch_sets),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)  # fmt: skip
def test_a_page_quotes_what_is_stored(page, cells):
    text, found = text_of(page), cells()
    assert found
    assert [cell for cell in found if cell not in text] == []


def test_the_readme_claims_what_the_demo_gave():
    text = text_of("README.md")
    loss, energy = demo("loss"), demo("energy_per_use_j")
    assert "1.0 V instead of 1.2 V saves half of the read energy" in text
    for weights in ("binary", "ternary"):
        assert 0.45 < energy[weights, 1.0] / energy[weights, 1.2] < 0.55
    assert "neither network loses more than a point" in text
    assert (loss.xs(1.0, level="vdd_v") < 0.01).all()
    supplies = loss["ternary"].index
    words = {7: "seven", 8: "eight", 9: "nine", 10: "ten"}
    assert f"two networks at {words[len(supplies)]} supplies" in text
    assert "a ternary read costs less than a binary one" in text
    once = demo("energy_once_j")
    assert (once["ternary"] < once["binary"]).all()


def test_the_readme_claims_what_the_map_gave():
    assert "nothing works below 1.2 V in the cold" in text_of("README.md")
    rows = stored("ber_map")
    cold = rows[(rows.corner == "sf") & (rows.temperature_c == 0) & (rows.vdd_v < 1.19)]
    worst = cold.groupby("vdd_v").rate.max()
    assert len(worst) > 3 and (worst > 0.01).all()
