"""Error rates against truths that owe nothing to the estimator: coverage, size of intervals, cost.

python -m benchmarks rates --seeds 1,2,3 --problems 20 [--only-truths] [--only-stored] [--again]

Problems are drawn by the seed: supply, temperature, corner and window, a family of devices (two
thirds of them skewed, empirical or aged), and one of three amplifiers (as shipped, MN1 2.6 um wide,
precharge 2 um wide). The truth is a Monte-Carlo of bounded weight: each device's score from half a
normal and half one 2.6 times wider, each transistor's parameters by a chance of 0.15 from one
twice as wide. It aims at 10 %; problems of which its first 16,000 senses meet fewer than four
failures, or 400,000 would leave more than 15 % open, have no truth: they are left out and told.
Truths, and answers with the estimator's version, are kept in benchmarks/results: a run goes on
where one was stopped. A truth is that of one engine. Weights are skewed, so that a truth's own
error may be too small: with --again the truths of answers more than two joint errors away are drawn
once more, to 5 %, and told beside the first; the summary is that of the first.
"""

import argparse
import csv
import hashlib
import itertools
import math
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from rramsim.circuits import SenseCircuit, SenseConditions, sense_circuit
from rramsim.devices import Empirical, LogNormal, Marginal, ResistanceModel, Retention, Skewed
from rramsim.engines import BatchEngine, SenseSamples, reads_of
from rramsim.exceptions import InputError
from rramsim.processes import load_process
from rramsim.processes.process import netlists_folder
from rramsim.rare import FailureRate, SenseFailure, linear_failure, parse_criterion, rate

__all__ = [
    "GOOD", "Problem", "Truth", "compared", "engine_version", "keep", "main", "problem",
    "stored_answers", "stored_rows", "stored_truths", "summary", "truth",
]  # fmt: skip

AMPLIFIERS = {"shipped": {}, "offset": {"mn1": "2.6u"}, "precharge": {"mpre1": "2u", "mpre2": "2u"}}
FAMILIES = ("log-normal", "log-normal", "skewed", "empirical", "aged", "aged skewed")
TRUTHS = Path(__file__).parent / "results" / "rates_truth.csv"
ANSWERS = TRUTHS.with_name("rates_answers.csv")
AGAIN = TRUTHS.with_name("rates_truth_again.csv")
_TRUTH = {"value": float, "error": float, "hits": int, "senses": int}
_ANSWER = ("status", "rate", "low", "high", "deviation", "missed_high", "senses", "seconds", "note")
_BATCH, _MOST_SENSES, _WANTED, GOOD = 16_000, 400_000, 0.1, 0.15
_ALWAYS = "it failed every time"
_DEVICE_WIDE, _TRANSISTOR_WIDE, _CHANCE = 2.6, 2.0, 0.15


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One rate to find, and how it was drawn."""

    seed: int
    number: int
    family: str
    amplifier: str
    kind: int
    conditions: SenseConditions
    resistances: ResistanceModel

    @property
    def key(self) -> str:
        """Its name among the truths."""
        return f"{self.seed}-{self.number}"

    def failure(self) -> SenseFailure:
        """The problem as the authority takes it."""
        return SenseFailure(
            circuit=amplifier(self.amplifier),
            conditions=self.conditions,
            resistances=self.resistances,
            criterion=parse_criterion(f"type {self.kind}"),
            engine=BatchEngine(threads=1),
        )


@dataclass(frozen=True, kw_only=True)
class Truth:
    """A rate by the truth's own sampler; `error` is its standard error over its value."""

    value: float
    error: float
    hits: int
    senses: int


@cache
def amplifier(name: str) -> SenseCircuit:
    """The shipped amplifier, or one with other widths."""
    text = (netlists_folder() / "pcsa.spice").read_text(encoding="utf-8").splitlines()
    for index, line in enumerate(text):
        width = AMPLIFIERS[name].get(line.split()[0].lower() if line.split() else "")
        if width:
            fields = [f for f in line.split() if not f.lower().startswith("w=")]
            text[index] = " ".join([*fields, f"W={width}"])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.spice"
        path.write_text("\n".join(text) + "\n", encoding="utf-8")
        return sense_circuit(process=load_process("sky130-5v"), netlist=path)


