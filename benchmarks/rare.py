"""Rare error rates: calls, error and coverage against known answers and against OpenTURNS.

python -m benchmarks rare [--seeds 100]      analytic limit states, with OpenTURNS beside
python -m benchmarks rare --pcsa             type 1 and type 2 of the PCSA at 1e-6 and 1e-9
python -m benchmarks rare --agreement --samples 1000000 1000000 4000000 --plot FILE
                                             importance sampling against plain Monte-Carlo
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from rramsim.circuits import SenseConditions, sense_circuit
from rramsim.devices import LogNormal, ResistanceModel
from rramsim.engines import BatchEngine
from rramsim.exceptions import InputError
from rramsim.processes import load_process
from rramsim.rare import (
    AnalyticState,
    RareRate,
    RareSettings,
    SenseFailure,
    curved_state,
    linear_state,
    rare_rate,
    two_lobed_state,
)
from rramsim.rare.limit_states import CountedState

__all__ = ["agreement", "analytic", "main", "openturns_importance", "openturns_subset", "pcsa"]

STATES = {"linear 6-D": linear_state, "curved 6-D": curved_state, "two-lobed 12-D": two_lobed_state}
# (error type, supply in volt, sigma of ln HRS, the size of rate that it is for)
PCSA_CASES = (
    (1, 1.2, 0.84, 1e-6), (1, 1.2, 0.64, 1e-9), (2, 1.05, 0.7, 1e-6), (2, 1.05, 0.525, 1e-9)
)  # fmt: skip
AGREEMENT_CASES = ((2, 1.0, 0.85, 1e-3), (2, 1.05, 0.95, 1e-4), (1, 1.2, 0.92, 1e-5))


def analytic(*, seeds: int) -> list[dict[str, Any]]:
    """Coverage and calls on states with known answers, and OpenTURNS' on the first seeds."""
    rows = []
    for name, make in STATES.items():
        for probability in (1e-6, 1e-9):
            state = make(probability)
            started = time.perf_counter()
            answers = [
                rare_rate(state, settings=RareSettings(method="importance", seed=seed))
                for seed in range(seeds)
            ]
            seconds = (time.perf_counter() - started) / seeds
            good = [a for a in answers if a.status == "estimated"]
            values = np.array([a.value for a in good])
            few = min(seeds, 10)
            rows.append(
                {
                    "state": name,
                    "probability": probability,
                    "seeds": seeds,
                    "refused": seeds - len(good),
                    "covered": sum(a.low <= probability <= a.high for a in good),
                    "calls_mean": float(np.mean([a.calls for a in answers])),
                    "calls_most": max(a.calls for a in answers),
                    "worst_cov": max(a.coefficient_of_variation for a in good),
                    "bias": float(values.mean() / probability - 1),
                    "spread": float(values.std(ddof=1) / probability) if len(good) > 1 else None,
                    "seconds": seconds,
                    "openturns_form_importance": _summary(
                        [openturns_importance(state, seed) for seed in range(few)], probability
                    ),
                    "openturns_subset": _summary(
                        [openturns_subset(state, seed) for seed in range(few)], probability
                    ),
                }
            )
            print(_analytic_line(rows[-1]), file=sys.stderr, flush=True)
    return rows


def _event(state: AnalyticState) -> tuple[CountedState, Any]:
    import openturns as ot

    counted = CountedState(state)
    function = ot.PythonFunction(
        state.dimension,
        1,
        func_sample=lambda points: counted.margin(np.asarray(points))[:, None],
    )
    vector = ot.CompositeRandomVector(function, ot.RandomVector(ot.Normal(state.dimension)))
    return counted, ot.ThresholdEvent(vector, ot.LessOrEqual(), 0.0)


def openturns_importance(state: AnalyticState, seed: int) -> tuple[float, float, int]:
    """OpenTURNS' FORM, then importance sampling at its one design point: (rate, CoV, calls)."""
    import openturns as ot

    ot.RandomGenerator.SetSeed(seed)
    counted, event = _event(state)
    solver = ot.AbdoRackwitz()
    solver.setStartingPoint([0.1] * state.dimension)
    form = ot.FORM(solver, event)
    form.run()
    sampler = ot.PostAnalyticalImportanceSampling(form.getResult())
    sampler.setBlockSize(20)
    sampler.setMaximumOuterSampling(500)
    sampler.setMaximumCoefficientOfVariation(0.1)
    sampler.run()
    result = sampler.getResult()
    return result.getProbabilityEstimate(), result.getCoefficientOfVariation(), counted.calls


def openturns_subset(state: AnalyticState, seed: int) -> tuple[float, float, int]:
    """OpenTURNS' subset sampling with 1,000 points a level: (rate, CoV, calls)."""
    import openturns as ot

    ot.RandomGenerator.SetSeed(seed)
    counted, event = _event(state)
    algorithm = ot.SubsetSampling(event)
    algorithm.setBlockSize(100)
    algorithm.setMaximumOuterSampling(10)
    algorithm.run()
    result = algorithm.getResult()
    return result.getProbabilityEstimate(), result.getCoefficientOfVariation(), counted.calls


