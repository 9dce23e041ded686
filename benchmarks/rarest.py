"""Rates of about 1e-9 by three ways: the authority, bounded weights, subset sampling.

`python -m benchmarks rarest [--problems 20]`

Problems are those of `python -m benchmarks rates` whose stored truth lies between 1e-10 and 1e-8.
A truth that is known to worse than 15 % is sampled on, to 2,400,000 senses. Subset sampling (Au and
Beck, Probab. Eng. Mech. 16 (2001) 263) is that paper's own: components move one by one, 16 runs of
1,000 points; its error is the spread of the runs. It loses parts of a failure that its margin does
not announce, so that it may be low, and its chains hang together: on the first six problems its
error is 36 to 97 %, which tells the order of magnitude and no more. Rows are kept in
benchmarks/results/rates_rarest.csv: a run goes on where one was stopped. Answers are those of
benchmarks/results/rates_answers.csv.
"""

import argparse
import math
from typing import Any

import numpy as np

from benchmarks import rates
from rramsim.rare import SenseFailure

__all__ = ["main", "subset_sampling"]

ROWS = rates.TRUTHS.with_name("rates_rarest.csv")
_LEAST, _MOST, _SENSES = 1e-10, 1e-8, 2_400_000
_POINTS, _SHARE, _RUNS = 1000, 0.1, 16
_NUMBERS = ("bounded", "bounded_error", "subset", "subset_error")


def subset_sampling(failure: SenseFailure, *, seed: int, runs: int = _RUNS) -> tuple[float, float]:
    """The rate and its standard error over it, from independent runs of each variant."""
    rng = np.random.default_rng(seed)
    found = np.array([[_run(failure, v, rng) for v in failure.variants] for _ in range(runs)])
    each = found.mean(axis=1)
    mean = float(each.mean())
    return mean, float(each.std(ddof=1)) / math.sqrt(runs) / mean if mean else math.inf


def _run(failure: SenseFailure, variant: int, rng: np.random.Generator) -> float:
    points = rng.standard_normal((_POINTS, failure.dimension))
    margins, level = failure.seen(points, variant).margin, 1.0
    while True:
        order = np.argsort(margins, kind="stable")[: round(_SHARE * _POINTS)]
        threshold = float(margins[order[-1]])
        if threshold <= 0 or level < 1e-13 or not math.isfinite(threshold):
            return level * float((margins <= 0).mean())
        level *= float((margins <= threshold).mean())
        current, mine = points[order], margins[order]
        kept, kept_margins = [current], [mine]
        for _ in range(round(1 / _SHARE) - 1):
            tried = current + rng.uniform(-1, 1, current.shape)
            moves = rng.random(current.shape) < np.exp(0.5 * (current**2 - tried**2))
            tried = np.where(moves, tried, current)
            seen = failure.seen(tried, variant).margin
            inside = seen <= threshold
            current = np.where(inside[:, None], tried, current)
            mine = np.where(inside, seen, mine)
            kept.append(current)
            kept_margins.append(mine)
        points, margins = np.concatenate(kept), np.concatenate(kept_margins)


def main(argv: list[str] | None = None) -> int:
    """Compare; prints a line a problem."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks rarest", description=__doc__)
    parser.add_argument("--problems", type=int, default=20)
    options = parser.parse_args(argv)
    engine = rates.engine_version()
    known = rates.stored_truths(rates.TRUTHS, engine)
    answers = rates.stored_answers(rates.ANSWERS, engine)
    rows = {row["key"]: row for row in rates.stored_rows(ROWS) if row["engine"] == engine}
    chosen = [key for key, t in known.items() if _LEAST <= t.value <= _MOST and t.hits >= 4]
    for key in chosen[: options.problems]:
        seed, number = (int(part) for part in key.split("-"))
        asked = rates.problem(seed, number)
        if key not in rows:
            of = known[key]
            if of.error > rates.GOOD:
                of = rates.truth(asked, most=_SENSES)
            value, error = subset_sampling(asked.failure(), seed=seed)
            found = (of.value, of.error, value, error)
            rows[key] = {"key": key, "engine": engine} | dict(zip(_NUMBERS, found, strict=True))
            rates.keep(ROWS, rows[key])
        row = {name: float(rows[key][name]) for name in _NUMBERS}
        told = [
            f"{n} {row[n]:.3g} ± {100 * row[f'{n}_error']:.0f} %" for n in ("bounded", "subset")
        ]
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
        for name in ("bounded", "subset")
    ]  # fmt: skip
    note = f" {answer['note']}" if answer["note"] else ""
    return f", answer {answer['rate']:.3g} ({far[0]:+.1f}, {far[1]:+.1f} joint errors){note}"