def problem(seed: int, number: int) -> Problem:
    """Draw a problem."""
    rng = np.random.default_rng([seed, number, 0xB0])
    family = str(rng.choice(FAMILIES))
    corner = str(rng.choice(["tt", "ss", "ff", "sf", "fs"]))
    kind = int(rng.choice([1, 1, 2, 2, 3]))
    lowest = 0.95 if kind == 2 else 1.0
    return Problem(
        seed=seed,
        number=number,
        family=family,
        amplifier=str(rng.choice(["shipped", "shipped", "offset", "precharge"])),
        kind=kind,
        conditions=SenseConditions(
            vdd_v=round(float(rng.uniform(lowest, 1.35)), 2),
            temperature_c=float(rng.choice([0, 27, 60, 85])),
            corner=corner,
            window_s=float(rng.choice([30e-9, 50e-9, 80e-9])),
        ),
        resistances=_resistances(family, rng),
    )


def _resistances(family: str, rng: np.random.Generator) -> ResistanceModel:
    hrs_sigma, lrs_sigma = rng.uniform(0.6, 1.1), rng.uniform(0.15, 0.3)
    hrs = LogNormal(median_ohm=630e3, sigma_ln=round(float(hrs_sigma), 3))
    lrs: Marginal = LogNormal(median_ohm=10e3, sigma_ln=round(float(lrs_sigma), 3))
    state: Marginal = hrs
    if "skewed" in family:
        state = Skewed(
            median_ohm=630e3,
            sigma_ln=hrs.sigma_ln,
            skew_g=round(float(rng.uniform(-0.25, 0.25)), 3),
        )
        lrs = Skewed(median_ohm=8e3, sigma_ln=0.15, skew_g=round(float(rng.uniform(0.2, 0.7)), 3))
    if family == "empirical":
        state = Empirical.of(hrs.draw(20_000, rng))
    if "aged" in family:
        retention, age_s = Retention(relaxation_ln=0.1), float(10 ** rng.uniform(3, 7))
        state, lrs = (retention.aged_marginal(m, age_s=age_s) for m in (state, lrs))
    return ResistanceModel(lrs=lrs, hrs=state)


def truth(
    asked: Problem, *, most: int = _MOST_SENSES, wanted: float = _WANTED, again: bool = False
) -> Truth:
    """Sample until the error is `wanted`, or `most` senses are spent; `again`: by other draws."""
    circuit = amplifier(asked.amplifier)
    sites = circuit.mismatch_sites(asked.conditions.corner)
    names = list(dict.fromkeys(site.transistor for site in sites))
    of = np.array([names.index(site.transistor) for site in sites])
    rng = np.random.default_rng([asked.seed, asked.number, 0x7, int(again)][: 3 + again])
    engine = BatchEngine(threads=1, tolerance_v=1e-4 if asked.kind == 2 else 2e-3)
    signs = (0,) if asked.kind == 3 else (1, -1)
    total = squares = 0.0
    hits = senses = 0
    while senses < most:
        for sign in signs:
            count = _BATCH // len(signs)
            wide = rng.random((count, 2)) < 0.5
            device = rng.standard_normal((count, 2)) * np.where(wide, _DEVICE_WIDE, 1.0)
            varied = rng.random((count, len(names))) < _CHANCE
            mismatch = rng.standard_normal((count, len(sites)))
            mismatch *= np.where(varied[:, of], _TRANSISTOR_WIDE, 1.0)
            log_weight = -np.log(0.5 + 0.5 * np.exp(_gain(device, _DEVICE_WIDE))).sum(axis=1)
            gain = _gain(mismatch, _TRANSISTOR_WIDE)
            each = np.stack([gain[:, of == k].sum(axis=1) for k in range(len(names))], axis=1)
            log_weight -= np.log1p(_CHANCE * np.expm1(each)).sum(axis=1)
            bl, blb = _states(asked.resistances, sign)
            outcome = reads_of(engine).sense(
                circuit,
                asked.conditions,
                SenseSamples(
                    r_bl_ohm=bl.quantile(device[:, 0]),
                    r_blb_ohm=blb.quantile(device[:, 1]),
                    mismatch=mismatch,
                ),
            )
            wrong = {1: outcome.read == -sign, 2: outcome.read == 0, 3: outcome.read != 0}
            weights = np.exp(log_weight) * (wrong[asked.kind] & outcome.converged)
            total, squares = total + weights.sum(), squares + (weights**2).sum()
            hits, senses = hits + int((weights > 0).sum()), senses + count
        if hits < 4:
            break
        error = math.sqrt(squares - total**2 / senses) / total
        # The error falls with the root of the senses at best: some would never be good.
        hopeless = senses >= most / 4 and error * math.sqrt(senses / most) > 1.5 * GOOD
        if error < wanted or hopeless:
            break
    if not hits:
        return Truth(value=0.0, error=math.inf, hits=0, senses=senses)
    error = math.sqrt(squares - total**2 / senses) / total
    return Truth(value=total / senses, error=error, hits=hits, senses=senses)


