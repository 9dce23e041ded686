"""How often is a part missed that only two wide transistors reach? Rates known in closed form.

`python -m benchmarks two_wide --seeds 36 [--out FILE.csv]`, some minutes of processor time.

A sense fails where the HRS device's score lies far out, and where the scores of two transistors
both do. The second part holds about half of the rate. Where it is
announced the margin falls towards it; else nothing says that it is near, which is the hard case.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import norm

from rramsim.rare import AnalyticFailure, rate

_PARTS = ((3.3, 1.6, 4.0), (3.0, 2.6, 4.3), (3.6, 2.0, 4.5))
"""Limits of the two transistors and of the HRS device, in standard deviations."""
_MISSED = 0.7


def failure(one: float, other: float, beyond: float, *, announced: bool) -> AnalyticFailure:
    """Two parts that do not depend on each other, among 29 coordinates."""

    def margin(p: np.ndarray) -> np.ndarray:
        second = np.maximum(one - p[:, 5], other - p[:, 9])
        second = second if announced else np.where(second <= 0, -1.0, np.inf)
        return np.minimum(p[:, 0] + beyond, second)

    both = norm.sf(one) * norm.sf(other)
    return AnalyticFailure(
        label=f"beyond {one:g} and {other:g}, or {beyond:g}; announced: {announced}",
        dimension=29,
        probability=float(both + norm.sf(beyond) * (1 - both)),
        function=margin,
    )


def main(argv: list[str]) -> int:
    """Print how many answers missed the part, with and without a note."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks two_wide", description=__doc__)
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(argv)
    rows = []
    for parts in _PARTS:
        for announced in (True, False):
            state = failure(*parts, announced=announced)
            for seed in range(options.seeds):
                answer = rate(state, seed=seed)
                share = (answer.value or np.nan) / state.probability
                rows.append({"failure": state.label, "rate": state.probability, "seed": seed,
                             "answer_over_rate": round(share, 4), "senses": answer.senses,
                             "note": answer.note})  # fmt: skip
    table = pd.DataFrame(rows)
    missed = table[table.answer_over_rate < _MISSED]
    print(table.groupby("failure").answer_over_rate.describe()[["min", "50%", "max"]].to_string())
    print(json.dumps({"answers": len(table), f"below {_MISSED} of the rate": len(missed),
                      "of these without a note": int((missed.note == "").sum()),
                      "median senses": float(table.senses.median())}))  # fmt: skip
    if options.out:
        table.to_csv(options.out, index=False)
    return 0
