"""Values of the explorer as parts of its page."""

import math
from typing import TYPE_CHECKING

import numpy as np

from rramsim import figures
from rramsim.counting import SenseTally
from rramsim.devices import WRITTEN
from rramsim.experiment import Experiment
from rramsim.explore.controls import Controls, Setting
from rramsim.explore.explorer import MOST_SENSES, STEP_SENSES, Answer, Subject
from rramsim.figures.chart import Table
from rramsim.figures.numbers import (
    engineering,
    engineering_error,
    percent,
    percent_interval,
    rate_text,
)
from rramsim.figures.rates import TYPES, rate_bars
from rramsim.figures.senses import sense_chart
from rramsim.records import RateRecord
from rramsim.version import __version__

if TYPE_CHECKING:
    from rramsim.rare import FailureRate

_SIGNED = {-1: "−1", 0: "0", 1: "+1"}
_PAIRS = {-1: "−1 (HRS/LRS)", 0: "0 (HRS/HRS)", 1: "+1 (LRS/HRS)"}


def frame_html(subject: Subject) -> str:
    """The page around the answers."""
    experiment, explorer = subject.experiment, subject.explorer
    controls = explorer.controls
    circuit = explorer.circuit
    notes = ["transistor mismatch on" if explorer.mismatch else "no transistor mismatch"]
    if experiment.sense.noise:
        notes.append("without the experiment's noise, which the batch engine does not sense")
    return figures.render_frame(
        title=subject.title,
        facts=(
            ("circuit", f"{circuit.name} in {circuit.process.name}"),
            (
                "engine",
                f"{explorer.engine.name}; unlike a campaign, not checked by ngspice",
            ),
            ("senses", "; ".join(notes)),
        ),
        sliders=_sliders(experiment, controls),
        choices=(
            figures.Choice(
                name="written",
                label="Written",
                values=tuple(str(w) for w in reversed(WRITTEN)),
                texts=tuple(_SIGNED[w] for w in reversed(WRITTEN)),
                first=0,
            ),
            figures.Choice(
                name="corner",
                label="Corner",
                values=controls.corner,
                texts=controls.corner,
                first=controls.corner.index(controls.first.conditions.corner),
            ),
        ),
        step_senses=STEP_SENSES,
        most_senses=MOST_SENSES,
        version=__version__,
    )


def _sliders(experiment: Experiment, controls: Controls) -> tuple[figures.Slider, ...]:
    first, sense = controls.first, experiment.sense
    told = (
        ("vdd_v", "Supply VDD", controls.vdd_v, first.conditions.vdd_v, sense.vdd_v, "V"),
        ("temperature_c", "Temperature", controls.temperature_c, first.conditions.temperature_c,
         sense.temperature_c, "°C"),
        ("window_s", "Window", controls.window_s, first.conditions.window_s, sense.window_s, "s"),
        ("hrs_median_ohm", "HRS median", controls.hrs_median_ohm, first.hrs_median_ohm,
         [first.hrs_median_ohm], "Ω"),
    )  # fmt: skip
    return tuple(
        figures.Slider(
            name=name,
            label=label,
            values=values,
            texts=tuple(
                engineering(v, unit) if unit in ("s", "Ω") else f"{v:g} {unit}" for v in values
            ),
            first=values.index(start),
            marks=tuple(values.index(v) for v in swept if v in values),
        )
        for name, label, values, start, swept, unit in told
    )


def answer_html(answer: Answer, subject: Subject) -> str:
    """The part of the page that shows one answer."""
    at = answer.setting
    rates = {
        kind: RateRecord.model_validate(getattr(answer.statistics, kind).as_dict())
        for kind in TYPES
    }
    return figures.render_answer(
        (
            _waveforms(answer, subject.explorer.controls),
            _rates(rates),
            _senses(answer),
            _accuracy(answer, subject),
        ),
        summary=f"{_label(at)}: {answer.senses} senses of each weight",
        told="; ".join(f"{name}: {rate_text(rates[kind])}" for kind, name in TYPES.items()),
        senses=answer.senses,
    )


def rates_html(setting: Setting, rates: "dict[str, FailureRate]") -> str:
    """The part of the page that shows every rate at a setting, the rare ones included."""
    label = _label(setting)
    panel = figures.ExplorerPanel(
        key="found",
        title=f"Every error rate at {label}",
        table=Table(
            title="Error rates with 95 % intervals, as rramsim rate and the map find them",
            header=("type", "rate"),
            rows=tuple((name, f"{rates[name.partition(':')[0]]}") for name in TYPES.values()),
        ),
    )
    return figures.render_answer((panel,), summary=label, told=panel.title, senses=0)