def _gain(score: np.ndarray, wide: float) -> np.ndarray:
    """Log of the widened normal's density over the normal's."""
    return 0.5 * score**2 * (1 - wide**-2) - math.log(wide)


def _states(model: ResistanceModel, sign: int) -> tuple[Marginal, Marginal]:
    return (model.lrs if sign == 1 else model.hrs), (model.lrs if sign == -1 else model.hrs)


def _answered(asked: Problem) -> dict[str, Any]:
    """What the authority says of a problem, and its processor time without tables and compiling."""
    failure = asked.failure()
    row: dict[str, Any] = {
        "key": asked.key, "version": version(), "engine": engine_version()
    }  # fmt: skip
    row |= dict.fromkeys(_ANSWER)
    failure.seen(np.zeros((1, failure.dimension)), failure.variants[0])
    started = time.process_time()
    try:
        answer: FailureRate = rate(failure, seed=1)
        row |= {name: answer.as_dict()[name] for name in _ANSWER if name != "seconds"}
    except InputError as error:
        row |= {"status": "refused", "note": str(error)}
    except Exception as error:
        row |= {"status": "crash", "note": f"{type(error).__name__}: {error}"}
    return row | {"seconds": round(time.process_time() - started, 2)}


@cache
def version() -> str:
    """The estimator's version, whatever its text: a digest of what it answers to closed forms."""
    answers = [rate(linear_failure(p, dimension=d)) for p, d in ((1e-6, 6), (1e-9, 13))]
    told = [f"{a.value:.6g} {a.deviation:.6g} {a.senses}" for a in answers]
    return hashlib.sha256(repr(told).encode()).hexdigest()[:10]


def engine_version() -> str:
    """The engine without its settings: a truth is that of one engine."""
    return BatchEngine().name.split(" (")[0]


def compared(answer: dict[str, Any], known: Truth) -> dict[str, Any]:
    """An answer beside its truth: the logarithm of their ratio, and that in joint errors."""
    row = answer | {"truth": known.value, "truth_error": known.error, "log_ratio": None,
                    "joint": None}  # fmt: skip
    if answer["rate"]:
        row["log_ratio"] = math.log(answer["rate"] / known.value)
        row["joint"] = row["log_ratio"] / math.hypot(answer["deviation"], known.error)
    return row


def summary(rows: list[dict[str, Any]]) -> dict[str, float]:
    """What must hold, as shares of all problems or of those with an answer."""
    answered = [r for r in rows if r["rate"]]
    quiet = [r for r in answered if not r["note"]]
    count = max(len(rows), 1)
    estimated = [r["senses"] for r in rows if r["status"] == "estimated"]
    return {
        "problems": len(rows),
        "answered": len(answered),
        "within the joint 95 % interval": _share(answered, lambda r: abs(r["joint"]) <= 1.96),
        # Off by more than half, and by more than the truth's own error explains.
        "silently off by more than 1.5": sum(
            abs(r["log_ratio"]) > math.log(1.5) + 2 * r["truth_error"] for r in quiet
        ),
        "notes": sum(bool(r["note"]) for r in answered) / count,
        "  that it failed every time": sum(r["note"] == _ALWAYS for r in answered) / count,
        # True of the devices, and asked for: no word against the estimate.
        "  that a distribution's data end": sum(
            "beyond the data" in r["note"] and "; " not in r["note"] for r in answered
        )
        / count,
        "refusals": sum(r["status"] == "refused" for r in rows) / count,
        "bounds": sum(r["status"] == "bounded" for r in rows) / count,
        "crashes": sum(r["status"] == "crash" for r in rows),
        "intervals within 25 %": _share(answered, lambda r: 1.96 * r["deviation"] <= 0.25),
        "median senses": float(np.median([r["senses"] for r in answered])) if answered else 0.0,
        "  of estimated ones": float(np.median(estimated)) if estimated else 0.0,
        "median seconds": float(np.median([r["seconds"] for r in rows])) if rows else 0.0,
    }


