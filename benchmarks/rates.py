"""Error rates against truths that owe nothing to the estimator: coverage, size of intervals, cost.

python -m benchmarks rates --seed 1 --problems 20 [--truths FILE.csv] [--out FILE.csv]

Problems are drawn by the seed: supply, temperature, corner and window, a family of devices (two
thirds of them skewed, empirical or aged), and one of three amplifiers (as shipped, MN1 2.6 um wide,
precharge 2 um wide). The truth is a Monte-Carlo of bounded weight: each device's score from half a
normal and half one 2.6 times wider, each transistor's parameters by a chance of 0.15 from one
twice as wide. Problems of which its first 16,000 senses meet fewer than four failures have no
truth; they are left out and told.
"""

import argparse
import csv
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
from rramsim.rare import FailureRate, SenseFailure, parse_criterion, rate

__all__ = ["Problem", "Truth", "main", "problem", "summary", "truth"]

AMPLIFIERS = {"shipped": {}, "offset": {"mn1": "2.6u"}, "precharge": {"mpre1": "2u", "mpre2": "2u"}}
FAMILIES = ("log-normal", "log-normal", "skewed", "empirical", "aged", "aged skewed")
TRUTHS = Path(__file__).parent / "results" / "rates_truth.csv"
_BATCH, _MOST_SENSES, _WANTED = 16_000, 400_000, 0.1
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


def truth(asked: Problem, *, most: int = _MOST_SENSES) -> Truth:
    """Sample until the error is a tenth, or `most` senses are spent."""
    circuit = amplifier(asked.amplifier)
    sites = circuit.mismatch_sites(asked.conditions.corner)
    names = list(dict.fromkeys(site.transistor for site in sites))
    of = np.array([names.index(site.transistor) for site in sites])
    rng = np.random.default_rng([asked.seed, asked.number, 0x7])
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
        if error < _WANTED:
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


def _row(asked: Problem, known: Truth) -> dict[str, Any]:
    started = time.process_time()
    try:
        answer: FailureRate | None = rate(asked.failure(), seed=1)
        fault = ""
    except InputError as error:
        answer, fault = None, f"refused: {error}"
    except Exception as error:
        answer, fault = None, f"crash: {type(error).__name__}: {error}"
    at = asked.conditions
    row = {
        "key": asked.key, "family": asked.family, "amplifier": asked.amplifier, "type": asked.kind,
        "vdd_v": at.vdd_v, "temperature_c": at.temperature_c, "corner": at.corner,
        "window_s": at.window_s, "truth": known.value, "truth_error": known.error,
    }  # fmt: skip
    found: dict[str, Any] = {"status": "fault", "rate": None, "note": fault}
    if answer is not None:
        found = {
            name: answer.as_dict()[name]
            for name in (
                "status", "rate", "low", "high", "deviation", "missed_high", "senses", "note"
            )
        }  # fmt: skip
    apart = joint = None
    if found["rate"]:
        apart = math.log(found["rate"] / known.value)
        joint = apart / math.hypot(found["deviation"], known.error)
    return row | found | {
        "log_ratio": apart, "joint": joint, "seconds": time.process_time() - started
    }  # fmt: skip


def summary(rows: list[dict[str, Any]]) -> dict[str, float]:
    """What must hold, as shares of all problems or of those with an answer."""
    answered = [r for r in rows if r["rate"]]
    quiet = [r for r in answered if not r["note"]]
    count = max(len(rows), 1)
    return {
        "problems": len(rows),
        "answered": len(answered),
        "within the joint 95 % interval": _share(answered, lambda r: abs(r["joint"]) <= 1.96),
        # Off by more than half, and by more than the truth's own error explains.
        "silently off by more than 1.5": sum(
            abs(r["log_ratio"]) > math.log(1.5) + 2 * r["truth_error"] for r in quiet
        ),
        "notes": sum(bool(r["note"]) for r in answered) / count,
        "refusals": sum(r["status"] == "refused" for r in rows) / count,
        "bounds": sum(r["status"] == "bounded" for r in rows) / count,
        "crashes": sum(r["status"] == "fault" for r in rows),
        "intervals within 25 %": _share(answered, lambda r: 1.96 * r["deviation"] <= 0.25),
        "median senses": float(np.median([r["senses"] for r in answered])) if answered else 0.0,
        "median seconds": float(np.median([r["seconds"] for r in rows])) if rows else 0.0,
    }


def _share(rows: list[dict[str, Any]], holds: Any) -> float:
    return sum(bool(holds(row)) for row in rows) / max(len(rows), 1)


def _known(path: Path) -> dict[str, Truth]:
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {
            row["key"]: Truth(
                value=float(row["value"]), error=float(row["error"]), hits=int(row["hits"]),
                senses=int(row["senses"]),
            )
            for row in csv.DictReader(file)
        }  # fmt: skip


def _kept(path: Path, key: str, found: Truth) -> None:
    new = not path.is_file()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(["key", "value", "error", "hits", "senses"])
        writer.writerow([key, f"{found.value:.6g}", f"{found.error:.4g}", found.hits, found.senses])


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; prints a line a problem and the summary."""
    parser = argparse.ArgumentParser(prog="benchmarks rates", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="which problems are drawn")
    parser.add_argument("--problems", type=int, default=20, help="how many have a truth")
    parser.add_argument("--first", type=int, default=0, help="number of the first problem")
    parser.add_argument("--truths", type=Path, default=TRUTHS, help="where truths are kept")
    parser.add_argument("--out", type=Path, help="a table of all answers (.csv)")
    arguments = parser.parse_args(argv)
    known, number, left = _known(arguments.truths), arguments.first, 0
    rows: list[dict[str, Any]] = []
    while len(rows) < arguments.problems:
        asked = problem(arguments.seed, number)
        number += 1
        if asked.key not in known:
            known[asked.key] = truth(asked)
            _kept(arguments.truths, asked.key, known[asked.key])
        if known[asked.key].hits < 4:
            left += 1
            continue
        rows.append(_row(asked, known[asked.key]))
        row = rows[-1]
        print(
            f"{row['key']:>7} {row['family']:12} {row['amplifier']:9} type {row['type']} "
            f"{asked.conditions.label}: {row['truth']:.3g} ± {100 * row['truth_error']:.0f} %, "
            f"answer {row['rate'] or math.nan:.3g} {row['status']} "
            f"({row['joint'] if row['joint'] is not None else math.nan:+.1f}, "
            f"{row.get('senses', 0)} senses, {row['seconds']:.0f} s) {row['note']}",
            flush=True,
        )
        if arguments.out is not None:
            with arguments.out.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, fieldnames=list(rows[0]))
                writer.writeheader()
                writer.writerows([{k: r.get(k) for k in rows[0]} for r in rows])
    for name, value in summary(rows).items():
        print(f"{name}: {value:.4g}")
    print(f"left out, for want of a truth: {left}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
