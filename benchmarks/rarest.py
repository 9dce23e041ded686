"""Rates of about 1e-9 by three ways: the authority, bounded weights, blind lines.

`python -m benchmarks rarest [--problems 20]`, a minute and a half a problem

Problems are those of `python -m benchmarks rates` whose stored truth, known to 15 % or better, lies
between 1e-10 and 1e-8. Blind lines owe nothing to a search and little to the truth: everything but
the first device is drawn, widened by chance, and the first device's score is stepped through on a
grid that is shifted at random for every line (systematic sampling, without bias and without a word
on where or how often the outcome changes). Subset sampling, with 16 runs of 1,000 points, was known
to 36 to 97 % only. Rows are kept in benchmarks/results/rates_rarest.csv: a run
goes on where one was stopped. Answers are those of benchmarks/results/rates_answers.csv.
"""

import argparse
import math
from typing import Any

import numpy as np

from benchmarks import rates
from rramsim.rare import SenseFailure

__all__ = ["blind_lines", "main"]

ROWS = rates.TRUTHS.with_name("rates_rarest.csv")
_LEAST, _MOST = 1e-10, 1e-8
_STEP, _FURTHEST, _AT_ONCE = 0.5, 8.5, 500
_LEAST_LINES, _MOST_LINES, _WANTED = 4000, 30_000, 0.1
_DEVICE_WIDE, _TRANSISTOR_WIDE, _CHANCE = 2.2, 2.5, 0.1
_NUMBERS = ("bounded", "bounded_error", "lines", "lines_error")


def blind_lines(failure: SenseFailure, *, seed: int) -> tuple[float, float]:
    """The rate and its standard error over it; ends at 10 %, or at the most lines."""
    rng = np.random.default_rng([seed, 0x11])
    each = np.empty(0)
    while True:
        found = [_probabilities(failure, variant, rng) for variant in failure.variants]
        each = np.concatenate([each, np.mean(found, axis=0)])
        mean = float(each.mean())
        error = float(each.std(ddof=1)) / math.sqrt(len(each)) / mean if mean else math.inf
        if len(each) >= _MOST_LINES or (len(each) >= _LEAST_LINES and error < _WANTED):
            return mean, error


def _probabilities(failure: SenseFailure, variant: int, rng: np.random.Generator) -> np.ndarray:
    """What some lines hold of the rate, by their weights; shape (lines,)."""
    shape = _AT_ONCE, failure.dimension - 1
    deviations = np.ones(shape)
    log_weight = np.zeros(_AT_ONCE)
    rest = rng.standard_normal(shape)
    parts = [((1,), _DEVICE_WIDE, 0.5), *((g, _TRANSISTOR_WIDE, _CHANCE) for g in failure.groups)]
    for group, wide, chance in parts:
        columns = np.array(group) - 1
        deviations[:, columns] = np.where(rng.random((_AT_ONCE, 1)) < chance, wide, 1.0)
        rest[:, columns] *= deviations[:, columns]
        gain = 0.5 * (rest[:, columns] ** 2).sum(axis=1) * (1 - wide**-2)
        gain -= len(group) * math.log(wide)
        log_weight -= np.log1p(chance * np.expm1(gain))
    steps = np.arange(-_FURTHEST, _FURTHEST, _STEP)
    scores = steps + _STEP * rng.random((_AT_ONCE, 1))
    points = np.column_stack([scores.ravel(), np.repeat(rest, len(steps), axis=0)])
    seen = failure.seen(points, variant)
    fails = (failure.fails(seen.codes, variant) & seen.known).reshape(scores.shape)
    density = np.exp(-0.5 * scores**2) / math.sqrt(2 * math.pi)
    return np.exp(log_weight) * _STEP * (density * fails).sum(axis=1)


def main(argv: list[str] | None = None) -> int:
    """Compare; prints a line a problem."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks rarest", description=__doc__)
    parser.add_argument("--problems", type=int, default=20)
    options = parser.parse_args(argv)
    engine = rates.engine_version()
    known = rates.stored_truths(rates.TRUTHS, engine)
    answers = rates.stored_answers(rates.ANSWERS, engine)
    rows = {row["key"]: row for row in rates.stored_rows(ROWS) if row["engine"] == engine}
    chosen = [k for k, t in known.items() if _LEAST <= t.value <= _MOST and t.error < rates.GOOD]
    for key in chosen[: options.problems]:
        seed, number = (int(part) for part in key.split("-"))
        asked = rates.problem(seed, number)
        if key not in rows:
            found = (known[key].value, known[key].error, *blind_lines(asked.failure(), seed=seed))
            rows[key] = {"key": key, "engine": engine} | dict(zip(_NUMBERS, found, strict=True))
            rates.keep(ROWS, rows[key])
        row = {name: float(rows[key][name]) for name in _NUMBERS}
        told = [f"{n} {row[n]:.3g} ± {100 * row[f'{n}_error']:.0f} %" for n in ("bounded", "lines")]
        print(
            f"{key:>7} {asked.family:12} {asked.amplifier:9} type {asked.kind} "
            f"{asked.conditions.label}: {', '.join(told)}{_told(answers.get(key), row)}",
            flush=True,
        )
    return 0


def _told(answer: dict[str, Any] | None, row: dict[str, float]) -> str:
    if answer is None or not answer["rate"]:
        return ", not answered"
    far = [
        math.log(answer["rate"] / row[name]) / math.hypot(answer["deviation"], row[f"{name}_error"])
        if row[name] else math.nan
        for name in ("bounded", "lines")
    ]  # fmt: skip
    note = f" {answer['note']}" if answer["note"] else ""
    return f", answer {answer['rate']:.3g} ({far[0]:+.1f}, {far[1]:+.1f} joint errors){note}"