def _share(rows: list[dict[str, Any]], holds: Any) -> float:
    return sum(bool(holds(row)) for row in rows) / max(len(rows), 1)


def stored_truths(path: Path, engine: str) -> dict[str, Truth]:
    """The truths of an engine by their problems' keys."""
    return {
        row.pop("key"): Truth(**{name: cast(row[name]) for name, cast in _TRUTH.items()})
        for row in stored_rows(path)
        if row["engine"] == engine
    }


def stored_answers(path: Path, engine: str, of: str | None = None) -> dict[str, dict[str, Any]]:
    """The answers of a version of the estimator (left out: of this), with an engine."""
    of = of or version()
    numbers = set(_ANSWER) - {"status", "note"}
    return {
        row["key"]: {
            name: (float(text) if text else None) if name in numbers else text
            for name, text in row.items()
        }
        for row in stored_rows(path)
        if row["version"] == of and row["engine"] == engine
    }


def stored_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a CSV file as text; none where it is not there."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def keep(path: Path, row: dict[str, Any]) -> None:
    """Append a row at once, so that a run that was stopped goes on."""
    new = not path.is_file()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(row))
        if new:
            writer.writeheader()
        writer.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()})


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; prints a line a problem and the summary."""
    parser = argparse.ArgumentParser(prog="benchmarks rates", description=__doc__)
    parser.add_argument("--seeds", default="1", help="which problems are drawn, in turn: 1,2,3")
    parser.add_argument("--problems", type=int, default=20, help="how many have a truth")
    parser.add_argument("--truths", type=Path, default=TRUTHS, help="where truths are kept")
    parser.add_argument("--answers", type=Path, default=ANSWERS, help="where answers are kept")
    parser.add_argument("--only-truths", action="store_true", help="ask the estimator nothing")
    parser.add_argument("--only-stored", action="store_true", help="sum up what was answered")
    parser.add_argument("--again", action="store_true", help="second truths for the far answers")
    parser.add_argument("--engine", help="sum up what was stored with another: 'batch 5.15'")
    arguments = parser.parse_args(argv)
    engine = arguments.engine or engine_version()
    stored = arguments.only_stored or engine != engine_version()
    known = stored_truths(arguments.truths, engine)
    answers = stored_answers(arguments.answers, engine)
    seconds = stored_truths(AGAIN, engine)
    rows: list[dict[str, Any]] = []
    left = 0
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    for place in itertools.count():
        if len(rows) >= arguments.problems:
            break
        asked = problem(seeds[place % len(seeds)], place // len(seeds))
        if asked.key not in known:
            if stored:
                break
            known[asked.key] = truth(asked)
            keep(arguments.truths, {"key": asked.key, "engine": engine} | vars(known[asked.key]))
        if not known[asked.key].error < GOOD:
            left += 1
            continue
        if asked.key not in answers and not (arguments.only_truths or stored):
            answers[asked.key] = _answered(asked)
            keep(arguments.answers, answers[asked.key])
        if asked.key not in answers:
            rows += [{}] if arguments.only_truths else []
            continue
        rows.append(compared(answers[asked.key], known[asked.key]))
        print(_line(asked, rows[-1]), flush=True)
        far = abs(rows[-1]["joint"] or 0.0) > 2
        if arguments.again and far and asked.key not in seconds:
            seconds[asked.key] = truth(asked, most=4 * _MOST_SENSES, wanted=_WANTED / 2, again=True)
            keep(AGAIN, {"key": asked.key, "engine": engine} | vars(seconds[asked.key]))
        if far and asked.key in seconds:
            print(_line(asked, compared(answers[asked.key], seconds[asked.key])), flush=True)
    for name, value in summary([row for row in rows if row]).items():
        print(f"{name}: {value:.4g}")
    print(f"left out, for want of a truth: {left}")
    return 0


def _line(asked: Problem, row: dict[str, Any]) -> str:
    joint = math.nan if row["joint"] is None else row["joint"]
    return (
        f"{asked.key:>7} {asked.family:12} {asked.amplifier:9} type {asked.kind} "
        f"{asked.conditions.label}: {row['truth']:.3g} ± {100 * row['truth_error']:.0f} %, "
        f"answer {row['rate'] or math.nan:.3g} {row['status']} ({joint:+.1f}, "
        f"{row['senses'] or 0:.0f} senses, {row['seconds']:.0f} s) {row['note']}"
    )


if __name__ == "__main__":
    sys.exit(main())