def _summary(rows: list[tuple[float, float, int]], probability: float) -> dict[str, float]:
    rates, _, calls = np.array(rows, dtype=float).T
    return {
        "ratio_mean": float(rates.mean() / probability),
        "spread": float(rates.std(ddof=1) / probability) if len(rates) > 1 else math.nan,
        "calls_mean": float(calls.mean()),
    }


def failure(error_type: int, vdd_v: float, hrs_sigma_ln: float) -> SenseFailure:
    """A PCSA error at 27 degrees, tt, 50 ns, with the HRS's spread as given."""
    return SenseFailure(
        circuit=sense_circuit(process=load_process("sky130-5v")),
        conditions=SenseConditions(vdd_v=vdd_v),
        resistances=ResistanceModel(
            lrs=LogNormal(median_ohm=10e3, sigma_ln=0.22),
            hrs=LogNormal(median_ohm=630e3, sigma_ln=hrs_sigma_ln),
        ),
        written=1,
        error_type=error_type,
        engine=BatchEngine(),
    )


def pcsa(*, seeds: int) -> list[dict[str, Any]]:
    """Calls and errors on the PCSA."""
    rows = []
    for error_type, vdd_v, sigma, size in PCSA_CASES:
        state = failure(error_type, vdd_v, sigma)
        answers = []
        for seed in range(seeds):
            answers.append(rare_rate(state, settings=RareSettings(method="importance", seed=seed)))
            print(f"{size:g}: {_answer_line(answers[-1])}", file=sys.stderr, flush=True)
        rows.append(
            {
                "type": error_type,
                "vdd_v": vdd_v,
                "hrs_sigma_ln": sigma,
                "for": size,
                "answers": [a.as_dict() for a in answers],
            }
        )
    return rows


def agreement(*, samples: list[int]) -> list[tuple[str, RareRate, RareRate]]:
    """Importance sampling and plain Monte-Carlo with as many samples (0: left out)."""
    rows = []
    for (error_type, vdd_v, sigma, size), most in zip(AGREEMENT_CASES, samples, strict=True):
        if not most:
            continue
        state = failure(error_type, vdd_v, sigma)
        one = rare_rate(state, settings=RareSettings(method="importance", seed=1))
        other = rare_rate(
            state,
            settings=RareSettings(
                method="monte-carlo", monte_carlo_calls=most, relative_error=0.01, seed=2
            ),
        )
        case = f"type {error_type}, {vdd_v:g} V,\nσ(ln HRS) {sigma:g}"
        rows.append((case, one, other))
        for answer in (one, other):
            print(f"{size:g}: {_answer_line(answer)}", file=sys.stderr, flush=True)
    return rows


def _answer_line(answer: RareRate) -> str:
    value = "no answer" if answer.value is None else f"{answer.value:.3g}"
    return (
        f"{answer.label}: {value} ({answer.low:.3g} to {answer.high:.3g}), CoV "
        f"{100 * answer.coefficient_of_variation:.1f} %, {answer.calls} calls, {answer.method} "
        f"{answer.note}"
    ).rstrip()


def _analytic_line(row: dict[str, Any]) -> str:
    form, subset = row["openturns_form_importance"], row["openturns_subset"]
    return (
        f"{row['state']:15} {row['probability']:g}: covered {row['covered']} of {row['seeds']}, "
        f"refused {row['refused']}, CoV at most {100 * row['worst_cov']:.1f} %, calls "
        f"{row['calls_mean']:.0f} (at most {row['calls_most']}), bias {100 * row['bias']:+.1f} %; "
        f"OpenTURNS FORM + importance sampling: {form['ratio_mean']:.2f} x truth "
        f"in {form['calls_mean']:.0f}; subset sampling: {subset['ratio_mean']:.2f} +- "
        f"{subset['spread']:.2f} x truth in {subset['calls_mean']:.0f}"
    )


def main(argv: list[str]) -> int:
    """Run the benchmark from the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks rare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--pcsa", action="store_true")
    parser.add_argument("--agreement", action="store_true")
    parser.add_argument(
        "--samples", type=int, nargs=3, default=[100_000, 1_000_000, 3_000_000],
        metavar="N", help="plain samples at 1e-3, 1e-4 and 1e-5; 0 leaves one out",
    )  # fmt: skip
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    try:
        if options.agreement:
            rows = agreement(samples=options.samples)
            result: Any = [
                {"case": case, "importance": a.as_dict(), "monte_carlo": b.as_dict()}
                for case, a, b in rows
            ]
            if options.plot is not None:
                from rramsim.figures import agreement_figure, save_one

                source = f"Simulated, {BatchEngine().name}; PCSA, 27 °C, tt, 50 ns, written +1."
                save_one(agreement_figure(rows, source=source), options.plot)
        elif options.pcsa:
            result = pcsa(seeds=options.seeds or 1)
        else:
            result = analytic(seeds=options.seeds or 100)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(result))
    return 0