def _label(setting: Setting) -> str:
    return f"{setting.conditions.label}, HRS {engineering(setting.hrs_median_ohm, 'Ω')}"


def _waveforms(answer: Answer, controls: Controls) -> figures.ExplorerPanel:
    one = answer.nominal
    ohms = " / ".join(engineering(r, "Ω") for r in (one.r_bl_ohm, one.r_blb_ohm))
    said = "The simulation did not converge"
    if one.waveforms is not None:
        resolved = f"resolved in {engineering(one.resolve_time_s, 's')}"
        if math.isnan(one.resolve_time_s):
            resolved = "not resolved in the window"
        said = f"Reads {_SIGNED[one.read]}, {resolved}, {engineering(one.energy_j, 'J')}"
    return figures.ExplorerPanel(
        key="waveforms",
        title=f"One sense of a {_SIGNED[one.written]}",
        chart=sense_chart(
            one.waveforms,
            answer.setting.conditions,
            highest_vdd_v=controls.vdd_v[-1],
            title=f"Waveforms of a {_SIGNED[one.written]}",
        ),
        note=f"{said}. Median devices ({ohms}) without mismatch"
        + ("; the two HRS are 3 % apart." if one.written == 0 else "."),
    )


def _rates(rates: dict[str, RateRecord]) -> figures.ExplorerPanel:
    return figures.ExplorerPanel(
        key="rates",
        title="Error rates",
        chart=rate_bars(rates),
        table=Table(
            title="Error rates with 95 % intervals",
            header=("type", "rate", "events"),
            rows=tuple(
                (
                    name,
                    rate_text(rates[kind]),
                    f"{rates[kind].events} of {rates[kind].trials}",
                )
                for kind, name in TYPES.items()
            ),
            numeric=(1, 2),
        ),
        note="Counted in few senses: an arrow stands at the upper end of the interval where no "
        "error was seen; “Find rare rates” says more. Every setting senses the same devices and "
        "transistors.",
    )


def _senses(answer: Answer) -> figures.ExplorerPanel:
    rows = []
    for written in reversed(WRITTEN):
        tally = answer.tallies[written]
        reads = (f"{n}" for n in tally.count[2::-1])
        rows.append((_PAIRS[written], _mean(tally), *reads))
    lost = int(answer.statistics.counts[:, 3].sum())
    return figures.ExplorerPanel(
        key="energy",
        title="Energy per sense, and what is read",
        table=Table(
            title="Mean energy and numbers of reads, by written weight",
            header=("written", "energy", "read +1", "read 0", "read −1"),
            rows=tuple(rows),
            numeric=(1, 2, 3, 4),
        ),
        note="Sense, recharge, clock and word line; mean with its 95 % interval."
        + (f" {lost} senses did not converge and are in no rate." if lost else ""),
    )


def _mean(tally: SenseTally) -> str:
    """Mean energy with the normal 95 % interval of the mean."""
    reads = int(tally.count[:3].sum())
    if reads < 2:
        return "–"
    total, squares = float(tally.energy_j.sum()), float(tally.energy_squared.sum())
    mean = total / reads
    error = 1.96 * float(np.sqrt(max(squares - total * mean, 0.0) / (reads - 1) / reads))
    return engineering_error(mean, error, "J")


def _accuracy(answer: Answer, subject: Subject) -> figures.ExplorerPanel:
    title = "Accuracy of the trained networks"
    if subject.accuracy is None:
        return figures.ExplorerPanel(key="accuracy", title=title, note=subject.lack)
    found, why = subject.accuracy.at(answer.setting)
    if not found:
        return figures.ExplorerPanel(key="accuracy", title=title, note=why)
    between = any(one.interpolated for one in found)
    return figures.ExplorerPanel(
        key="accuracy",
        title=title,
        table=Table(
            title="Accuracy with read errors and without",
            header=("network", "accuracy", "no errors"),
            rows=tuple(
                (
                    one.network,
                    percent_interval(one.value, one.low, one.high),
                    percent(one.without_errors),
                )
                for one in found
            ),
            numeric=(1, 2),
        ),
        note=(
            "Interpolated in tradeoff.csv; the interval spans those of the tested points around."
            if between
            else "As tested, from tradeoff.csv, with 95 % intervals."
        ),
    )
