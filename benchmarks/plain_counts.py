"""Rates near 1e-5 by plain counts of ten million senses each: nothing to go wrong.

`python -m benchmarks plain_counts [--only KEY,KEY] [--senses 10000000]`, half an hour a problem

Problems are those of `python -m benchmarks rates` that are named, or five of four families. Every
half million senses are a row of benchmarks/results/rates_counts.csv, so that a run goes on where
one was stopped. Each count is printed beside the truth and the authority's answer.
"""

import argparse
import math

import numpy as np

from benchmarks import rates
from rramsim.counting import Rate

__all__ = ["main"]

ROWS = rates.TRUTHS.with_name("rates_counts.csv")
_FIVE = "8101-16,8101-26,9101-56,9102-75,9103-70"
_BATCH, _ROW = 10_000, 500_000


def counted(asked: rates.Problem, row: int) -> int:
    """How many of the half million senses of one row fail."""
    failure, failures = asked.failure(), 0
    rng = np.random.default_rng([asked.seed, asked.number, row, 0xC0])
    for variant in failure.variants:
        for _ in range(_ROW // _BATCH // len(failure.variants)):
            seen = failure.seen(rng.standard_normal((_BATCH, failure.dimension)), variant)
            if not seen.known.all():
                raise RuntimeError(f"{asked.key}: a sense did not converge; a count needs all")
            failures += int(failure.fails(seen.codes, variant).sum())
    return failures


def main(argv: list[str] | None = None) -> int:
    """Count; prints a line a problem."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks plain_counts", description=__doc__)
    parser.add_argument("--senses", type=int, default=10_000_000, help="of each problem")
    parser.add_argument("--only", default=_FIVE, help="problems that have a stored truth")
    options = parser.parse_args(argv)
    engine = rates.engine_version()
    known = rates.stored_truths(rates.TRUTHS, engine)
    answers = rates.stored_answers(rates.ANSWERS, engine)
    for key in options.only.split(","):
        asked = rates.problem(*(int(part) for part in key.split("-")))
        done = {
            int(row["row"]): int(row["failures"])
            for row in rates.stored_rows(ROWS)
            if row["key"] == key and row["engine"] == engine
        }
        for row in range(options.senses // _ROW):
            if row not in done:
                done[row] = counted(asked, row)
                kept = {"key": key, "engine": engine, "row": row, "senses": _ROW}
                rates.keep(ROWS, kept | {"failures": done[row]})
        rate = Rate(events=sum(done.values()), trials=_ROW * len(done))
        print(
            f"{key:>7} {asked.family:12} {asked.amplifier:9} type {asked.kind} "
            f"{asked.conditions.label}: {rate.events} of {rate.trials}, {rate.value:.3g} "
            f"({rate.low:.3g} to {rate.high:.3g}); truth {known[key].value:.3g} ± "
            f"{100 * known[key].error:.0f} %{_told(answers.get(key), rate)}",
            flush=True,
        )
    return 0


def _told(answer: dict | None, rate: Rate) -> str:
    if answer is None or not answer["rate"] or not rate.events:
        return ", not answered"
    joint = math.hypot(answer["deviation"], rate.events**-0.5)
    off = math.log(answer["rate"] / rate.value) / joint
    return f", answer {answer['rate']:.3g} ({off:+.1f} joint errors of the count)"
